//! Keys of LUKS devices that the machine's TPM alone opens, in the format of systemd-cryptenroll: a key slot whose
//! passphrase is sealed, and a token beside it that has what is sealed. The installed system opens it by its own tools.

mod token;

use crate::{
    keys::{path_of, shown},
    plan::Plan,
};
use data_encoding::BASE64;
use protocol::{Code, Failure, failure::Result};
use std::{collections::BTreeSet, fs::File, path::Path};
use token::Header;
use tpm::{
    DEVICE, Tpm, Transport,
    quote::Selection,
    seal::{Sealed, new_secret},
};

/// The passphrase has 256 random bits: to stretch it would make nothing safer, and every boot slower.
const ITERATIONS: &str = "1000";
const REMEDY: &str = "switch on the TPM 2.0 and its SHA-256 bank in the firmware's set-up, or take tpm2-device out of \
                      the layout's crypttabExtraOpts";

/// Runs cryptsetup with these arguments and this input; what it prints comes back.
pub type Cryptsetup<'a> = dyn Fn(&[String], Option<&[u8]>) -> Result<String> + 'a;

/// A LUKS device, and how its tool is run.
pub struct Volume<'a> {
    /// Its path, as the tool sees it.
    pub at: &'a str,
    /// How the tool is given a key that opens it.
    pub key: &'a [String],
    /// The tool.
    pub cryptsetup: &'a Cryptsetup<'a>,
}

/// Seals a secret to the machine's TPM.
///
/// # Errors
/// `E-TPM`; also where there is none, and where it does not answer.
pub fn by_this_machine(pcrs: Selection, secret: &[u8]) -> Result<Sealed> {
    let secret = secret.to_vec();
    tpm::in_time(move || open_tpm()?.seal(pcrs, &secret))
}

fn open_tpm() -> Result<Tpm<File>> {
    Tpm::open(Path::new(DEVICE)).map_err(|failure| failure.with_remedy(REMEDY))
}

/// Whether this machine can seal what the plan has to be sealed: each is tried, with a secret of no worth.
///
/// # Errors
/// `E-TPM`.
pub fn check(plan: &Plan) -> Result<()> {
    let wanted: BTreeSet<BTreeSet<u8>> = plan.sealings().cloned().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    tpm::in_time(move || {
        let mut tpm = open_tpm().map_err(|failure| {
            failure.context("looking for the TPM that the layout has keys sealed to; nothing was written")
        })?;
        wanted.iter().try_for_each(|pcrs| try_out(&mut tpm, pcrs))
    })
}

/// Seals a secret of no worth, and opens it.
///
/// # Errors
/// `E-TPM`; also where nothing has been measured into any of these PCRs: to be bound to them would mean nothing.
pub fn try_out<T: Transport>(tpm: &mut Tpm<T>, pcrs: &BTreeSet<u8>) -> Result<()> {
    const ACTIVITY: &str = "trying whether the TPM seals keys; nothing was written";
    let failed = |failure: Failure| failure.context(ACTIVITY).with_remedy(REMEDY);
    let selection = selection(pcrs)?;
    let values = tpm.pcrs(selection).map_err(failed)?;
    let is_reset = |value: &[u8; 32]| value.iter().all(|byte| *byte == 0) || value.iter().all(|byte| *byte == 0xff);
    if !values.is_empty() && values.values().all(|value| is_reset(&value.0)) {
        let cause = format!("{ACTIVITY}: the firmware has measured nothing into {selection}");
        return Err(Failure::new(Code::Tpm, cause).with_remedy(
            "switch measured boot on in the firmware's set-up, or have the key sealed to the chip alone (tpm2-pcrs=)",
        ));
    }
    let secret = new_secret()?;
    let opened = tpm.seal(selection, &secret).and_then(|sealed| tpm.unseal(&sealed)).map_err(failed)?;
    if opened != secret {
        return Err(failed(Failure::new(Code::Tpm, "it opens something else than was sealed")));
    }
    Ok(())
}

/// Gives the device a key of its own that this TPM alone opens, and takes away those that were sealed before: a key that
/// a person or a file has is never among them. Cut off at any point, the device opens as it did before; at worst a slot
/// is left whose key nobody knows.
///
/// # Errors
/// `E-TPM`; `E-TOOL`; `E-DISK-UNFIT` where no key slot is free.
pub fn seal(
    volume: &Volume<'_>,
    pcrs: &BTreeSet<u8>,
    by: impl FnOnce(Selection, &[u8]) -> Result<Sealed>,
) -> Result<()> {
    let header = Header::read(&volume.run(["luksDump", "--dump-json-metadata"], &[], None)?)?;
    let slot = header.free_slot().ok_or_else(|| {
        let cause = format!("looking for a free key slot of {}: all are in use", volume.at);
        Failure::new(Code::DiskUnfit, cause).with_remedy("take a key away: cryptsetup luksKillSlot DEVICE SLOT")
    })?;
    let secret = new_secret()?;
    let sealed = by(selection(pcrs)?, &secret).map_err(|failure| failure.with_remedy(REMEDY))?;
    let passphrase = shown(BASE64.encode(&secret).as_bytes(), "what is sealed")?;
    let (slot, new) = (slot.to_string(), path_of(&passphrase));
    let add = ["luksAddKey", "--key-slot", &slot, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", ITERATIONS];
    volume.run(add, &[&new], Some(volume.key))?;
    drop(passphrase);
    let token = token::of(&slot, &sealed);
    volume.input(["token", "import"], &token)?;
    for (number, slots) in header.sealed() {
        for slot in slots {
            if !volume.opens(slot) {
                volume.run(["luksKillSlot"], &[slot], Some(volume.key))?;
            }
        }
        volume.run(["token", "remove", "--token-id", number], &[], None)?;
    }
    Ok(())
}

impl Volume<'_> {
    /// Options, then the device, then what comes behind it, then the key.
    fn run<const N: usize>(&self, options: [&str; N], behind: &[&str], key: Option<&[String]>) -> Result<String> {
        let words = options.into_iter().chain([self.at]).chain(behind.iter().copied()).map(str::to_owned);
        let words = std::iter::once("-q".to_owned()).chain(words).chain(key.into_iter().flatten().cloned());
        (self.cryptsetup)(&words.collect::<Vec<_>>(), None)
    }

    fn input<const N: usize>(&self, options: [&str; N], input: &str) -> Result<()> {
        let words: Vec<String> = options.into_iter().chain([self.at]).map(str::to_owned).collect();
        (self.cryptsetup)(&words, Some(input.as_bytes())).map(drop)
    }

    /// The key that is given opens this very slot.
    fn opens(&self, slot: &str) -> bool {
        self.run(["open", "--test-passphrase", "--key-slot", slot], &[], Some(self.key)).is_ok()
    }
}

fn selection(pcrs: &BTreeSet<u8>) -> Result<Selection> {
    Selection::of(pcrs.iter().copied())
        .ok_or_else(|| Failure::new(Code::Tpm, format!("selecting PCRs {pcrs:?}: a TPM of a PC has 24 of them")))
}

#[cfg(test)]
mod tests;
