//! Nix's base32, and byte strings in JSON.

use std::fmt;

/// Nix's base32 alphabet: no e, o, t, u.
pub const NIX_BASE32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Text that is not the encoding it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEncoding;

impl fmt::Display for BadEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not in the expected encoding")
    }
}

impl std::error::Error for BadEncoding {}

/// Encodes as Nix does: the number is little endian, the last 5-bit group comes first.
pub fn nix_base32_encode(bytes: &[u8]) -> String {
    let length = (bytes.len() * 8).div_ceil(5);
    (0..length)
        .rev()
        .map(|group| {
            let (byte, shift) = (group * 5 / 8, group * 5 % 8);
            let low = u16::from(bytes[byte]);
            let high = bytes.get(byte + 1).map_or(0, |next| u16::from(*next));
            let digit = ((low | (high << 8)) >> shift) & 31;
            char::from(NIX_BASE32[usize::from(digit)])
        })
        .collect()
}

/// Decodes exactly `N` bytes of Nix's base32.
///
/// # Errors
/// [`BadEncoding`] where the length, a digit or a padding bit is wrong.
pub fn nix_base32_decode<const N: usize>(text: &str) -> Result<[u8; N], BadEncoding> {
    if text.len() != (N * 8).div_ceil(5) {
        return Err(BadEncoding);
    }
    let mut bytes = [0u8; N];
    for (group, symbol) in text.bytes().rev().enumerate() {
        let digit = NIX_BASE32.iter().position(|known| *known == symbol).ok_or(BadEncoding)?;
        let (byte, shift) = (group * 5 / 8, group * 5 % 8);
        let value = (digit as u16) << shift;
        bytes[byte] |= (value & 0xff) as u8;
        let carry = (value >> 8) as u8;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= carry,
            None if carry != 0 => return Err(BadEncoding),
            None => {}
        }
    }
    Ok(bytes)
}

/// `Vec<u8>` as base64 in JSON: `#[serde(with = "protocol::encoding::base64")]`.
pub mod base64 {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the bytes as base64.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    /// Reads base64.
    ///
    /// # Errors
    /// Those of the deserializer, and text that is not base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}

/// A SHA-256 as 64 hex digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The hash of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// 64 hex digits.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl std::str::FromStr for Sha256 {
    type Err = BadEncoding;
    fn from_str(text: &str) -> Result<Self, BadEncoding> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| BadEncoding)?;
        Ok(Self(bytes.try_into().map_err(|_| BadEncoding)?))
    }
}

impl serde::Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> serde::Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a SHA-256 of 64 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encodes_what_nix_encodes() {
        // nix-hash --type sha256 --to-base32 of the SHA-256 of no bytes.
        let empty = Sha256::of(b"");
        assert_eq!(nix_base32_encode(&empty.0), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    }

    proptest! {
        #[test]
        fn base32_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(nix_base32_decode::<32>(&nix_base32_encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn base32_of_anything_never_panics(text in "\\PC{0,60}") {
            let _ = nix_base32_decode::<32>(&text);
        }
    }
}
