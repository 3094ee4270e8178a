//! `/cache/...`: a Nix binary cache of static files, as `nix copy --to file://DIR` makes it.

use super::reply::{self, Refusal};
use crate::files;
use axum::{http::HeaderMap, response::Response};
use protocol::encoding::NIX_BASE32;
use std::path::Path;

/// What a cache consists of, and nothing else of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member<'a> {
    Info,
    NarInfo(&'a str),
    Nar(&'a str),
}

impl<'a> Member<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        if path == "nix-cache-info" {
            return Some(Self::Info);
        }
        if let Some(name) = path.strip_prefix("nar/") {
            return files::is_plain_name(name).then_some(Self::Nar(name));
        }
        let hash = path.strip_suffix(".narinfo")?;
        (hash.len() == 32 && hash.bytes().all(|byte| NIX_BASE32.contains(&byte))).then_some(Self::NarInfo(path))
    }

    fn names(self) -> Vec<&'a str> {
        match self {
            Self::Info => vec!["nix-cache-info"],
            Self::NarInfo(name) => vec![name],
            Self::Nar(name) => vec!["nar", name],
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Info => "text/x-nix-cache-info",
            Self::NarInfo(_) => "text/x-nix-narinfo",
            Self::Nar(_) => "application/x-nix-nar",
        }
    }
}

/// Answers a request for a file of the cache; `path` is behind `/cache/`.
///
/// # Errors
/// 404 for whatever is no member of a cache.
pub async fn serve(folder: &Path, request: &HeaderMap, path: &str) -> Result<Response, Refusal> {
    let absent = || Refusal::from_open("such file", &std::io::ErrorKind::NotFound.into());
    let member = Member::parse(path).ok_or_else(absent)?;
    let (file, metadata) =
        files::open_soon(folder, &member.names()).await.map_err(|error| Refusal::from_open(path, &error))?;
    Ok(reply::file(request, file, metadata.len(), &reply::tag_of(&metadata), member.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn no_member_leaves_the_folder(path in "\\PC*|nar/[./a-z]*|[./a-z0-9]*narinfo") {
            for name in Member::parse(&path).map(Member::names).unwrap_or_default() {
                prop_assert!(!name.contains('/') && name != ".." && name != ".");
            }
        }
    }
}
