//! The TPM of a machine that enrols, and what was measured otherwise than before: pure.

use ::tpm::public::{EndorsementKey, QuotingKey};
use protocol::{
    encoding::Sha256,
    failure::Result,
    tpm::{ProvenTpm, TpmFound, TpmKeys, TpmState, pcr_title},
};
use serde::{Deserialize, Serialize};

/// The TPM of a machine that enrols, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tpm {
    /// The machine shows none.
    #[default]
    Absent,
    /// One that does not do as it should, or shows what no TPM shows.
    Broken {
        /// What is wrong with it.
        why: String,
    },
    /// The machine says that it has one with these keys.
    Claimed(TpmKeys),
    /// It has it.
    Proven(ProvenTpm),
}

/// The keys of a TPM, read.
#[derive(Debug)]
pub struct Keys {
    /// Which TPM it is.
    pub endorsement: EndorsementKey,
    /// What quotes.
    pub quoting: QuotingKey,
}

impl Keys {
    /// Reads the keys that a machine shows.
    ///
    /// # Errors
    /// `E-TPM` where they are not of the kinds that prove anything.
    pub fn read(keys: &TpmKeys) -> Result<Self> {
        let (endorsement, quoting) = (EndorsementKey::parse(&keys.endorsement)?, QuotingKey::parse(&keys.quoting)?);
        Ok(Self { endorsement, quoting })
    }
}

impl Tpm {
    /// What a machine says that it has found.
    pub fn of(found: TpmFound) -> Self {
        match found.bounded() {
            TpmFound::Nothing => Self::Absent,
            TpmFound::Broken { why } => Self::Broken { why },
            TpmFound::There(keys) => match Keys::read(&keys) {
                Ok(_) => Self::Claimed(keys),
                Err(failure) => Self::Broken { why: failure.cause },
            },
        }
    }

    /// What is known of it.
    pub fn state(&self) -> TpmState {
        match self {
            Self::Absent => TpmState::Absent,
            Self::Broken { why } => TpmState::Broken { why: why.clone() },
            Self::Claimed(keys) => TpmState::Claimed { ek: Sha256::of(&keys.endorsement) },
            Self::Proven(proven) => TpmState::Proven(proven.clone()),
        }
    }
}

/// What is otherwise with a node's TPM than when it was proven before, for the history.
pub fn changes(before: &ProvenTpm, now: &ProvenTpm) -> Option<String> {
    if before.ek != now.ek {
        return Some(format!("its TPM is another one than before: EK {}, not {}", now.ek, before.ek));
    }
    let changed: Vec<String> = now
        .pcrs
        .iter()
        .filter(|(index, value)| before.pcrs.get(index).is_some_and(|before| before != *value))
        .map(|(index, _)| format!("PCR {index} ({})", pcr_title(*index)))
        .collect();
    (!changed.is_empty())
        .then(|| format!("its TPM has measured otherwise than at the last enrolment: {}", changed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Timestamp, tpm::Vouched};

    fn proven(ek: u8, pcrs: &[(u8, u8)]) -> ProvenTpm {
        ProvenTpm {
            ek: Sha256::of(&[ek]),
            quoting: Sha256::of(b"quoting"),
            vendor: Vouched::Nobody("none is configured".to_owned()),
            pcrs: pcrs.iter().map(|(index, value)| (*index, Sha256::of(&[*value]))).collect(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_pcr_that_changed_is_named_and_nothing_is_said_where_none_did() {
        let before = proven(1, &[(0, 0), (4, 4), (7, 7)]);
        assert_eq!(changes(&before, &before), None);
        let text = changes(&before, &proven(1, &[(0, 0), (4, 5), (7, 8)])).unwrap();
        assert!(text.ends_with("PCR 4 (what the firmware started), PCR 7 (Secure Boot)"), "{text}");
        // What was not quoted before is no change.
        assert_eq!(changes(&proven(1, &[(0, 0)]), &before), None);
    }

    #[test]
    fn another_tpm_is_named_whatever_it_has_measured() {
        let text = changes(&proven(1, &[(0, 0)]), &proven(2, &[(0, 0)])).unwrap();
        assert!(text.contains("another one") && text.contains(&Sha256::of(&[2]).hex()), "{text}");
    }

    #[test]
    fn keys_that_prove_nothing_are_taken_as_a_broken_tpm() {
        let keys = TpmKeys { endorsement: vec![1; 300], certificate: None, quoting: vec![2; 80] };
        let Tpm::Broken { why } = Tpm::of(TpmFound::There(keys)) else { panic!() };
        assert!(why.contains("default templates"), "{why}");
    }
}
