//! TPM 2.0 as far as an enrolment and sealed keys need it (docs/design.md section 4).
//!
//! The machine's side is [`Tpm`]: a client over a stream of bytes, such as `/dev/tpmrm0`. What it [seals](Tpm::seal) is
//! opened by this TPM alone, and only while its PCRs are what they were. The server's side has no TPM:
//! [`credential`] makes what only the TPM with an endorsement key can open, [`quote`] checks what a TPM says of its
//! PCRs, [`certificate`] whether a vendor vouches for the endorsement key, and [`event_log`] what was measured into them.
//!
//! The codec is our own: of the TPM's more than a hundred commands, thirteen are spoken here, and the public areas
//! that are read are of five shapes.

pub mod certificate;
mod client;
pub mod credential;
pub mod envelope;
pub mod event_log;
mod patience;
pub mod properties;
pub mod public;
pub mod quote;
mod randomness;
pub mod seal;
mod session;
mod transport;
mod wire;

pub use client::{Identity, Tpm};
pub use patience::{PATIENCE, in_time};
pub use randomness::Ring;
pub use transport::Transport;

use protocol::{Code, Failure, failure::Result};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt::Display;

/// Where the kernel has it, through its resource manager, which only a TPM 2.0 has.
pub const DEVICE: &str = "/dev/tpmrm0";

/// The longest command and the longest answer: what every TPM of a PC bears.
pub const MOST_BYTES: usize = 4096;

/// `E-TPM`, while this was done.
fn failed(activity: &str, why: &dyn Display) -> Failure {
    Failure::new(Code::Tpm, format!("{activity}: {why}"))
}

/// What nobody can guess.
fn draw(activity: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| failed(activity, &"there is no randomness"))?;
    Ok(bytes)
}
