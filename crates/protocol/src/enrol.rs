//! enrol/1: hello, enrol, code, certificate (docs/design.md section 4).

use crate::{
    Timestamp,
    claims::Claims,
    encoding::{self, Sha256},
    enrol_token::EnrolToken,
    inventory::Inventory,
    names::{NodeName, RunId},
    tpm::{TpmChallenge, TpmFound},
};
use serde::{Deserialize, Serialize};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 32;

/// First message: the node commits to its key before it sees the server's nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloRequest {
    /// The node's nonce.
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
    /// SHA-256 of the CSR in DER.
    pub csr_sha256: Sha256,
    /// The root by which the node knows this server, which is in its code: the first that its image pins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_spki_sha256: Option<Sha256>,
}

/// The server's answer to hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// Names this enrolment until there is a certificate; secret, at least 128 bit.
    pub session: String,
    /// The server's nonce.
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
    /// The server's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// Ed25519 by the manifest key over [`hello_statement`].
    #[serde(with = "encoding::base64")]
    pub signature: Vec<u8>,
}

/// The bytes that the server signs in its answer to hello.
pub fn hello_statement(client_nonce: &[u8], server_nonce: &[u8], time: Timestamp) -> Vec<u8> {
    let mut statement = b"centra hello/1\n".to_vec();
    for nonce in [client_nonce, server_nonce] {
        statement.extend_from_slice(Sha256::of(nonce).hex().as_bytes());
        statement.push(b'\n');
    }
    statement.extend_from_slice(time.unix_timestamp_nanos().to_string().as_bytes());
    statement
}

/// Second message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// From [`HelloReply`].
    pub session: String,
    /// The certificate signing request, DER; its hash must be the one of hello.
    #[serde(with = "encoding::base64")]
    pub csr: Vec<u8>,
    /// What the machine says of itself.
    pub claims: Claims,
    /// What the agent read.
    pub inventory: Inventory,
    /// The run that enrols.
    pub run: RunId,
    /// The session of an enrolment of the same machine that this one takes the place of: it has found the key of an earlier
    /// installation on a disk that came late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// A one-time token that was given to the machine. It may be shown later, by the same request with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<EnrolToken>,
    /// Release of the agent.
    pub agent_version: String,
    /// The machine's TPM.
    #[serde(default)]
    pub tpm: TpmFound,
}

/// Where an enrolment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EnrolState {
    Pending,
    Approved,
    Rejected,
    Conflict,
    Revoked,
}

/// The server's answer to enrol, and to each poll after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolReply {
    /// Where it stands.
    pub state: EnrolState,
    /// What admission still needs, for people: `an admin to type the code`.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The node that this machine is, once approved.
    #[serde(default)]
    pub node: Option<NodeName>,
    /// Leaf and CA in PEM, once approved.
    #[serde(default)]
    pub certificate: Option<String>,
    /// What proves the machine's TPM, until it has been proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmChallenge>,
}

/// The code that an admin compares: eight base32 characters over both keys and both nonces, `K7QF-2M9X`.
///
/// `csr_spki` and `ca_spki` are SHA-256 of the DER SubjectPublicKeyInfo.
pub fn code(csr_spki: &Sha256, ca_spki: &Sha256, client_nonce: &[u8], server_nonce: &[u8]) -> String {
    let mut input = b"centra code/1\n".to_vec();
    for hash in [*csr_spki, *ca_spki, Sha256::of(client_nonce), Sha256::of(server_nonce)] {
        input.extend_from_slice(&hash.0);
    }
    let digest = Sha256::of(&input);
    let text = data_encoding::BASE32.encode(&digest.0[..5]);
    format!("{}-{}", &text[..4], &text[4..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_depends_on_both_keys_and_both_nonces() {
        let (a, b) = (Sha256::of(b"a"), Sha256::of(b"b"));
        let base = code(&a, &b, b"1", b"2");
        assert_eq!(base.len(), 9);
        assert_eq!(base, code(&a, &b, b"1", b"2"));
        for other in
            [code(&b, &b, b"1", b"2"), code(&a, &a, b"1", b"2"), code(&a, &b, b"x", b"2"), code(&a, &b, b"1", b"x")]
        {
            assert_ne!(base, other);
        }
    }
}
