//! Whether a key that the operator trusts has signed a path.

use data_encoding::BASE64;
use protocol::{Code, Failure, failure::Result, narinfo::NarInfo};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::str::FromStr;

/// `NAME:BASE64`, as in nix.conf.
#[derive(Debug, Clone)]
pub struct PublicKey {
    name: String,
    bytes: [u8; 32],
}

impl FromStr for PublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not a public key NAME:BASE64 of Ed25519";
        let (name, key) = text.trim().split_once(':').ok_or(wrong)?;
        let bytes = BASE64.decode(key.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(wrong)?;
        Ok(Self { name: name.to_owned(), bytes })
    }
}

impl PublicKey {
    fn has_signed(&self, info: &NarInfo) -> bool {
        let own = info.signatures.iter().filter_map(|text| text.split_once(':')).filter(|(name, _)| *name == self.name);
        let key = UnparsedPublicKey::new(&ED25519, self.bytes);
        let good = |signature: Vec<u8>| key.verify(info.fingerprint().as_bytes(), &signature).is_ok();
        own.filter_map(|(_, signature)| BASE64.decode(signature.as_bytes()).ok()).any(good)
    }
}

/// Checks that one of the keys has signed it; anything passes where there are none.
///
/// # Errors
/// `E-CLOSURE-SIGNATURE`.
pub fn verify(info: &NarInfo, keys: &[PublicKey]) -> Result<()> {
    if keys.is_empty() || keys.iter().any(|key| key.has_signed(info)) {
        return Ok(());
    }
    let cause = format!("importing {}: none of the trusted keys has signed it", info.path);
    Err(Failure::new(Code::ClosureSignature, cause).with_remedy("sign it, or pass the key of who did: --trusted-key"))
}
