//! Ed25519 signatures of store paths: the only thing that makes a cache's word count.

use crate::{content_address, fault::Fault, narinfo::NarInfo};
use data_encoding::BASE64;
use protocol::{Code, Failure, failure::Result};
use ring::signature::{ED25519, UnparsedPublicKey};

/// A public key that the operator trusts.
#[derive(Debug, Clone)]
pub struct PublicKey {
    name: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Reads `NAME:BASE64`.
    ///
    /// # Errors
    /// `E-CONFIG` where it is something else.
    pub fn parse(text: &str) -> Result<Self> {
        let key = text.split_once(':').and_then(|(name, key)| {
            let bytes = BASE64.decode(key.as_bytes()).ok()?.try_into().ok()?;
            let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            named.then(|| Self { name: name.to_owned(), bytes })
        });
        key.ok_or_else(|| Failure::new(Code::Config, format!("{text:?} is not a public key NAME:BASE64 of Ed25519")))
    }

    fn made(&self, signature: &str, message: &[u8]) -> bool {
        let Some((name, signature)) = signature.split_once(':') else { return false };
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else { return false };
        name == self.name && UnparsedPublicKey::new(&ED25519, self.bytes).verify(message, &signature).is_ok()
    }
}

/// Whether anybody has signed it, or its content proves the path: where neither is so, no key can make it good.
pub fn is_there(info: &NarInfo) -> bool {
    !info.signatures.is_empty() || content_address::proves(info)
}

/// Checks that one of the trusted keys signed the narinfo, or that its content proves the path
/// ([`content_address::proves`]), which whoever unpacks it checks.
///
/// # Errors
/// `E-CLOSURE-SIGNATURE` where neither is so.
pub fn verify(info: &NarInfo, trusted: &[PublicKey]) -> Result<(), Fault> {
    let message = info.fingerprint();
    let good = info.signatures.iter().any(|text| trusted.iter().any(|key| key.made(text, message.as_bytes())));
    if good || content_address::proves(info) {
        return Ok(());
    }
    let signers: Vec<&str> = info.signatures.iter().filter_map(|text| text.split(':').next()).collect();
    let cause = match signers.is_empty() {
        true => format!("{} has no signature", info.path),
        false => format!("{} has no good signature of a trusted key (signed by: {})", info.path, signers.join(", ")),
    };
    Err(Failure::new(Code::ClosureSignature, cause).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::narinfo;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    const TEXT: &str = "StorePath: /nix/store/0123456789abcdfghijklmnpqrsvwxyz-a\nURL: x\nCompression: none\n\
        NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\nNarSize: 120\n\
        References: 1123456789abcdfghijklmnpqrsvwxyz-c 0123456789abcdfghijklmnpqrsvwxyz-b\n";

    fn signed() -> (NarInfo, PublicKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let mut info = narinfo::parse(TEXT).unwrap();
        let signature = pair.sign(info.fingerprint().as_bytes());
        info.signatures.insert(format!("k-1:{}", BASE64.encode(signature.as_ref())));
        let key = PublicKey::parse(&format!("k-1:{}", BASE64.encode(pair.public_key().as_ref()))).unwrap();
        (info, key)
    }

    #[test]
    fn a_good_signature_passes_and_anything_signed_that_changes_breaks_it() {
        let (info, key) = signed();
        assert!(verify(&info, std::slice::from_ref(&key)).is_ok());
        let changes: [fn(&mut NarInfo); 3] =
            [|info| info.nar_size += 1, |info| info.nar_hash.0[0] ^= 1, |info| drop(info.references.pop_first())];
        for change in changes {
            let mut changed = info.clone();
            change(&mut changed);
            let fault = verify(&changed, std::slice::from_ref(&key)).unwrap_err();
            assert_eq!(fault.failure.code, Code::ClosureSignature);
        }
    }

    #[test]
    fn no_key_another_key_or_the_same_name_with_another_key_does_not_pass() {
        let (info, key) = signed();
        let other_name = PublicKey { name: "k-2".into(), ..key };
        let mut other_key = key;
        other_key.bytes[0] ^= 1;
        for keys in [vec![], vec![other_name], vec![other_key]] {
            assert!(verify(&info, &keys).is_err());
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for bad in ["", "a", "a:", ":AAAA", "a:AAAA", "a b:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(PublicKey::parse(bad).unwrap_err().code, Code::Config, "{bad}");
        }
    }
}
