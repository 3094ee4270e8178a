//! The TPM of a machine that enrols, and what was measured otherwise than before: pure.

use super::measured::{self, Quoted};
use ::tpm::{
    event_log::Thing,
    public::{EndorsementKey, QuotingKey},
};
use protocol::{
    encoding::{Sha256, base64},
    failure,
    tpm::{ProvenTpm, TpmFound, TpmState, Vouched},
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
    /// The machine says that it has this one.
    Claimed(Claimed),
    /// It has it.
    Proven(ProvenTpm),
}

/// A TPM that a machine says that it has. Of the vendor's certificate nothing but what it says is kept: there may be many
/// machines that prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Public area of the endorsement key.
    #[serde(with = "base64")]
    pub endorsement: Vec<u8>,
    /// Public area of the key that quotes.
    #[serde(with = "base64")]
    pub quoting: Vec<u8>,
    /// Who vouches for the endorsement key.
    pub vendor: Vouched,
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
    /// Reads the public areas that a machine shows.
    ///
    /// # Errors
    /// `E-TPM` where they are not of the kinds that prove anything.
    pub fn read(endorsement: &[u8], quoting: &[u8]) -> failure::Result<Self> {
        let (endorsement, quoting) = (EndorsementKey::parse(endorsement)?, QuotingKey::parse(quoting)?);
        Ok(Self { endorsement, quoting })
    }
}

impl Tpm {
    /// What a machine says that it has found; `vouch` says who vouches for an endorsement key by a certificate.
    pub fn of(found: TpmFound, vouch: impl FnOnce(Option<&[u8]>, &EndorsementKey) -> Vouched) -> Self {
        match found.bounded() {
            TpmFound::Nothing => Self::Absent,
            TpmFound::Broken { why } => Self::Broken { why },
            TpmFound::There(keys) => match Keys::read(&keys.endorsement, &keys.quoting) {
                Ok(read) => {
                    let vendor =
                        vouch(keys.certificate.as_ref().map(|certificate| &certificate.0[..]), &read.endorsement);
                    Self::Claimed(Claimed { endorsement: keys.endorsement, quoting: keys.quoting, vendor })
                }
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

/// What is otherwise with a node's TPM than when it was proven before, for the history. `things` and `things_before` are what the
/// logs say of what was measured.
pub fn news(before: Option<&ProvenTpm>, things_before: &[Thing], now: &ProvenTpm, things: &[Thing]) -> Vec<String> {
    let misfit = measured::misfit(before.map(|before| &before.log), &now.log);
    let changed = before.and_then(|before| {
        if before.ek != now.ek {
            return Some(format!("its TPM is another one than before: EK {}, not {}", now.ek, before.ek));
        }
        let (was, is) = (Quoted { pcrs: &before.pcrs, things: things_before }, Quoted { pcrs: &now.pcrs, things });
        let changes = measured::changes(was, is).join("; ");
        (!changes.is_empty()).then(|| format!("its TPM has measured otherwise than at the last enrolment: {changes}"))
    });
    changed.into_iter().chain(misfit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Timestamp, measured::Log, tpm::TpmKeys};

    fn proven(ek: u8, pcrs: &[(u8, u8)]) -> ProvenTpm {
        ProvenTpm {
            ek: Sha256::of(&[ek]),
            quoting: Sha256::of(b"quoting"),
            vendor: Vouched::Nobody("none is configured".to_owned()),
            pcrs: pcrs.iter().map(|(index, value)| (*index, Sha256::of(&[*value]))).collect(),
            log: Log::default(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_pcr_that_changed_is_named_and_nothing_is_said_where_none_did() {
        let before = proven(1, &[(0, 0), (4, 4), (7, 7)]);
        let said = |now: &ProvenTpm| news(Some(&before), &[], now, &[]);
        assert!(said(&before).is_empty() && news(None, &[], &before, &[]).is_empty());
        let texts = said(&proven(1, &[(0, 0), (4, 5), (7, 8)]));
        assert_eq!(texts.len(), 1);
        assert!(texts[0].ends_with("PCR 4 (what the firmware started); PCR 7 (Secure Boot)"), "{texts:?}");
    }

    #[test]
    fn another_tpm_is_named_whatever_it_has_measured_and_a_log_that_does_not_fit_beside_it() {
        let other = ProvenTpm { log: Log::DoesNotFit("why".to_owned()), ..proven(2, &[(0, 0)]) };
        let texts = news(Some(&proven(1, &[(0, 0)])), &[], &other, &[]);
        assert!(texts[0].contains("another one") && texts[0].contains(&Sha256::of(&[2]).hex()), "{texts:?}");
        assert!(texts[1].contains("does not fit"), "{texts:?}");
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
        let nobody = Vouched::Nobody(String::new());
        let keys = Claimed { endorsement: vec![1], quoting: vec![2], vendor: nobody };
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
        let Tpm::Broken { why } = Tpm::of(TpmFound::There(keys), |_, _| panic!("nobody is asked")) else { panic!() };
        assert!(why.contains("default templates"), "{why}");
    }
}
