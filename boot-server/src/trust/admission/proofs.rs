//! TPMs proven: the challenge of an enrolment, and what comes back. The server needs no TPM for it.

use super::Admission;
use crate::{
    base::{clock::now, random},
    domain::{
        measured::{self, Start},
        tpm::{Claimed, Keys, Tpm, news},
    },
    state::{
        Unit,
        enrolments::{Enrolment, Standing},
        nodes::Node,
    },
};
use ::tpm::{
    certificate::Issuers,
    credential,
    event_log::Thing,
    public::EndorsementKey,
    quote::{self, Quote},
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    enrol::EnrolReply,
    failure::Result,
    text::cut,
    tpm::{ProvenTpm, TpmChallenge, TpmProof, Vouched, quoted},
};
use ring::hmac;

/// Bytes of a vendor's name.
const MOST_NAME: usize = 256;

/// What proofs are asked and judged by.
pub struct Prover {
    /// Drawn at the start. A challenge follows from it and from the enrolment, so that nothing is kept of those that
    /// nobody answers; a server that restarts makes another one.
    key: hmac::Key,
    issuers: Issuers,
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prover").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

impl Prover {
    /// One that believes these vendors.
    ///
    /// # Errors
    /// `E-INTERNAL` where there is no randomness.
    pub fn new(issuers: Issuers) -> Result<Self> {
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()?), issuers })
    }

    /// Who vouches for an endorsement key by this certificate.
    pub fn vouch(&self, certificate: Option<&[u8]>, key: &EndorsementKey) -> Vouched {
        let Some(certificate) = certificate else {
            return Vouched::Nobody("there is no certificate in the TPM".to_owned());
        };
        match self.issuers.vouch(certificate, key, now()) {
            Ok(vendor) => Vouched::By(cut(vendor, MOST_NAME)),
            Err(failure) => Vouched::Nobody(failure.cause),
        }
    }

    fn draw(&self, what: &str, enrolment: &Enrolment, keys: &Claimed) -> [u8; 32] {
        let mut drawn = [0; 32];
        drawn.copy_from_slice(hmac::sign(&self.key, &statement(what, enrolment, keys)).as_ref());
        drawn
    }

    /// What proves the TPM that an enrolment claims, where there is something to be proven.
    pub fn challenge(&self, enrolment: &Enrolment) -> Option<TpmChallenge> {
        let Tpm::Claimed(shown) = &enrolment.tpm else { return None };
        let keys = Keys::read(&shown.endorsement, &shown.quoting).ok()?;
        let secret = self.draw("secret", enrolment, shown);
        let made = credential::make(&keys.endorsement, &keys.quoting.name(), &secret).ok()?;
        let nonce = self.draw("nonce", enrolment, shown).to_vec();
        Some(TpmChallenge { credential: made.blob, secret: made.secret, nonce })
    }

    /// What is known of the TPM after this proof, and what was measured.
    ///
    /// # Errors
    /// `E-TPM` where it proves nothing.
    fn judge(&self, enrolment: &Enrolment, shown: &Claimed, proof: TpmProof) -> Result<(ProvenTpm, Vec<Thing>)> {
        if !proof.is_bounded() {
            return Err(unproven("it is too long"));
        }
        let keys = Keys::read(&shown.endorsement, &shown.quoting)?;
        hmac::verify(&self.key, &statement("secret", enrolment, shown), &proof.opened)
            .map_err(|_| unproven("the TPM with this endorsement key has not opened the challenge"))?;
        let over = quoted(&self.draw("nonce", enrolment, shown), &enrolment.key);
        let quote = Quote { attested: proof.attested, signature: proof.signature, pcrs: proof.pcrs };
        let pcrs = quote::verify(quote, &keys.quoting, &over)?;
        let (log, things) = measured::judged(proof.log, &pcrs);
        let (ek, quoting) = (keys.endorsement.hash(), keys.quoting.name().0);
        Ok((ProvenTpm { ek, quoting, vendor: shown.vendor.clone(), pcrs, log, at: now() }, things))
    }
}

/// What a challenge is drawn for: one session, the key that enrols, and both keys of the TPM.
fn statement(what: &str, enrolment: &Enrolment, keys: &Claimed) -> Vec<u8> {
    let mut statement = format!("centra tpm/1 {what}\n").into_bytes();
    for hash in [enrolment.session, enrolment.key, Sha256::of(&keys.endorsement), Sha256::of(&keys.quoting)] {
        statement.extend_from_slice(&hash.0);
    }
    statement
}

fn unproven(why: &str) -> Failure {
    Failure::new(Code::Tpm, format!("judging the proof of a TPM: {why}"))
}

impl Admission {
    /// The machine's proof of its TPM. What waits for it is settled at once.
    ///
    /// # Errors
    /// `E-ENROL-UNKNOWN` for a session that is not known; `E-TPM` for what proves nothing.
    pub async fn prove(&self, session: &str, proof: TpmProof) -> Result<EnrolReply> {
        let session = Sha256::of(session.as_bytes());
        let unknown = super::greeting::unknown_session;
        let enrolment = self.state.enrolment_by_session(&session).await?.ok_or_else(unknown)?;
        self.refuse_revoked(&enrolment.key)?;
        let (proven, things) = match &enrolment.tpm {
            Tpm::Claimed(shown) => self.prover.judge(&enrolment, shown, proof)?,
            // The answer was lost on its way.
            Tpm::Proven(_) => return self.enrolment_reply(&enrolment),
            Tpm::Absent | Tpm::Broken { .. } => return Err(unproven("the machine has shown no TPM")),
        };
        let mut unit = self.state.begin().await?;
        // As it stands now: an admin may have admitted it since.
        let known = unit.enrolment_of(&session).await?.filter(|known| known.standing != Standing::Superseded);
        let mut enrolment = known.ok_or_else(unknown)?;
        unit.prove_tpm(enrolment.id, &proven, &things).await?;
        enrolment.tpm = Tpm::Proven(proven);
        match (enrolment.standing, &enrolment.node) {
            (Standing::Approved, Some(name)) => {
                let mut node = unit.node(name).await?;
                if node.enrolment == Some(enrolment.id) {
                    self.remember_tpm(&mut unit, &mut node, &enrolment).await?;
                    unit.save_node(&node).await?;
                }
            }
            _ => self.settle_in(&mut unit, &enrolment).await?,
        }
        unit.commit().await?;
        let enrolment = self.state.enrolment(enrolment.id).await?.ok_or_else(unknown)?;
        self.enrolment_reply(&enrolment)
    }

    /// The node has proven its TPM: what is otherwise with it than before stands in its history.
    pub(super) async fn remember_tpm(&self, unit: &mut Unit, node: &mut Node, enrolment: &Enrolment) -> Result<()> {
        let Tpm::Proven(proven) = &enrolment.tpm else { return Ok(()) };
        let things = unit.take_things(enrolment.id).await?;
        let before = unit.things(&node.name, Start::Network).await?;
        for text in news(node.tpm.as_ref(), &before, proven, &things) {
            unit.note("server", Some(&node.name), text).await?;
        }
        unit.keep_things(&node.name, Start::Network, &things).await?;
        node.starts.beside_another_tpm = None;
        if node.tpm.as_ref().is_none_or(|before| before.quoting != proven.quoting) {
            // What another TPM has measured is nothing to compare with.
            node.starts.last = None;
            unit.keep_things(&node.name, Start::Disk, &[]).await?;
        }
        node.tpm = Some(proven.clone());
        Ok(())
    }
}
