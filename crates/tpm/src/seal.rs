//! Secrets that this TPM alone opens, and only while its PCRs are what they were when the secret was sealed.
//!
//! The blob is the one that systemd-cryptenroll keeps: a `TPM2B_PRIVATE` and a `TPM2B_PUBLIC`, below a P-256 key of the
//! owner's hierarchy that is made anew each time.

use crate::{
    MOST_BYTES, Tpm, Transport,
    client::{Command, OWNER, PASSWORD},
    draw, failed,
    public::{self, Name, StorageKey},
    quote::Selection,
    session::{Hides, Kind},
    wire::{Malformed, Reader, Writer},
};
use protocol::{encoding::Sha256, failure::Result, tpm::Pcrs};

/// The longest secret that every TPM takes.
pub const MOST_SECRET: usize = 128;
const SEALING: &str = "sealing a secret to the TPM";
const OPENING: &str = "opening what was sealed to a TPM";

/// A secret that is sealed. Whoever has it without the TPM has nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What it opens by.
    pub pcrs: Selection,
    policy: Sha256,
    private: Vec<u8>,
    public: Vec<u8>,
}

/// The storage key, in the TPM's memory.
struct Storage {
    handle: u32,
    key: StorageKey,
}

impl Sealed {
    /// Reads a [blob](Self::blob) that opens by these PCRs.
    ///
    /// # Errors
    /// `E-TPM` where it is none.
    pub fn read(pcrs: Selection, blob: &[u8]) -> Result<Self> {
        let read = || {
            if blob.len() > MOST_BYTES {
                return Err(Malformed);
            }
            let mut reader = Reader::new(blob);
            let (private, public) = (reader.sized()?.to_vec(), reader.sized()?.to_vec());
            reader.end()?;
            Ok(Self { pcrs, policy: public::sealed_policy(&public)?, private, public })
        };
        read().map_err(|_: Malformed| failed(OPENING, &"it is damaged"))
    }

    /// To be kept.
    pub fn blob(&self) -> Vec<u8> {
        Writer::new().sized(&self.private).sized(&self.public).done()
    }

    /// The hash that the TPM goes by: over the PCRs and their values.
    pub fn policy(&self) -> Sha256 {
        self.policy
    }
}

/// A new secret, to be sealed.
///
/// # Errors
/// `E-TPM` where there is no randomness.
pub fn new_secret() -> Result<[u8; 32]> {
    draw(SEALING)
}

/// The policy of PCRs with these values: of none, the chip itself is all that is asked.
pub fn policy(values: &Pcrs) -> Sha256 {
    const BEGIN: [u8; 32] = [0; 32];
    let Some(selection) = Selection::of(values.keys().copied()).filter(|selection| *selection != Selection::NONE)
    else {
        return Sha256(BEGIN);
    };
    let values: Vec<u8> = values.values().flat_map(|value| value.0).collect();
    let area = Writer::new().bytes(&BEGIN).u32(Command::PolicyPcr as u32).bytes(&selection.list());
    Sha256::of(&area.bytes(&Sha256::of(&values).0).done())
}

impl<T: Transport> Tpm<T> {
    /// Seals a secret of at most [`MOST_SECRET`] bytes to this TPM and what these PCRs are now. It reaches the TPM
    /// encrypted.
    ///
    /// # Errors
    /// `E-TPM`; also where the TPM keeps no SHA-256 of what was measured, or its owner has set a password.
    pub fn seal(&mut self, pcrs: Selection, secret: &[u8]) -> Result<Sealed> {
        if secret.is_empty() || secret.len() > MOST_SECRET {
            return Err(failed(SEALING, &format!("it has not 1 to {MOST_SECRET} bytes")));
        }
        let policy = policy(&self.pcrs(pcrs)?);
        self.with_storage(|tpm, storage| tpm.seal_below(storage, pcrs, policy, secret))
    }

    /// Opens it.
    ///
    /// # Errors
    /// `E-TPM`; also where another TPM has sealed it, or where the PCRs are not what they were then.
    pub fn unseal(&mut self, sealed: &Sealed) -> Result<Vec<u8>> {
        if policy(&self.pcrs(sealed.pcrs)?) != sealed.policy {
            let why = format!("{} of this machine now and when it was sealed differ", sealed.pcrs);
            return Err(failed(OPENING, &why));
        }
        self.with_storage(|tpm, storage| {
            let handle = tpm.load(storage, sealed)?;
            let secret = tpm.open_loaded(storage, sealed, handle);
            tpm.flush(handle)?;
            secret
        })
    }

    fn with_storage<R>(&mut self, what: impl FnOnce(&mut Self, &Storage) -> Result<R>) -> Result<R> {
        let (handle, area) = self.make_primary(OWNER, &StorageKey::template())?;
        let done = match StorageKey::parse(&area) {
            Ok(key) => what(self, &Storage { handle, key }),
            Err(error) => Err(failed("making a key in the TPM", &error)),
        };
        self.flush(handle)?;
        done
    }

    fn seal_below(&mut self, storage: &Storage, pcrs: Selection, policy: Sha256, secret: &[u8]) -> Result<Sealed> {
        let session = self.begin(Kind::Password, storage.handle, &storage.key)?;
        let sensitive = Writer::new().sized(&[]).sized(secret).done();
        let parameters = Writer::new().sized(&sensitive).sized(&public::sealed_template(&policy)).sized(&[]).u32(0);
        let parent = (storage.handle, &storage.key.name());
        let answer = self.hidden(&session, Command::Create, parent, &parameters.done(), Hides::Command, SEALING)?;
        let read = || {
            let mut reader = Reader::new(&answer);
            let (private, public) = (reader.sized()?.to_vec(), reader.sized()?.to_vec());
            // What opens by something else than was asked for is not what was asked for.
            if public::sealed_policy(&public)? != policy {
                return Err(Malformed);
            }
            Ok(Sealed { pcrs, policy, private, public })
        };
        read().map_err(|error| failed(SEALING, &error))
    }

    fn load(&mut self, storage: &Storage, sealed: &Sealed) -> Result<u32> {
        let parameters = Writer::new().sized(&sealed.private).sized(&sealed.public).done();
        let parent = storage.handle.to_be_bytes();
        Ok(self.making(Command::Load, &parent, &[PASSWORD], &parameters, OPENING)?.0)
    }

    fn open_loaded(&mut self, storage: &Storage, sealed: &Sealed, handle: u32) -> Result<Vec<u8>> {
        let session = self.begin(Kind::Policy, storage.handle, &storage.key)?;
        if sealed.pcrs != Selection::NONE {
            let body = Writer::new().u32(session.handle).sized(&[]).bytes(&sealed.pcrs.list()).done();
            self.plain(Command::PolicyPcr, &body, OPENING).inspect_err(|_| {
                let _ = self.flush(session.handle);
            })?;
        }
        let object = (handle, &Name::of(&sealed.public));
        let answer = self.hidden(&session, Command::Unseal, object, &[], Hides::Answer, OPENING)?;
        Reader::new(&answer).sized().map(<[u8]>::to_vec).map_err(|error| failed(OPENING, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd-cryptenroll 252 wrote it for a TPM into which nothing had been measured.
    #[test]
    fn the_policy_is_the_one_that_systemd_computes() {
        let known = "8b5682d81b29435d08d79278150611dc7e5923b2fefcce684a09577b40130a8b";
        assert_eq!(policy(&Pcrs::from([(7, Sha256([0; 32]))])).hex(), known);
        assert_eq!(policy(&Pcrs::new()).hex(), "0".repeat(64));
    }
}
