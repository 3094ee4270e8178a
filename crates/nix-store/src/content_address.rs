//! The `CA` field: a claim that a path's name follows from its content. It is not signed, and Nix trusts a
//! path that makes it without any signature; so it is kept only where the name follows, and counts for a signature only
//! where the content is checked as well.

use crate::{fault::Fault, nar::Sink, narinfo::NarInfo};
use data_encoding::HEXLOWER;
use protocol::{
    encoding::{Sha256, nix_base32_decode, nix_base32_encode},
    names::StorePath,
};
use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use std::io;

/// The claim to be registered: the narinfo's, unless it is of a kind that is not known here.
///
/// # Errors
/// `E-CLOSURE-CORRUPT` where the path's name does not follow from the claim.
pub fn checked(info: &NarInfo) -> Result<Option<String>, Fault> {
    let Some(claim) = &info.ca else { return Ok(None) };
    let Some(expected) = Claim::parse(claim).and_then(|claim| claim.hash_part(info)) else {
        tracing::warn!("{}: leaving out CA {claim:?}, which this agent cannot check", info.path);
        return Ok(None);
    };
    if expected == info.path.hash_part() {
        return Ok(Some(claim.clone()));
    }
    Err(Fault::corrupt(format!("narinfo field CA: {claim:?} does not lead to {}", info.path)))
}

/// Whether the path needs nobody's signature: its name follows from its references and its content, which
/// [`Checking`] finds to be the claimed one or not.
pub fn proves(info: &NarInfo) -> bool {
    let Some(claim) = info.ca.as_deref().and_then(Claim::parse) else { return false };
    claim.hash_part(info).as_deref() == Some(info.path.hash_part())
        && match claim.method {
            Method::Text | Method::Flat => true,
            // The digest of a tree that names itself leaves those places out, and only SHA-256 is that of the archive.
            Method::Recursive => {
                claim.is_nar_hash() && !info.references.contains(&info.path) && claim.digest == info.nar_hash.0
            }
        }
}

/// How a path's name follows from its content.
struct Claim {
    method: Method,
    algorithm: &'static Algorithm,
    digest: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    /// A file with references, as `builtins.toFile` makes it.
    Text,
    /// The bytes of one file.
    Flat,
    /// The archive of a tree.
    Recursive,
}

impl Claim {
    fn parse(text: &str) -> Option<Self> {
        let (method, hash) = match text.split_once(':')? {
            ("text", hash) => (Method::Text, hash),
            ("fixed", rest) => match rest.strip_prefix("r:") {
                Some(hash) => (Method::Recursive, hash),
                None => (Method::Flat, rest),
            },
            _ => return None,
        };
        let (algorithm, digits) = hash.split_once(':')?;
        let (algorithm, digest) = match algorithm {
            "sha1" => (&SHA1_FOR_LEGACY_USE_ONLY, nix_base32_decode::<20>(digits).ok()?.to_vec()),
            "sha256" => (&SHA256, nix_base32_decode::<32>(digits).ok()?.to_vec()),
            "sha512" => (&SHA512, nix_base32_decode::<64>(digits).ok()?.to_vec()),
            _ => return None,
        };
        Some(Self { method, algorithm, digest })
    }

    fn is_nar_hash(&self) -> bool {
        self.method == Method::Recursive && self.algorithm == &SHA256
    }

    /// `ALGORITHM:` and hex.
    fn hex(&self) -> String {
        let name = match self.digest.len() {
            20 => "sha1",
            32 => "sha256",
            _ => "sha512",
        };
        format!("{name}:{}", HEXLOWER.encode(&self.digest))
    }

    /// The hash part that a path with this claim, name and references has.
    fn hash_part(&self, info: &NarInfo) -> Option<String> {
        let (name, hash) = (&info.path.base()[33..], self.hex());
        if self.method == Method::Text {
            return Some(store_hash(&with_references("text", info), &hash, name));
        }
        if self.is_nar_hash() {
            return Some(store_hash(&with_references("source", info), &hash, name));
        }
        let mode = if self.method == Method::Recursive { "r:" } else { "" };
        let inner = Sha256::of(format!("fixed:out:{mode}{hash}:").as_bytes());
        info.references.is_empty().then(|| store_hash("output:out", &format!("sha256:{inner}"), name))
    }
}

/// Passes a tree on, and finds out whether its content is what the narinfo's claim says. The hash of the archive is for
/// others to check.
pub struct Checking<S> {
    inner: S,
    /// Of the one file that the path must be, and its digest so far.
    file: Option<(Claim, Option<Context>)>,
}

impl<S> Checking<S> {
    /// For the path that the narinfo describes.
    pub fn new(inner: S, info: &NarInfo) -> Self {
        let claim = info.ca.as_deref().and_then(Claim::parse);
        let file = claim.filter(|claim| matches!(claim.method, Method::Text | Method::Flat));
        Self { inner, file: file.map(|claim| (claim, None)) }
    }

    /// The tree is complete: whether it is what was claimed.
    #[must_use]
    pub fn holds(self) -> bool {
        self.file.is_none_or(|(claim, context)| {
            context.is_some_and(|context| context.finish().as_ref() == claim.digest.as_slice())
        })
    }
}

impl<S: Sink> Sink for Checking<S> {
    fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        self.inner.enter(name)
    }

    fn leave(&mut self) -> io::Result<()> {
        self.inner.leave()
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.inner.symlink(name, target)
    }

    fn open(&mut self, name: &[u8], executable: bool, size: u64) -> io::Result<()> {
        // Only a root that is a file has no name; such a digest says nothing of the executable bit, so it is not set.
        if let Some((claim, context)) = self.file.as_mut().filter(|_| name.is_empty() && !executable) {
            *context = Some(Context::new(claim.algorithm));
        }
        self.inner.open(name, executable, size)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, Some(context))) = &mut self.file {
            context.update(bytes);
        }
        self.inner.write(bytes)
    }

    fn close(&mut self) -> io::Result<()> {
        self.inner.close()
    }
}

fn with_references(kind: &str, info: &NarInfo) -> String {
    let mut text = kind.to_owned();
    for path in info.references.iter().filter(|path| **path != info.path) {
        text.push(':');
        text.push_str(path.as_str());
    }
    if info.references.contains(&info.path) {
        text.push_str(":self");
    }
    text
}

/// The SHA-256 of all that makes the path, folded to 160 bits.
fn store_hash(kind: &str, hash: &str, name: &str) -> String {
    let whole = Sha256::of(format!("{kind}:{hash}:{}:{name}", StorePath::DIR).as_bytes());
    let mut folded = [0u8; 20];
    for (at, byte) in whole.0.iter().enumerate() {
        folded[at % 20] ^= byte;
    }
    nix_base32_encode(&folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{nar, narinfo};

    fn info(base: &str, references: &str, claim: &str) -> NarInfo {
        let hash = nix_base32_encode(&[0; 32]);
        let text = format!(
            "StorePath: /nix/store/{base}\nURL: x\nCompression: none\nNarHash: sha256:{hash}\nNarSize: 120\n\
             References: {references}\nCA: {claim}\n"
        );
        narinfo::parse(&text).unwrap()
    }

    /// Made by `nix-store --add`, `--add-fixed [--recursive]` and `builtins.toFile`.
    const MADE_BY_NIX: &[(&str, &str, &str)] = &[
        (
            "i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt",
            "",
            "fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw",
        ),
        (
            "gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt",
            "",
            "fixed:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
        ),
        ("svdva85yi507g9vncgsaxvnd1r808h4w-hello.txt", "", "fixed:sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm"),
        (
            "8xkszhbayigjg9vbrrxfa1hp9qflbh6b-hello.txt",
            "",
            "fixed:r:sha512:2q80akf4fi29vbxj82s21m9y6xrdjnwi9q1c3kfab0032zdnl18nzninbjw6n0rz4p76g8s1c5yv9hznv09l085azzqvk4hn9irv389",
        ),
        (
            "vxv94chwwjk63w5bc9aid4w0ss4g7fak-t",
            "ym8ynnfz4vnlcfqn3rs6hv5r13la3x5s-u",
            "text:sha256:1aq8h726hz77spamympgja9xc7b7sp6gn7lx75flzjg8wvbs8v33",
        ),
    ];

    #[test]
    fn what_nix_made_is_kept_and_any_other_name_or_references_are_refused() {
        for (base, references, claim) in MADE_BY_NIX {
            assert_eq!(checked(&info(base, references, claim)).unwrap().as_deref(), Some(*claim));
            assert!(checked(&info(&format!("{base}x"), references, claim)).is_err());
        }
        let (base, _, claim) = MADE_BY_NIX[0];
        assert!(checked(&info(base, base, claim)).is_err());
    }

    #[test]
    fn a_claim_of_an_unknown_kind_is_left_out() {
        for claim in ["fixed:git:sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm", "fixed:md5:x", "x"] {
            assert_eq!(checked(&info("svdva85yi507g9vncgsaxvnd1r808h4w-hello.txt", "", claim)).unwrap(), None);
        }
    }

    /// What is claimed of a file and of a tree, with the archive that there is; whether it proves the path by itself, and
    /// whether the archive holds it.
    #[test]
    fn a_claim_counts_for_a_signature_only_where_the_archive_holds_it() {
        let archive = |bytes: &[u8], executable: bool| {
            let mut writer = nar::Writer::new(Vec::new()).unwrap();
            writer.open(b"", executable, bytes.len() as u64).unwrap();
            writer.write(bytes).unwrap();
            writer.close().unwrap();
            writer.into_inner()
        };
        let claimed = |method: Method, digest: Sha256, archive: &[u8]| {
            let claim = Claim { method, algorithm: &SHA256, digest: digest.0.to_vec() };
            let kind = match method {
                Method::Text => "text",
                Method::Flat => "fixed",
                Method::Recursive => "fixed:r",
            };
            let text = format!("{kind}:sha256:{}", nix_base32_encode(&digest.0));
            let mut info = info("i9pmrzmpshapij2kin22pff6fc2adavx-a", "", &text);
            info.nar_hash = Sha256::of(archive);
            info.path = StorePath::from_base(&format!("{}-a", claim.hash_part(&info).unwrap())).unwrap();
            let mut checking = Checking::new(nar::Writer::new(Vec::new()).unwrap(), &info);
            nar::unpack(&mut &archive[..], &mut checking).unwrap();
            (proves(&info), checking.holds())
        };
        let (good, other) = (archive(b"hello", false), archive(b"other", false));
        for method in [Method::Text, Method::Flat] {
            assert_eq!(claimed(method, Sha256::of(b"hello"), &good), (true, true));
            assert_eq!(claimed(method, Sha256::of(b"hello"), &other), (true, false));
            assert_eq!(claimed(method, Sha256::of(b"hello"), &archive(b"hello", true)), (true, false));
        }
        assert_eq!(claimed(Method::Recursive, Sha256::of(&good), &good), (true, true));
        let proved = claimed(Method::Recursive, Sha256::of(&good), &other).0;
        assert!(!proved, "the archive's hash says it already");
        let mut writer = nar::Writer::new(Vec::new()).unwrap();
        writer.enter(b"").unwrap();
        writer.open(b"a", false, 5).unwrap();
        writer.write(b"hello").unwrap();
        writer.close().unwrap();
        writer.leave().unwrap();
        assert!(!claimed(Method::Flat, Sha256::of(b"hello"), &writer.into_inner()).1, "a folder is no file");
    }

    #[test]
    fn a_tree_that_names_itself_or_a_claim_that_does_not_lead_to_its_name_proves_nothing() {
        let (base, references, claim) = MADE_BY_NIX[0];
        let mut info = info(base, references, claim);
        info.nar_hash = Sha256(Claim::parse(claim).unwrap().digest.try_into().unwrap());
        assert!(proves(&info));
        let changes: [fn(&mut NarInfo); 3] = [
            |info| info.references = [info.path.clone()].into(),
            |info| info.nar_hash.0[0] ^= 1,
            |info| info.ca = None,
        ];
        for change in changes {
            let mut changed = info.clone();
            change(&mut changed);
            assert!(!proves(&changed));
        }
    }
}
