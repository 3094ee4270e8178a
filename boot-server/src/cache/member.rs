//! What a cache consists of, and nothing else of its folder.

use crate::base::files;
use nix_store::narinfo::Compression;
use protocol::encoding::{NIX_BASE32, Sha256, nix_base32_decode};

/// A file of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// `nix-cache-info`
    Info,
    /// `HASH.narinfo`, by its file name.
    NarInfo(&'a str),
    /// `nar/NAME`, by its name.
    Nar(&'a str),
}

impl<'a> Member<'a> {
    /// The member at this path below the cache, which is also how a narinfo's URL names its NAR.
    pub fn parse(path: &'a str) -> Option<Self> {
        if path == "nix-cache-info" {
            return Some(Self::Info);
        }
        if let Some(name) = path.strip_prefix("nar/") {
            return files::is_plain_name(name).then_some(Self::Nar(name));
        }
        is_hash(path.strip_suffix(".narinfo")?).then_some(Self::NarInfo(path))
    }

    /// Names to open it by below the folder.
    pub fn names(self) -> Vec<&'a str> {
        match self {
            Self::Info => vec!["nix-cache-info"],
            Self::NarInfo(name) => vec![name],
            Self::Nar(name) => vec!["nar", name],
        }
    }

    /// Its media type.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Info => "text/x-nix-cache-info",
            Self::NarInfo(_) => "text/x-nix-narinfo",
            Self::Nar(_) => "application/x-nix-nar",
        }
    }
}

/// Whether this is the hash part of a store path.
pub fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| NIX_BASE32.contains(&byte))
}

/// The file hash in the name that Nix gives a NAR: `HASH.nar` and the ending of its compression.
pub fn hash_of_nar(name: &str) -> Option<Sha256> {
    let (hash, ending) = name.split_once(".nar")?;
    let known = Compression::ALL.iter().any(|(.., known)| *known == ending);
    nix_base32_decode(hash).ok().filter(|_| known).map(Sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::encoding::nix_base32_encode;

    #[test]
    fn only_the_files_of_a_cache_are_members() {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        let narinfo = format!("{hash}.narinfo");
        assert_eq!(Member::parse("nix-cache-info"), Some(Member::Info));
        assert_eq!(Member::parse(&narinfo), Some(Member::NarInfo(&narinfo)));
        assert_eq!(Member::parse("nar/abc.nar.zst"), Some(Member::Nar("abc.nar.zst")));
        for other in ["", "nar/", "nar/..", "nar/a/b", "nar/../x", "../nix-cache-info", "x.narinfo", "log/x", "nar//a"]
        {
            assert_eq!(Member::parse(other), None, "{other}");
        }
    }

    #[test]
    fn an_uploaded_nar_is_named_by_its_hash() {
        let hash = Sha256::of(b"nar");
        let text = nix_base32_encode(&hash.0);
        for ending in ["", ".xz", ".zst", ".bz2", ".gz", ".br"] {
            assert_eq!(hash_of_nar(&format!("{text}.nar{ending}")), Some(hash));
        }
        for other in [format!("{text}.nar.exe"), format!("{}.nar", &text[1..]), text, "x.nar".to_owned()] {
            assert_eq!(hash_of_nar(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_member_leaves_the_folder(path in "\\PC*|nar/[./a-z]*|[./a-z0-9]*narinfo") {
            for name in Member::parse(&path).map(Member::names).unwrap_or_default() {
                prop_assert!(!name.contains('/') && name != ".." && name != ".");
            }
        }
    }
}
