//! What the events of a log say. Only digests are proven by PCRs: what an event tells counts where it is what was measured, and its
//! kind, which is never measured, counts for nothing.

use super::{
    Event, NO_ACTION,
    device_path::{self, MOST_TEXT, utf16},
};
use crate::wire::{Malformed, Reader};
use protocol::{
    boot_trust::{SecureBoot, SecureBootState},
    encoding::Sha256,
    measured::{Authority, Measured, Started},
    text::{cut, one_line},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Things of a log that are told apart.
pub const MOST_THINGS: usize = 256;
/// Programs that are named.
const MOST_STARTED: usize = 32;
const MOST_AUTHORITIES: usize = 16;
/// Bytes of a name.
const MOST_NAME: usize = 64;

const STARTED: u32 = 4;
const SECURE_BOOT: u32 = 7;
/// Programs of UEFI, drivers among them.
const IMAGES: [u32; 3] = [0x8000_0003, 0x8000_0004, 0x8000_0005];
const BOOT_VARIABLE: u32 = 0x8000_0002;
/// EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE, as they lie in memory.
const GLOBAL: [u8; 16] = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c];
const SECURITY: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];

/// What a log says that makes the PCRs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What people ask for.
    pub measured: Measured,
    /// One after the other, to be compared with another log's.
    pub things: Vec<Thing>,
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// Where to.
    pub pcr: u8,
    /// What the log calls it.
    pub what: What,
    /// What was measured of it.
    pub sha256: Sha256,
}

/// What the log calls a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Something that was started, from there.
    Started(Option<String>),
    /// Something else.
    Named(String),
}

/// What these events say, of PCRs 0 to 7.
pub(super) fn of(events: &[Event<'_>]) -> Said {
    let measured = |pcr| events.iter().filter(move |event| event.pcr == pcr && event.kind != NO_ACTION);
    let (secure_boot, authorities) = secure_boot(measured(SECURE_BOOT));
    let started: Vec<&Event<'_>> = measured(STARTED).filter(|event| is_program(event)).collect();
    let more_started = started.len().saturating_sub(MOST_STARTED);
    let started = started.into_iter().take(MOST_STARTED);
    let started = started.map(|event| Started { sha256: event.digest, from: from(event) }).collect();
    let things = events.iter().filter(|event| event.kind != NO_ACTION).filter_map(thing).take(MOST_THINGS).collect();
    Said { measured: Measured { secure_boot, authorities, started, more_started }, things }
}

/// Whatever PCR 4 has but the words that firmware measures on its way: somebody who calls a program by another name in his log
/// has it here all the same.
fn is_program(event: &Event<'_>) -> bool {
    !(event.tells_what_was_measured() && (is_separator(event.data) || words(event.data).is_some()))
}

/// It stands between what firmware does by itself and what it starts.
fn is_separator(data: &[u8]) -> bool {
    [[0; 4], [0xff; 4], [1, 0, 0, 0]].iter().any(|separator| data == separator)
}

/// A text that firmware measures as it is.
fn words(data: &[u8]) -> Option<String> {
    let text = data.strip_suffix(&[0]).unwrap_or(data);
    let fits = !text.is_empty() && text.len() <= MOST_TEXT && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    fits.then(|| String::from_utf8_lossy(text).into_owned())
}

/// From where a program came, as the log says.
fn from(event: &Event<'_>) -> Option<String> {
    if !IMAGES.contains(&event.kind) {
        return words(event.data);
    }
    let mut reader = Reader::new(event.data);
    // Where it lies in memory, its length, where it was made for.
    let path = reader.take(24).and_then(|_| reader.length_le()).and_then(|length| reader.take(length)).ok()?;
    Some(device_path::text(path)).filter(|text| !text.is_empty())
}

/// `UEFI_VARIABLE_DATA`.
struct Variable<'a> {
    vendor: &'a [u8],
    name: String,
    value: &'a [u8],
}

fn variable(data: &[u8]) -> Result<Variable<'_>, Malformed> {
    let mut reader = Reader::new(data);
    let vendor = reader.take(16)?;
    let (name, value) = (reader.length_le()?, reader.length_le()?);
    let name = reader.take(name.checked_mul(2).ok_or(Malformed)?)?;
    let value = reader.take(value)?;
    reader.end()?;
    Ok(Variable { vendor, name: cut(one_line(&utf16(name)), MOST_NAME), value })
}

/// Secure Boot, and what vouched for what was started.
///
/// PCR 7 begins with Secure Boot, PK, KEK, db and dbx, and a separator ends that. Whoever runs afterwards can measure as he likes, but
/// not before: up to there the first of a name counts, and nothing where one event does not tell what was measured.
fn secure_boot<'a, 'e: 'a>(events: impl Iterator<Item = &'a Event<'e>>) -> (Option<SecureBoot>, Vec<Authority>) {
    let (mut values, mut authorities) = (BTreeMap::<String, &[u8]>::new(), Vec::new());
    let (mut ended, mut tells) = (false, true);
    for event in events {
        let known = event.tells_what_was_measured();
        tells &= known || ended;
        if known && is_separator(event.data) {
            ended = true;
        }
        let Some(variable) = variable(event.data).ok().filter(|_| known) else { continue };
        let is_setting = match &*variable.name {
            "SecureBoot" | "PK" | "KEK" | "AuditMode" | "DeployedMode" => variable.vendor == GLOBAL,
            "db" | "dbx" | "dbt" | "dbr" => variable.vendor == SECURITY,
            _ => false,
        };
        if is_setting && !ended && !values.contains_key(&variable.name) {
            values.insert(variable.name, variable.value);
        } else if authorities.len() < MOST_AUTHORITIES && !variable.value.is_empty() {
            authorities.push(authority(variable));
        }
    }
    let told = tells && ended;
    (told.then(|| settings(&values)).flatten(), authorities)
}

fn settings(values: &BTreeMap<String, &[u8]>) -> Option<SecureBoot> {
    let hash = |name: &str| values.get(name).filter(|value| !value.is_empty()).map(|value| Sha256::of(value));
    let state = match (values.get("SecureBoot")?, hash("PK")) {
        ([1], _) => SecureBootState::On,
        // Whoever comes first may write the keys.
        (_, None) => SecureBootState::Setup,
        (_, Some(_)) => SecureBootState::Off,
    };
    Some(SecureBoot { state, pk: hash("PK"), kek: hash("KEK"), db: hash("db"), dbx: hash("dbx") })
}

/// An `EFI_SIGNATURE_DATA` has its owner's GUID before the entry; what others have put in is taken as it is.
fn authority(variable: Variable<'_>) -> Authority {
    let entry = variable.value.get(16..).unwrap_or_default();
    let read = X509Certificate::from_der(entry);
    let subject = read.ok().map(|(_, read)| cut(one_line(&read.subject().to_string()), MOST_TEXT));
    let measured = if subject.is_some() { entry } else { variable.value };
    Authority { list: variable.name, sha256: Sha256::of(measured), subject }
}

fn thing(event: &Event<'_>) -> Option<Thing> {
    let pcr = u8::try_from(event.pcr).ok().filter(|pcr| *pcr < 8)?;
    let program = if event.pcr == STARTED { is_program(event) } else { IMAGES.contains(&event.kind) };
    let what = if program { What::Started(from(event)) } else { What::Named(name(event)) };
    Some(Thing { pcr, what, sha256: event.digest })
}

fn name(event: &Event<'_>) -> String {
    let known = event.tells_what_was_measured();
    if known && is_separator(event.data) {
        return "the separator".to_owned();
    }
    // Of some settings only the value is measured.
    if let Ok(variable) = variable(event.data)
        && (known || event.kind == BOOT_VARIABLE)
    {
        return variable.name;
    }
    match words(event.data).filter(|_| known) {
        Some(words) => format!("\"{}\"", cut(words, MOST_NAME)),
        None => kind(event.kind),
    }
}

/// What the log says of what it is: for people alone.
fn kind(kind: u32) -> String {
    match kind {
        0x01 | 0x13 => "code of the firmware",
        0x04 => "a separator",
        0x07 => "the root of trust's code",
        0x08 => "the root of trust's version",
        0x09 => "microcode",
        0x0a => "the board's settings",
        0x0b => "the table of devices",
        0x0f..=0x11 => "code of another processor",
        0x8000_0006 | 0x8000_000d => "the partition table",
        0x8000_0008 | 0x8000_000a => "a volume of the firmware",
        0x8000_0009 | 0x8000_000b => "tables of the firmware",
        0x8000_0010 => "the root of trust's start",
        0x8000_00e1 | 0x8000_00e2 => "a device's firmware",
        other => return format!("an event of kind {other:#x}"),
    }
    .to_owned()
}
