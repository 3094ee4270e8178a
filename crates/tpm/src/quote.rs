//! What a TPM says of its PCRs: read and believed without a TPM.

use crate::{
    failed,
    public::{QuotingKey, SHA256},
    wire::{Malformed, Reader, Writer},
};
use protocol::{encoding::Sha256, failure::Result, tpm::Pcrs};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::fmt;

/// `TPM_GENERATED`: no other bytes that a restricted key signs begin with it.
const GENERATED: u32 = 0xff54_4347;
const QUOTE: u16 = 0x8018;
/// Clock, resets, restarts, whether the clock is safe; then the firmware's version.
const CLOCK_AND_FIRMWARE: usize = 8 + 4 + 4 + 1 + 8;
/// No quote is longer.
pub const MOST_ATTESTED: usize = 512;

/// Which PCRs of the SHA-256 bank, from 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection([u8; 3]);

impl Selection {
    /// What the firmware measures: itself, its settings, what Secure Boot goes by, and what it started.
    pub const FIRMWARE: Self = Self([0xff, 0, 0]);

    /// None at all.
    pub const NONE: Self = Self([0; 3]);

    /// These; `None` where one of them is none of the 24 that every TPM of a PC has.
    pub fn of(indexes: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut bits = [0; 3];
        for index in indexes {
            *bits.get_mut(usize::from(index / 8))? |= 1 << (index % 8);
        }
        Some(Self(bits))
    }

    /// Their numbers, in order.
    pub fn indexes(self) -> impl Iterator<Item = u8> {
        (0..24).filter(move |index| self.0[usize::from(index / 8)] & (1 << (index % 8)) != 0)
    }

    /// As many in each as every TPM gives at once.
    pub(crate) fn few_at_once(self) -> impl Iterator<Item = Self> {
        let [low, middle, high] = self.0;
        [[low, 0, 0], [0, middle, 0], [0, 0, high]].into_iter().map(Self).filter(|few| *few != Self::NONE)
    }

    /// As a `TPML_PCR_SELECTION`.
    pub(crate) fn list(self) -> Vec<u8> {
        Writer::new().u32(1).u16(SHA256).u8(3).bytes(&self.0).done()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.indexes().map(|index| index.to_string()).collect();
        match numbers.len() {
            0 => f.write_str("no PCR"),
            1 => write!(f, "PCR {}", numbers[0]),
            _ => write!(f, "PCRs {}", numbers.join(", ")),
        }
    }
}

/// A quote as the machine sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// A `TPMS_ATTEST`.
    pub attested: Vec<u8>,
    /// Of the quoting key over it: both numbers, 32 bytes each.
    pub signature: Vec<u8>,
    /// The PCRs that it is about.
    pub pcrs: Pcrs,
}

/// The PCRs, where the TPM with this key says of them, over what the server drew, that they are so.
///
/// # Errors
/// `E-TPM` where it does not.
pub fn verify(quote: Quote, key: &QuotingKey, over: &[u8; 32]) -> Result<Pcrs> {
    let refused = |why: &str| failed("checking a TPM's quote", &why);
    if quote.attested.len() > MOST_ATTESTED {
        return Err(refused("it is too long"));
    }
    // Before anything is read of it.
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.point.uncompressed())
        .verify(&quote.attested, &quote.signature)
        .map_err(|_| refused("it is not signed by the TPM's key"))?;
    let read = attested(&quote.attested).map_err(|_| refused("what is signed is no quote of a TPM"))?;
    if read.over != over {
        return Err(refused("it was made for another request"));
    }
    if read.selection != Selection::FIRMWARE.list() || !quote.pcrs.keys().copied().eq(Selection::FIRMWARE.indexes()) {
        return Err(refused("it is not about PCRs 0 to 7"));
    }
    let values: Vec<u8> = quote.pcrs.values().flat_map(|value| value.0).collect();
    if read.digest != Sha256::of(&values).0 {
        return Err(refused("the PCRs are not those that are signed"));
    }
    Ok(quote.pcrs)
}

pub(crate) struct Attested<'a> {
    over: &'a [u8],
    selection: &'a [u8],
    digest: &'a [u8],
}

pub(crate) fn attested(bytes: &[u8]) -> Result<Attested<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    reader.constant(&Writer::new().u32(GENERATED).u16(QUOTE).done())?;
    reader.sized()?;
    let over = reader.sized()?;
    reader.take(CLOCK_AND_FIRMWARE)?;
    let selection = reader.take(Selection::FIRMWARE.list().len())?;
    let digest = reader.sized()?;
    reader.end()?;
    Ok(Attested { over, selection, digest })
}
