//! The TPM of a machine that enrols, and what was measured otherwise than before: pure.

use ::tpm::public::{EndorsementKey, QuotingKey};
use protocol::{
    encoding::Sha256,
    failure,
    tpm::{ProvenTpm, TpmFound, TpmKeys, TpmState, Vouched, pcr_title},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    pub fn read(keys: &TpmKeys) -> failure::Result<Self> {
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

    /// Which TPM it says that it is, proven or not.
    pub fn ek(&self) -> Option<Sha256> {
        match self {
            Self::Absent | Self::Broken { .. } => None,
            Self::Claimed(keys) => Some(Sha256::of(&keys.endorsement)),
            Self::Proven(proven) => Some(proven.ek),
        }
    }

    /// Which TPM it is.
    pub fn proven_ek(&self) -> Option<Sha256> {
        if let Self::Proven(proven) = self { Some(proven.ek) } else { None }
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

/// Why a TPM admits a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The node's spec names its endorsement key.
    BySpec,
    /// The server's configuration lists its endorsement key.
    Listed,
    /// A vendor that is configured has certified its endorsement key.
    Vendor(String),
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Known::BySpec => f.write_str("which its spec names"),
            Known::Listed => f.write_str("which is in tpm.ek_allow"),
            Known::Vendor(vendor) => write!(f, "certified by {vendor}"),
        }
    }
}

/// Why the TPM admits the machine as a node whose spec names this endorsement key, or none.
///
/// # Errors
/// What is missing, for people: the machine waits, or is admitted in another way.
pub fn known(tpm: &Tpm, named: Option<&Sha256>, listed: &BTreeSet<Sha256>) -> Result<Known, String> {
    let proven = match tpm {
        Tpm::Absent => {
            let why = "this machine has none, or its kernel shows none (is it off in the firmware?)";
            return Err(format!("a TPM 2.0: {why}"));
        }
        Tpm::Broken { why } => return Err(format!("a TPM that does as it should: {why}")),
        Tpm::Claimed(keys) => {
            let ek = Sha256::of(&keys.endorsement);
            return Err(match named {
                Some(named) if *named != ek => another(named, &ek),
                _ => format!("the proof of its TPM (EK {ek})"),
            });
        }
        Tpm::Proven(proven) => proven,
    };
    match (named, &proven.vendor) {
        (Some(named), _) if *named == proven.ek => Ok(Known::BySpec),
        (Some(named), _) => Err(another(named, &proven.ek)),
        (None, _) if listed.contains(&proven.ek) => Ok(Known::Listed),
        (None, Vouched::By(vendor)) => Ok(Known::Vendor(vendor.clone())),
        (None, Vouched::Nobody(_)) => {
            Err(format!("a TPM that is known: this one's EK {} in match.ek of the spec or in tpm.ek_allow", proven.ek))
        }
    }
}

fn another(named: &Sha256, has: &Sha256) -> String {
    format!("the TPM that its spec names (EK {named}): this machine has another one (EK {has})")
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
    use protocol::Timestamp;

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
    fn a_tpm_admits_where_the_spec_names_it_or_else_where_it_is_listed_or_certified() {
        let ek = |n: u8| Sha256::of(&[n]);
        let (nobody, vendor) = (Vouched::Nobody(String::new()), Vouched::By("CN=vendor".to_owned()));
        let of = |vendor: &Vouched| Tpm::Proven(ProvenTpm { vendor: vendor.clone(), ..proven(1, &[]) });
        let (none, listed) = (BTreeSet::new(), BTreeSet::from([ek(1)]));
        assert_eq!(known(&of(&nobody), Some(&ek(1)), &none), Ok(Known::BySpec));
        assert_eq!(known(&of(&nobody), None, &listed), Ok(Known::Listed));
        assert_eq!(known(&of(&vendor), None, &none), Ok(Known::Vendor("CN=vendor".to_owned())));
        assert!(known(&of(&nobody), None, &none).unwrap_err().contains(&ek(1).hex()));
        // Neither the list nor a vendor makes it the one that the spec names.
        for vendor in [&nobody, &vendor] {
            let why = known(&of(vendor), Some(&ek(2)), &listed).unwrap_err();
            assert!(why.contains("another one") && why.contains(&ek(2).hex()), "{why}");
        }
    }

    #[test]
    fn a_tpm_that_is_absent_broken_or_only_claimed_admits_nobody_and_says_so() {
        let keys = TpmKeys { endorsement: vec![1], certificate: None, quoting: vec![2] };
        let ek = Sha256::of(&keys.endorsement);
        let listed = BTreeSet::from([ek]);
        for (tpm, words) in [
            (Tpm::Absent, "off in the firmware"),
            (Tpm::Broken { why: "it hangs".to_owned() }, "it hangs"),
            (Tpm::Claimed(keys), "the proof of its TPM"),
        ] {
            for named in [None, Some(&ek)] {
                let why = known(&tpm, named, &listed).unwrap_err();
                assert!(why.contains(words), "{why}");
            }
        }
    }

    #[test]
    fn keys_that_prove_nothing_are_taken_as_a_broken_tpm() {
        let keys = TpmKeys { endorsement: vec![1; 300], certificate: None, quoting: vec![2; 80] };
        let Tpm::Broken { why } = Tpm::of(TpmFound::There(keys)) else { panic!() };
        assert!(why.contains("default templates"), "{why}");
    }
}
