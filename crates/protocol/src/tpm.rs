//! What a machine with a TPM 2.0 shows while it enrols, and what is known of it then (docs/design.md section 4).

use crate::{
    Timestamp,
    encoding::{self, Sha256},
    measured::{EventLog, Log},
    text::cut,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of a public area.
const MOST_PUBLIC: usize = 512;
/// Bytes of a vendor's certificate.
const MOST_CERTIFICATE: usize = 4096;
/// Bytes of a text.
const MOST_TEXT: usize = 256;
/// PCRs of a bank.
const MOST_PCRS: usize = 24;

/// PCRs by their index.
pub type Pcrs = BTreeMap<u8, Sha256>;

/// What the agent found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "lowercase")]
pub enum TpmFound {
    /// The kernel knows of none.
    #[default]
    Nothing,
    /// One that does not do as it should.
    Broken {
        /// What went wrong.
        why: String,
    },
    /// One with these keys.
    There(TpmKeys),
}

/// The keys of a TPM. That they are in one is not proven yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmKeys {
    /// Public area of the endorsement key: which TPM it is.
    #[serde(with = "encoding::base64")]
    pub endorsement: Vec<u8>,
    /// The vendor's certificate of that key, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Der>,
    /// Public area of the key that quotes.
    #[serde(with = "encoding::base64")]
    pub quoting: Vec<u8>,
}

/// A certificate, DER.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Der(#[serde(with = "encoding::base64")] pub Vec<u8>);

impl TpmFound {
    /// The same, where it is no larger than what a TPM has.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            TpmFound::Nothing => TpmFound::Nothing,
            TpmFound::Broken { why } => TpmFound::Broken { why: cut(why, MOST_TEXT) },
            TpmFound::There(keys) => {
                let certificate = keys.certificate.as_ref().map_or(0, |certificate| certificate.0.len());
                let fits = keys.endorsement.len() <= MOST_PUBLIC && keys.quoting.len() <= MOST_PUBLIC;
                if fits && certificate <= MOST_CERTIFICATE {
                    TpmFound::There(keys)
                } else {
                    TpmFound::Broken { why: "what it shows of itself is too long".to_owned() }
                }
            }
        }
    }
}

/// What a machine is asked to prove its TPM by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmChallenge {
    /// A secret that only this TPM can open, and only while the quoting key is in it.
    #[serde(with = "encoding::base64")]
    pub credential: Vec<u8>,
    /// By what the TPM opens it.
    #[serde(with = "encoding::base64")]
    pub secret: Vec<u8>,
    /// What is to be quoted over, see [`quoted`].
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
}

/// The proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmProof {
    /// The secret.
    #[serde(with = "encoding::base64")]
    pub opened: Vec<u8>,
    /// What the TPM says of its PCRs, as it signs it.
    #[serde(with = "encoding::base64")]
    pub attested: Vec<u8>,
    /// By the quoting key over it.
    #[serde(with = "encoding::base64")]
    pub signature: Vec<u8>,
    /// The PCRs themselves.
    pub pcrs: Pcrs,
    /// The log of what was measured into them.
    #[serde(default)]
    pub log: EventLog,
}

impl TpmProof {
    /// Whether it is no larger than what a TPM gives; its log is looked at apart from it.
    pub fn is_bounded(&self) -> bool {
        [&self.opened, &self.attested, &self.signature].iter().all(|bytes| bytes.len() <= MOST_PUBLIC)
            && self.pcrs.len() <= MOST_PCRS
    }
}

/// What a quote is made over: the server's nonce and the key that enrols, so that it is good for this key alone.
///
/// `spki` is SHA-256 of the DER SubjectPublicKeyInfo.
pub fn quoted(nonce: &[u8], spki: &Sha256) -> [u8; 32] {
    let mut input = b"centra quote/1\n".to_vec();
    for hash in [Sha256::of(nonce), *spki] {
        input.extend_from_slice(&hash.0);
    }
    Sha256::of(&input).0
}

/// A TPM that has been proven: its endorsement key and the key that quotes are in one chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenTpm {
    /// SHA-256 of the public area of the endorsement key: which TPM it is, and what `match.ek` of a spec names.
    pub ek: Sha256,
    /// SHA-256 of the public area of the key that quotes.
    pub quoting: Sha256,
    /// Who vouches for the endorsement key.
    pub vendor: Vouched,
    /// What was measured.
    pub pcrs: Pcrs,
    /// What the firmware's log says of that.
    #[serde(default)]
    pub log: Log,
    /// When that was quoted.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
}

/// Who vouches for an endorsement key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// A vendor that is configured, by this name.
    By(String),
    /// Nobody, for this reason.
    Nobody(String),
}

/// Whether the server wants to hear what was measured when the node's system started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// Tells this start from others.
    pub boot: Sha256,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wanted", rename_all = "kebab-case")]
pub enum QuoteWanted {
    /// It knows of this start already, or of no TPM of this node.
    No,
    /// It does.
    Yes {
        /// What is to be quoted over, see [`quoted`].
        #[serde(with = "encoding::base64")]
        nonce: Vec<u8>,
    },
}

/// What was measured when the node's system started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartQuote {
    /// As in [`QuoteRequest`].
    pub boot: Sha256,
    /// Public area of the key that quotes.
    #[serde(with = "encoding::base64")]
    pub quoting: Vec<u8>,
    /// As in [`TpmProof`].
    #[serde(with = "encoding::base64")]
    pub attested: Vec<u8>,
    /// As in [`TpmProof`].
    #[serde(with = "encoding::base64")]
    pub signature: Vec<u8>,
    /// The PCRs themselves.
    pub pcrs: Pcrs,
    /// The log of what was measured into them.
    #[serde(default)]
    pub log: EventLog,
}

impl StartQuote {
    /// Whether it is no larger than what a TPM gives; its log is looked at apart from it.
    pub fn is_bounded(&self) -> bool {
        [&self.quoting, &self.attested, &self.signature].iter().all(|bytes| bytes.len() <= MOST_PUBLIC)
            && self.pcrs.len() <= MOST_PCRS
    }
}

/// What is known of the starts of a node's system, from its disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Starts {
    /// The last one of which the TPM that the node has proven told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<MeasuredStart>,
    /// A later one beside another TPM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside_another_tpm: Option<StrangeStart>,
}

impl Starts {
    /// Whether what was measured in this one has been told.
    pub fn knows(&self, boot: &Sha256) -> bool {
        self.last.as_ref().is_some_and(|start| start.boot == *boot)
            || self.beside_another_tpm.as_ref().is_some_and(|start| start.boot == *boot)
    }
}

/// A start of a node's system, measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredStart {
    /// Tells it from others.
    pub boot: Sha256,
    /// What was measured.
    pub pcrs: Pcrs,
    /// What the firmware's log says of that.
    pub log: Log,
    /// When that was quoted.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
}

/// A start beside a TPM that the node has not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrangeStart {
    /// Tells it from others.
    pub boot: Sha256,
    /// SHA-256 of the public area of the key that quotes.
    pub quoting: Sha256,
    /// When it was told.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
}

/// What is known of the TPM of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TpmState {
    /// It shows none.
    #[default]
    Absent,
    /// One that does not do as it should, or shows what no TPM shows.
    Broken {
        /// What is wrong with it.
        why: String,
    },
    /// It says that it has this one.
    Claimed {
        /// As [`ProvenTpm::ek`].
        ek: Sha256,
    },
    /// It has it.
    Proven(ProvenTpm),
}

/// What a PCR of the firmware is about, for people.
pub fn pcr_title(index: u8) -> &'static str {
    match index {
        0 => "the firmware",
        1 => "the firmware's settings and boot order",
        2 => "option ROMs",
        3 => "settings of option ROMs",
        4 => "what the firmware started",
        5 => "settings of that, and the partition table",
        6 => "the maker's own",
        7 => "Secure Boot",
        _ => "others",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TpmKeys {
        TpmKeys { endorsement: vec![1; 314], certificate: Some(Der(vec![2; 1000])), quoting: vec![3; 88] }
    }

    #[test]
    fn a_quote_is_made_for_one_nonce_and_one_key() {
        let (a, b) = (Sha256::of(b"a"), Sha256::of(b"b"));
        let all = [quoted(b"1", &a), quoted(b"1", &b), quoted(b"2", &a)];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }

    #[test]
    fn what_no_tpm_would_show_is_not_kept() {
        let there = TpmFound::There(keys());
        assert_eq!(there.clone().bounded(), there);
        for keys in [
            TpmKeys { endorsement: vec![0; 513], ..keys() },
            TpmKeys { quoting: vec![0; 513], ..keys() },
            TpmKeys { certificate: Some(Der(vec![0; 4097])), ..keys() },
        ] {
            assert!(matches!(TpmFound::There(keys).bounded(), TpmFound::Broken { .. }));
        }
        let TpmFound::Broken { why } = (TpmFound::Broken { why: "x".repeat(9999) }).bounded() else { panic!() };
        assert_eq!(why.len(), MOST_TEXT);
    }

    #[test]
    fn what_stands_on_the_wire_is_read_again() {
        for found in [TpmFound::Nothing, TpmFound::Broken { why: "why".into() }, TpmFound::There(keys())] {
            let text = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<TpmFound>(&text).unwrap(), found, "{text}");
        }
        let ek = Sha256::of(b"ek");
        let proven = ProvenTpm {
            ek,
            quoting: ek,
            vendor: Vouched::By("CN=vendor".into()),
            pcrs: [(0, ek), (7, ek)].into(),
            log: Log::default(),
            at: Timestamp::UNIX_EPOCH,
        };
        for state in [TpmState::Absent, TpmState::Claimed { ek }, TpmState::Proven(proven)] {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<TpmState>(&text).unwrap(), state, "{text}");
        }
    }
}
