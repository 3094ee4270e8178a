//! The boot-server as the agent sees it: one function per call of its API.

use crate::signature;
use host::{
    api::Api,
    certificate::Certificate,
    http::{Client, Identity, Trust, pem},
};
use hyper::{Response, Uri, body::Incoming};
use join::revocation;
use protocol::{
    Code, Failure,
    arbiter::{RestartTurn, TurnRequest},
    calls::{self, Nothing, OfGeneration, Wait},
    encoding::Sha256,
    enrol::{EnrolReply, EnrolRequest, HelloReply, HelloRequest},
    failure::Result,
    manifest::{ManifestRequest, SecretBundle, SignedManifest},
    renewal::{RenewRequest, Renewed},
    report::{InstalledReply, InstalledReport, PlanReply, PlanReport, WipedReport},
    telemetry::{Telemetry, TelemetryAck},
    tpm::{QuoteRequest, QuoteWanted, StartQuote, TpmProof},
    trust::{Believe, Believed, MOST_BELIEVED, TrustAnchors},
};
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;

/// Bytes of an Ed25519 public key.
const MANIFEST_KEY: usize = 32;

/// A client that trusts the image's pins alone, and takes no time before the image was built as now.
///
/// # Errors
/// `E-TLS` where the certificate or key cannot be used.
pub fn pinned_client(anchors: &TrustAnchors, identity: Option<Identity>) -> Result<Client> {
    let floor = anchors.build_time.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    Client::new(&Trust::Pinned(anchors.ca_spki_sha256.clone()), identity, floor)
}

/// A client for caches: with the boot-server's host as [`pinned_client`], elsewhere also with the CAs of the
/// image, where it has any. It goes through no proxy: nothing in the initrd could name one.
///
/// # Errors
/// `E-TLS` where TLS cannot be set up.
pub fn cache_client(anchors: &TrustAnchors, server_url: &str) -> Result<Client> {
    let floor = anchors.build_time.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    let url: Uri = server_url.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default().to_owned();
    Client::new(&Trust::PinnedFor(host, anchors.ca_spki_sha256.clone()), None, floor)
}

/// The boot-server at one URL, with a certificate or without.
#[derive(Clone)]
pub struct BootServer {
    /// Its API; the client shows the node's certificate once there is one.
    pub api: Api,
}

impl BootServer {
    /// The server at `url`, trusted by the image's pins alone.
    ///
    /// # Errors
    /// `E-TLS` where the certificate or key cannot be used.
    pub fn new(url: &str, anchors: &TrustAnchors, identity: Option<Identity>) -> Result<Self> {
        Ok(Self { api: Api::new(pinned_client(anchors, identity)?, url) })
    }

    /// The server at `url` before this machine knows the time: for [`BootServer::hello`], whose answer is signed.
    ///
    /// # Errors
    /// As [`BootServer::new`].
    pub fn before_the_clock(url: &str, anchors: &TrustAnchors) -> Result<Self> {
        let trust = Trust::PinnedAtAnyTime(anchors.ca_spki_sha256.clone());
        Ok(Self { api: Api::new(Client::new(&trust, None, SystemTime::UNIX_EPOCH)?, url) })
    }

    /// `https://HOST:PORT`.
    pub fn url(&self) -> &str {
        self.api.base()
    }

    /// First message of the enrolment.
    ///
    /// # Errors
    /// Those of [`Api::call`]; so for every call here.
    pub async fn hello(&self, hello: &HelloRequest) -> Result<HelloReply> {
        self.api.call::<calls::Hello>(&[], hello).await
    }

    /// Second message of the enrolment.
    #[allow(missing_docs)]
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply> {
        self.api.call::<calls::Enrol>(&[], request).await
    }

    /// Where the enrolment stands; answers when it changes, or after so long.
    pub async fn poll_enrolment(&self, session: &str, hold: time::Duration) -> Result<EnrolReply> {
        self.api.call::<calls::PollEnrolment>(&[session], &Wait { wait: hold.whole_seconds().unsigned_abs() }).await
    }

    /// Proves the machine's TPM.
    pub async fn prove_tpm(&self, session: &str, proof: &TpmProof) -> Result<EnrolReply> {
        self.api.call::<calls::ProveTpm>(&[session], proof).await
    }

    /// A new certificate for this node.
    pub async fn renew(&self, request: &RenewRequest) -> Result<Renewed> {
        self.api.call::<calls::Renew>(&[], request).await
    }

    /// Tells what this node believes; what it is to believe comes back, with the roots as they were read of it.
    ///
    /// # Errors
    /// `E-TLS` for an answer that no manifest key signed which this node believes; `E-PROTOCOL` for one that nobody could
    /// believe.
    pub async fn trust(&self, believed: &Believed) -> Result<(Believe, Vec<CertificateDer<'static>>)> {
        let believe = self.api.call::<calls::Trust>(&[], believed).await?;
        let (keys, statement) = (&believed.manifest_keys, believe.statement(&believed.nonce));
        // A node that an earlier release installed knows no key: it takes the first answer as it comes over TLS.
        if !keys.is_empty() && !signature::is_signed(keys, &statement, &believe.signature) {
            let cause = "hearing what to believe: no manifest key that this node believes has signed it";
            return Err(Failure::new(Code::Tls, cause).with_remedy(
                "find out what answers at the boot-server's address; a node that missed a rotation is installed again",
            ));
        }
        let roots = roots(&believe)?;
        Ok((believe, roots))
    }

    /// Tells that this node has stored the certificate that it shows.
    pub async fn key_in_use(&self) -> Result<Nothing> {
        self.api.call::<calls::KeyInUse>(&[], &Nothing {}).await
    }

    /// Whether the server wants to hear what was measured when this system started.
    pub async fn ask_quote(&self, request: &QuoteRequest) -> Result<QuoteWanted> {
        self.api.call::<calls::AskQuote>(&[], request).await
    }

    /// Tells it.
    pub async fn quote_start(&self, quote: &StartQuote) -> Result<Nothing> {
        self.api.call::<calls::QuoteStart>(&[], quote).await
    }

    /// Whether this node may restart a service now.
    pub async fn ask_restart(&self, request: &TurnRequest) -> Result<RestartTurn> {
        self.api.call::<calls::AskRestart>(&[], request).await
    }

    /// Gives the turn back.
    pub async fn restarted(&self, request: &TurnRequest) -> Result<Nothing> {
        self.api.call::<calls::Restarted>(&[], request).await
    }

    /// The signed manifest.
    pub async fn manifest(&self, request: &ManifestRequest) -> Result<SignedManifest> {
        self.api.call::<calls::Manifest>(&[], request).await
    }

    /// What only this node may have.
    pub async fn secrets(&self, generation: u64) -> Result<SecretBundle> {
        self.api.call::<calls::Secrets>(&[], &OfGeneration { generation }).await
    }

    /// Shows the plan and asks whether it may be carried out.
    pub async fn plan(&self, report: &PlanReport) -> Result<PlanReply> {
        self.api.call::<calls::Plan>(&[], report).await
    }

    /// A file of a deployed image, its body still to be read.
    pub async fn artefact(&self, sha256: &Sha256) -> Result<Response<Incoming>> {
        self.api.fetch::<calls::Artefact>(&[&sha256.hex()], &Nothing {}).await
    }

    /// The installation is complete.
    pub async fn installed(&self, report: &InstalledReport) -> Result<InstalledReply> {
        self.api.call::<calls::Installed>(&[], report).await
    }

    /// The disks of a node that is to be retired are wiped.
    pub async fn wiped(&self, report: &WipedReport) -> Result<()> {
        self.api.call::<calls::Wiped>(&[], report).await.map(drop)
    }
}

/// How the log reaches the server now: by session before there is a certificate, by certificate after.
#[derive(Clone)]
pub struct Channel {
    /// The server.
    pub server: BootServer,
    /// The enrolment, while there is no certificate.
    pub session: Option<String>,
}

impl telemetry::Server for Channel {
    async fn take(&self, batch: Telemetry) -> Result<TelemetryAck> {
        let batch = Telemetry { session: self.session.clone(), ..batch };
        self.server.api.call::<calls::DeliverTelemetry>(&[], &batch).await
    }

    fn is_away(&self, failure: &Failure) {
        // Not through the log: that would feed the spool with its own troubles.
        host::tell!("shipping the log: {failure}");
    }
}

/// The roots of an answer that can be believed: a few roots, a few keys, and a list that a service can read.
fn roots(believe: &Believe) -> Result<Vec<CertificateDer<'static>>> {
    let refused = |why: &str| Failure::new(Code::Protocol, format!("hearing what to believe: {why}"));
    let roots = pem::decode(&believe.roots).map_err(|failure| refused(&failure.cause))?;
    if roots.len() > MOST_BELIEVED || !roots.iter().all(|root| Certificate::read(root).is_ok_and(|root| root.is_ca)) {
        return Err(refused("these are not a few roots"));
    }
    let keys = &believe.manifest_keys;
    if keys.is_empty() || keys.len() > MOST_BELIEVED || keys.iter().any(|key| key.0.len() != MANIFEST_KEY) {
        return Err(refused("these are not a few manifest keys"));
    }
    revocation::check(&believe.revoked).map_err(|failure| refused(&failure.cause))?;
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qemu_tests::{
        certificates::Ca,
        cluster_peer::{self, Peer, Reply},
    };
    use time::{Duration, OffsetDateTime, macros::datetime};

    /// A server whose certificate is good between these times.
    fn server(ca: &Ca, from: OffsetDateTime, until: OffsetDateTime) -> String {
        let leaf = ca.leaf_until(from, until);
        let tls = cluster_peer::tls_of_anyone(vec![leaf.der, ca.der.clone()], leaf.key).unwrap();
        let reply = serde_json::json!({"session": "s", "nonce": "", "time": "2026-01-01T00:00:00Z", "signature": ""});
        let peer = Peer::start(tls, move |_| Reply::Json(200, reply.clone())).unwrap();
        format!("https://127.0.0.1:{}", peer.port)
    }

    fn anchors(ca: &Ca) -> TrustAnchors {
        TrustAnchors {
            ca_spki_sha256: vec![Sha256::of(&ca.spki)],
            manifest_keys: vec![],
            earlier_ca_spki_sha256: vec![],
            build_time: None,
        }
    }

    async fn greets(server: Result<BootServer>) -> Result<HelloReply> {
        let hello = HelloRequest { nonce: vec![], csr_sha256: Sha256::of(b""), ca_spki_sha256: None };
        server.unwrap().hello(&hello).await
    }

    #[tokio::test]
    async fn a_machine_whose_clock_is_decades_off_greets_the_pinned_server_and_nobody_else() {
        let (ca, other) = (Ca::new("ca"), Ca::new("ca"));
        for from in [datetime!(1970-01-01 0:00 UTC), datetime!(2038-01-19 3:14:08 UTC), datetime!(2099-01-01 0:00 UTC)]
        {
            let url = server(&ca, from, from + Duration::days(30));
            assert!(greets(BootServer::before_the_clock(&url, &anchors(&ca))).await.is_ok(), "{from}");
            assert_eq!(greets(BootServer::new(&url, &anchors(&ca), None)).await.unwrap_err().code, Code::Tls, "{from}");
            let failure = greets(BootServer::before_the_clock(&url, &anchors(&other))).await.unwrap_err();
            assert_eq!(failure.code, Code::Tls, "{from}");
        }
    }
}
