//! enrol/1 as the node: hello, clock, request, code, certificate (docs/design.md section 4).

use super::{
    identity::{self, Identity},
    tpm::Chip,
};
use crate::{boot_server::BootServer, signature};
use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_settime},
};
use protocol::{
    Code, Failure, Timestamp,
    claims::Claims,
    encoding::Sha256,
    enrol::{EnrolReply, EnrolRequest, EnrolState, HelloReply, HelloRequest, NONCE_BYTES, code, hello_statement},
    enrol_token::EnrolToken,
    failure::Result,
    inventory::Inventory,
    names::{NodeName, RunId},
    tpm::{TpmChallenge, TpmFound},
    trust::TrustAnchors,
};
use time::Duration;

/// The clock is left alone while it is closer to the server's than this.
const CLOCK_TOLERANCE: Duration = Duration::minutes(5);

/// A TPM whose proof is refused so often is not asked again.
const MOST_PROOFS: u32 = 3;

/// Both sides have committed: a session, and the code that an admin compares.
#[derive(Debug, Clone)]
pub struct Greeted {
    /// Names this enrolment.
    pub session: String,
    /// What every console of the node shows.
    pub code: String,
}

/// Says hello; the answer's signature is checked before its time is believed.
///
/// # Errors
/// Those of the call; `E-TLS` for a signature of a key that the image does not trust.
pub async fn hello(server: &BootServer, anchors: &TrustAnchors, identity: &Identity) -> Result<(Greeted, HelloReply)> {
    let nonce = identity::nonce()?;
    let ca = anchors.ca_spki_sha256.first().copied();
    let ca = ca.ok_or_else(|| Failure::new(Code::TrustAnchors, "trust.json pins no CA"))?;
    let request =
        HelloRequest { nonce: nonce.clone(), csr_sha256: Sha256::of(&identity.csr), ca_spki_sha256: Some(ca) };
    let reply = server.hello(&request).await?;
    let statement = hello_statement(&nonce, &reply.nonce, reply.time);
    if !is_signed(anchors, &statement, &reply.signature) {
        let cause = "checking the server's hello: it is not signed by a manifest key of this image";
        return Err(Failure::new(Code::Tls, cause));
    }
    let grammar = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if reply.nonce.len() != NONCE_BYTES || reply.session.is_empty() || !reply.session.bytes().all(grammar) {
        return Err(Failure::new(Code::Protocol, "checking the server's hello: the nonce or the session is malformed"));
    }
    let code = code(&identity.spki(), &ca, &nonce, &reply.nonce);
    Ok((Greeted { session: reply.session.clone(), code }, reply))
}

/// Whether one of the image's manifest keys signed the statement.
pub fn is_signed(anchors: &TrustAnchors, statement: &[u8], signed: &[u8]) -> bool {
    signature::is_signed(&anchors.manifest_keys, statement, signed)
}

/// Sets the clock where it is before the image was built, or off by more than five minutes.
///
/// # Errors
/// `E-SYSTEM` where the kernel refuses.
pub fn set_clock(anchors: &TrustAnchors, server_time: Timestamp) -> Result<String> {
    let now = Timestamp::now_utc();
    let Some(offset) = clock_offset(now, server_time, anchors.build_time) else {
        return Ok("the clock is right".to_owned());
    };
    let seconds = server_time.unix_timestamp();
    let nanoseconds = i64::from(server_time.nanosecond());
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, nanoseconds))
        .map_err(|error| Failure::new(Code::System, format!("setting the clock: {error}")))?;
    Ok(format!("the clock was off by {} s and is set", offset.whole_seconds()))
}

/// By how much the clock is to be moved, if it is.
fn clock_offset(now: Timestamp, server: Timestamp, floor: Option<Timestamp>) -> Option<Duration> {
    let offset = server - now;
    let before_floor = floor.is_some_and(|floor| now < floor);
    (before_floor || offset.abs() > CLOCK_TOLERANCE).then_some(offset)
}

/// An enrolment that was approved.
#[derive(Debug, Clone)]
pub struct Approved {
    /// Which node this machine is.
    pub node: NodeName,
    /// Leaf and CA in PEM.
    pub certificate: String,
}

/// What the machine says of itself when it asks.
pub struct Asking<'a> {
    /// What it claims.
    pub claims: Claims,
    /// What it read.
    pub inventory: &'a Inventory,
    /// The run that asks.
    pub run: RunId,
    /// The session of an enrolment that this one takes the place of.
    pub replaces: Option<String>,
    /// A one-time token that was given to the machine.
    pub token: Option<EnrolToken>,
    /// What it shows of its TPM.
    pub found: TpmFound,
    /// That TPM.
    pub chip: Option<&'a Chip>,
}

/// Sends the request and waits, for as long as it takes, until an admin or a policy has decided; `waits` is told for what.
/// `typed` ends with a token that somebody has typed meanwhile. `enrolled` is told when the server has the request: from then on it keeps what this machine tells.
///
/// # Errors
/// `E-ENROL-REJECTED`; those of the calls.
pub async fn enrol(
    server: &BootServer,
    identity: &Identity,
    greeted: &Greeted,
    asking: Asking<'_>,
    waits: impl Fn(&str),
    mut typed: impl AsyncFnMut() -> EnrolToken,
    enrolled: impl FnOnce(),
) -> Result<Approved> {
    let mut request = EnrolRequest {
        session: greeted.session.clone(),
        csr: identity.csr.clone(),
        claims: asking.claims,
        inventory: asking.inventory.clone(),
        run: asking.run,
        replaces: asking.replaces,
        token: asking.token,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        tpm: asking.found,
    };
    let mut reply = server.enrol(&request).await?;
    enrolled();
    let mut shown: Option<String> = None;
    let mut proofs = 0..MOST_PROOFS;
    loop {
        if let (Some(challenge), Some(chip)) = (reply.tpm.take(), asking.chip)
            && proofs.next().is_some()
        {
            match prove(server, identity, greeted, chip, challenge).await {
                Ok(after) => {
                    reply = after;
                    continue;
                }
                Err(failure) => waits(&format!("going on without the TPM: {}", failure.cause)),
            }
        }
        let hold = next_is_held(reply.state);
        match judge(reply, &greeted.code)? {
            Judged::Approved(approved) => return Ok(approved),
            Judged::Waiting(text) => {
                if shown.as_ref() != Some(&text) {
                    waits(&text);
                    shown = Some(text);
                }
            }
        }
        reply = tokio::select! {
            reply = server.poll_enrolment(&greeted.session, hold) => reply?,
            token = typed() => {
                request.token = Some(token);
                server.enrol(&request).await?
            }
        };
    }
}

/// What the server says after the proof.
async fn prove(
    server: &BootServer,
    identity: &Identity,
    greeted: &Greeted,
    chip: &Chip,
    challenge: TpmChallenge,
) -> Result<EnrolReply> {
    let proof = chip.prove(challenge, identity.spki()).await?;
    server.prove_tpm(&greeted.session, &proof).await
}

/// How long the server may keep the next question open: a machine that was refused asks seldom, and hears at once when that is
/// taken back.
fn next_is_held(state: EnrolState) -> Duration {
    match state {
        EnrolState::Rejected => Duration::seconds(50),
        EnrolState::Pending | EnrolState::Approved | EnrolState::Conflict | EnrolState::Revoked => {
            Duration::seconds(25)
        }
    }
}

#[derive(Debug)]
enum Judged {
    Approved(Approved),
    /// With what stands on the console.
    Waiting(String),
}

fn judge(reply: EnrolReply, code: &str) -> Result<Judged> {
    let refused = |code: Code, cause: &str| Err(Failure::new(code, format!("enrolling: {cause}")));
    let missing = reply.missing.join("; ");
    match reply.state {
        // Whoever is in the way may go, or an admin decides: the machine is not lost by waiting.
        EnrolState::Pending | EnrolState::Conflict => {
            Ok(Judged::Waiting(format!("code {code} -- waiting for: {missing}")))
        }
        // He may think better of it.
        EnrolState::Rejected => {
            let why = if missing.is_empty() { "an admin has refused this machine" } else { &missing };
            Ok(Judged::Waiting(format!("code {code} -- refused: {why}")))
        }
        EnrolState::Approved => match (reply.node, reply.certificate) {
            (Some(node), Some(certificate)) => Ok(Judged::Approved(Approved { node, certificate })),
            _ => refused(Code::Protocol, "approved without a name or a certificate"),
        },
        EnrolState::Revoked => refused(Code::EnrolRejected, "the key of this machine was revoked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::trust::PublicKey;
    use qemu_tests::{certificates::Ca, cluster_peer::Reply};
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use time::macros::datetime;

    #[test]
    fn the_clock_moves_only_where_it_must() {
        let server = datetime!(2026-11-21 12:00 UTC);
        let floor = Some(datetime!(2026-11-01 0:00 UTC));
        assert_eq!(clock_offset(server - Duration::minutes(4), server, floor), None);
        assert!(clock_offset(server - Duration::minutes(6), server, floor).is_some());
        assert!(clock_offset(server + Duration::minutes(6), server, floor).is_some());
        // Close to the server's, but before the image was built: the server's clock may be the wrong one,
        // and its own is still the better of the two.
        let early = datetime!(1970-01-01 0:00:10 UTC);
        assert!(clock_offset(early, early + Duration::seconds(5), floor).is_some());
    }

    #[test]
    fn a_clock_that_is_decades_off_is_set_whichever_of_the_two_it_is() {
        let times = [
            datetime!(1970-01-01 0:00 UTC),
            datetime!(2026-11-21 12:00 UTC),
            datetime!(2038-01-19 3:14:08 UTC),
            datetime!(2099-12-31 0:00 UTC),
        ];
        for (own, server) in times.iter().flat_map(|own| times.map(|server| (*own, server))) {
            let offset = clock_offset(own, server, None);
            assert_eq!(offset.map(|offset| own + offset), (own != server).then_some(server));
        }
    }

    #[test]
    fn only_a_key_of_the_image_signs() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let anchors = TrustAnchors {
            ca_spki_sha256: vec![],
            manifest_keys: vec![PublicKey(key.public_key().as_ref().to_vec())],
            earlier_ca_spki_sha256: vec![],
            build_time: None,
        };
        let signature = key.sign(b"statement");
        assert!(is_signed(&anchors, b"statement", signature.as_ref()));
        assert!(!is_signed(&anchors, b"another", signature.as_ref()));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        assert!(!is_signed(&anchors, b"statement", other.sign(b"statement").as_ref()));
    }

    fn anchors(ca: &Ca, key: &Ed25519KeyPair) -> TrustAnchors {
        TrustAnchors {
            ca_spki_sha256: vec![Sha256::of(&ca.spki)],
            manifest_keys: vec![PublicKey(key.public_key().as_ref().to_vec())],
            earlier_ca_spki_sha256: vec![],
            build_time: None,
        }
    }

    /// A server's answer to this hello, signed.
    fn answer(hello: &HelloRequest, key: &Ed25519KeyPair) -> HelloReply {
        let (nonce, time) = (vec![5; NONCE_BYTES], datetime!(2026-11-21 12:00 UTC));
        let signature = key.sign(&hello_statement(&hello.nonce, &nonce, time)).as_ref().to_vec();
        HelloReply { session: "session".into(), nonce, time, signature }
    }

    #[tokio::test]
    async fn an_answer_to_an_earlier_hello_is_refused() {
        let (ca, signer) = (Ca::new("ca"), Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        let anchors = anchors(&ca, &signer);
        let recorded = std::sync::OnceLock::new();
        let replays = ca.peer_of_anyone(move |request| {
            let hello = serde_json::from_value(request.body.clone()).unwrap();
            Reply::Json(200, serde_json::to_value(recorded.get_or_init(|| answer(&hello, &signer))).unwrap())
        });
        let server = BootServer::before_the_clock(&format!("https://127.0.0.1:{}", replays.port), &anchors).unwrap();
        let identity = Identity::make().unwrap();
        assert!(hello(&server, &anchors, &identity).await.is_ok(), "the first is for this machine");
        let failure = hello(&server, &anchors, &identity).await.unwrap_err();
        assert_eq!(failure.code, Code::Tls);
        assert!(failure.cause.contains("not signed"), "{failure}");
    }

    #[test]
    fn an_approval_without_a_certificate_is_no_approval() {
        let reply =
            EnrolReply { state: EnrolState::Approved, missing: vec![], node: None, certificate: None, tpm: None };
        assert_eq!(judge(reply, "").unwrap_err().code, Code::Protocol);
    }

    #[test]
    fn a_machine_that_was_refused_says_who_it_is_and_why_and_asks_on() {
        let why = "an admin has refused this machine (machine-1a2b3c4d): not ours; an admin lets it in by ...";
        let of = |missing: &[&str]| {
            let missing = missing.iter().map(ToString::to_string).collect();
            let reply = EnrolReply { state: EnrolState::Rejected, missing, node: None, certificate: None, tpm: None };
            let Judged::Waiting(text) = judge(reply, "K7QF-2M5X").unwrap() else { panic!("it is not over") };
            text
        };
        assert_eq!(of(&[why]), format!("code K7QF-2M5X -- refused: {why}"));
        assert_eq!(of(&[]), "code K7QF-2M5X -- refused: an admin has refused this machine");
        assert!(next_is_held(EnrolState::Rejected) > next_is_held(EnrolState::Pending));
    }
}
