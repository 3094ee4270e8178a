//! The `CA` field: a claim that a path's name follows from its content. It is not signed, and Nix trusts a
//! path that makes it without any signature; so it is kept only where the name, which is signed, follows.

use crate::fault::Fault;
use crate::narinfo::NarInfo;
use protocol::{
    encoding::{Sha256, nix_base32_decode, nix_base32_encode},
    names::StorePath,
};

/// The claim to be registered: the narinfo's, unless it is of a kind that is not known here.
///
/// # Errors
/// `E-CLOSURE-CORRUPT` where the path's name does not follow from the claim.
pub fn checked(info: &NarInfo) -> Result<Option<String>, Fault> {
    let Some(claim) = &info.ca else { return Ok(None) };
    let Some(expected) = hash_part(claim, info) else {
        tracing::warn!("{}: leaving out CA {claim:?}, which this agent cannot check", info.path);
        return Ok(None);
    };
    if expected == info.path.hash_part() {
        return Ok(Some(claim.clone()));
    }
    Err(Fault::corrupt(format!("narinfo field CA: {claim:?} does not lead to {}", info.path)))
}

/// The hash part that a path with this claim, name and references has.
fn hash_part(claim: &str, info: &NarInfo) -> Option<String> {
    let name = &info.path.base()[33..];
    if let Some(hash) = claim.strip_prefix("text:") {
        return Some(store_hash(&with_references("text", info), &hex(hash)?, name));
    }
    let rest = claim.strip_prefix("fixed:")?;
    let (recursive, hash) = match rest.strip_prefix("r:") {
        Some(hash) => (true, hex(hash)?),
        None => (false, hex(rest)?),
    };
    if recursive && hash.starts_with("sha256:") {
        return Some(store_hash(&with_references("source", info), &hash, name));
    }
    let mode = if recursive { "r:" } else { "" };
    let inner = Sha256::of(format!("fixed:out:{mode}{hash}:").as_bytes());
    info.references.is_empty().then(|| store_hash("output:out", &format!("sha256:{inner}"), name))
}

/// `ALGORITHM:` and base32, as `ALGORITHM:` and hex.
fn hex(hash: &str) -> Option<String> {
    let (algorithm, digits) = hash.split_once(':')?;
    let bytes = match algorithm {
        "sha1" => nix_base32_decode::<20>(digits).ok()?.to_vec(),
        "sha256" => nix_base32_decode::<32>(digits).ok()?.to_vec(),
        "sha512" => nix_base32_decode::<64>(digits).ok()?.to_vec(),
        _ => return None,
    };
    Some(format!("{algorithm}:{}", data_encoding::HEXLOWER.encode(&bytes)))
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
    use crate::narinfo;

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
}
