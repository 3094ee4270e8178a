//! What a LUKS2 header says of its slots and tokens, and the token that systemd-cryptenroll keeps beside a sealed key.

use data_encoding::BASE64;
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use serde::Deserialize;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use tpm::seal::Sealed;

/// Slots of a LUKS2 header.
const SLOTS: u8 = 32;
const KIND: &str = "systemd-tpm2";

/// A LUKS2 header, as far as keys are concerned.
#[derive(Debug, Deserialize)]
pub struct Header {
    keyslots: Map<String, serde_json::Value>,
    tokens: BTreeMap<String, Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    keyslots: Vec<String>,
}

impl Header {
    /// As `cryptsetup luksDump --dump-json-metadata` prints it.
    pub fn read(json: &str) -> Result<Self> {
        serde_json::from_str(json).or_fail(Code::DiskUnfit, || "reading the header of a LUKS device".to_owned())
    }

    /// The key of this slot is none that somebody may guess: systemd-cryptenroll and we stretch what is sealed as little as may be.
    fn is_random(&self, slot: &str) -> bool {
        const LITTLE: u64 = 1000;
        let kdf = self.keyslots.get(slot).map(|slot| &slot["kdf"]);
        kdf.is_some_and(|kdf| kdf["type"] == "pbkdf2" && kdf["iterations"].as_u64().is_some_and(|n| n <= LITTLE))
    }

    /// A slot without a key.
    pub fn free_slot(&self) -> Option<u8> {
        (0..SLOTS).find(|slot| !self.keyslots.contains_key(&slot.to_string()))
    }

    /// The tokens of what was sealed to a TPM, each with those of its slots that have such a key: a number may have been given to
    /// a passphrase since, which is stretched.
    pub fn sealed(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        let sealed = self.tokens.iter().filter(|(_, token)| token.kind == KIND);
        sealed.map(|(number, token)| {
            let slots = token.keyslots.iter().filter(|slot| self.is_random(slot));
            (number.as_str(), slots.map(String::as_str))
        })
    }
}

/// The token beside this slot.
pub fn of(slot: &str, sealed: &Sealed) -> String {
    let pcrs: Vec<u8> = sealed.pcrs.indexes().collect();
    let mut token = json!({
        "type": KIND,
        "keyslots": [slot],
        "tpm2-blob": BASE64.encode(&sealed.blob()),
        "tpm2-pcrs": pcrs,
        "tpm2-primary-alg": "ecc",
        "tpm2-policy-hash": sealed.policy().hex(),
        "tpm2-pin": false,
    });
    if !pcrs.is_empty() {
        token["tpm2-pcr-bank"] = json!("sha256");
    }
    token.to_string()
}
