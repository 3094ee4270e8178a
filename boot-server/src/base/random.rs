//! Random numbers of the system.

use protocol::{Code, Failure, failure::Result};
use ring::rand::{SecureRandom, SystemRandom};

/// `N` random bytes.
///
/// # Errors
/// `E-SYSTEM` where the system has none.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills the bytes with random ones.
///
/// # Errors
/// As [`bytes`].
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    let none = |_| Failure::new(Code::System, "reading random numbers: the system has none");
    SystemRandom::new().fill(bytes).map_err(none)
}

/// A name that nobody can guess: 256 bit in base64 for URLs.
///
/// # Errors
/// As [`bytes`].
pub fn name() -> Result<String> {
    Ok(data_encoding::BASE64URL_NOPAD.encode(&bytes::<32>()?))
}
