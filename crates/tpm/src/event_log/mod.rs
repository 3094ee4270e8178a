//! The firmware's event log (TCG PC Client Platform Firmware Profile, sections 9 and 10): what was measured, in order. It
//! is a machine's own word, and believed only where its digests make the PCRs that a TPM has quoted.

mod device_path;
mod meaning;

pub use meaning::{MOST_THINGS, Said, Thing, What};

use crate::{
    public::SHA256,
    quote::Selection,
    wire::{Malformed, Reader},
};
use protocol::{
    encoding::Sha256,
    measured::{EventLog, MOST_LOG},
    tpm::Pcrs,
};
use std::{fs::File, io::Read, path::Path};

/// Where the kernel shows it; securityfs has to be mounted.
pub const KERNEL: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";

/// The first event says in which form the others are.
const SPECIFICATION: &[u8; 16] = b"Spec ID Event03\0";
/// No event: it tells something, and nothing is measured.
const NO_ACTION: u32 = 3;
/// From where the TPM was started, which its PCR 0 begins with.
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";
/// A log has digests of no more kinds.
const MOST_BANKS: u32 = 16;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pcr: u32,
    kind: u32,
    digest: Sha256,
    data: &'a [u8],
}

impl Event<'_> {
    /// Whether what is told of it is what was measured. Else it may be anything.
    fn tells_what_was_measured(&self) -> bool {
        Sha256::of(self.data) == self.digest
    }
}

/// The running firmware's log, from [`KERNEL`].
pub fn found(path: &Path) -> EventLog {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_LOG as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.is_empty() => EventLog::Missing("the kernel shows an empty one".to_owned()),
        Ok(bytes) if bytes.len() > MOST_LOG => EventLog::Missing(format!("it has more than {MOST_LOG} bytes")),
        Ok(bytes) => EventLog::Sent(bytes),
        Err(error) => EventLog::Missing(std::io::Error::to_string(&error)),
    }
}

/// What a log says, where it makes these PCRs.
///
/// # Errors
/// Why nothing of it is believed, for people.
pub fn read(log: &[u8], pcrs: &Pcrs) -> Result<Said, String> {
    if log.len() > MOST_LOG {
        return Err(format!("it has more than {MOST_LOG} bytes"));
    }
    let events = events(log).map_err(|Malformed| "it is no log with SHA-256 digests (TCG, Spec ID Event03)")?;
    let made = replayed(&events);
    let others: Vec<String> = made
        .iter()
        .filter(|(index, value)| pcrs.get(index) != Some(value))
        .map(|(index, _)| index.to_string())
        .collect();
    if others.is_empty() {
        Ok(meaning::of(&events))
    } else {
        Err(format!("it does not make PCR {}", others.join(", ")))
    }
}

/// All events. They are views of the log, and no more than fit into it.
pub(crate) fn events(log: &[u8]) -> Result<Vec<Event<'_>>, Malformed> {
    let mut reader = Reader::new(log);
    let banks = banks(&mut reader)?;
    let mut events = Vec::new();
    while !reader.rest().is_empty() {
        let (pcr, kind) = (reader.u32_le()?, reader.u32_le()?);
        let mut digest = None;
        // Each event has one digest of each bank.
        if reader.u32_le()? as usize != banks.len() {
            return Err(Malformed);
        }
        for _ in 0..banks.len() {
            let algorithm = reader.u16_le()?;
            let (_, size) = banks.iter().find(|(known, _)| *known == algorithm).ok_or(Malformed)?;
            let bytes = reader.take(usize::from(*size))?;
            if algorithm == SHA256 {
                digest = Some(Sha256(bytes.try_into().map_err(|_| Malformed)?));
            }
        }
        events.push(Event { pcr, kind, digest: digest.ok_or(Malformed)?, data: reader.sized_le()? });
    }
    Ok(events)
}

/// The first event, which is in the form of earlier logs: which digests the others have, and of what size.
fn banks(reader: &mut Reader<'_>) -> Result<Vec<(u16, u16)>, Malformed> {
    let (_, kind) = (reader.u32_le()?, reader.u32_le()?);
    reader.take(20)?;
    let mut header = Reader::new(reader.sized_le()?);
    header.constant(SPECIFICATION)?;
    // Class of the platform, version, errata, size of an UINTN.
    header.take(8)?;
    let count = header.u32_le()?;
    if kind != NO_ACTION || count > MOST_BANKS {
        return Err(Malformed);
    }
    let banks = (0..count).map(|_| Ok((header.u16_le()?, header.u16_le()?))).collect::<Result<Vec<_>, Malformed>>()?;
    if banks.contains(&(SHA256, 32)) { Ok(banks) } else { Err(Malformed) }
}

/// The PCRs that these events make, from 0 to 7.
pub(crate) fn replayed(events: &[Event<'_>]) -> Pcrs {
    let nothing = Sha256([0; 32]);
    let mut pcrs: Pcrs = Selection::FIRMWARE.indexes().map(|index| (index, nothing)).collect();
    for event in events {
        let pcr = u8::try_from(event.pcr).ok().and_then(|index| pcrs.get_mut(&index));
        match (pcr, event.kind) {
            (Some(value), NO_ACTION) => {
                if let Some([locality]) = event.data.strip_prefix(STARTUP_LOCALITY)
                    && *value == nothing
                    && event.pcr == 0
                {
                    value.0[31] = *locality;
                }
            }
            (Some(value), _) => *value = Sha256::of(&[value.0, event.digest.0].concat()),
            (None, _) => {}
        }
    }
    pcrs
}

#[cfg(test)]
mod tests;
