//! A machine as the agent plays it, without the machine.

use super::lab::{Caller, Identity, Lab, serial_of};
use hyper::StatusCode;
use protocol::{
    arbiter::{Turn, TurnRequest},
    claims::Claims,
    encoding::Sha256,
    enrol::{EnrolReply, EnrolRequest, EnrolState, HelloReply, HelloRequest, code, hello_statement},
    inventory::Inventory,
    manifest::{Manifest, ManifestRequest, SignedManifest, statement},
    names::RunId,
    report::{InstalledReport, JoinOutcome, ReadyReport, Versions},
    service::Service,
    step::Step,
    telemetry::{Event, EventKind, LogLine, Telemetry, TelemetryAck},
    tpm::TpmFound,
    trust::TrustAnchors,
};
use rcgen::{CertificateParams, KeyPair};
use ring::signature::{ED25519, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use time::OffsetDateTime;

pub struct Machine {
    pub key: KeyPair,
    pub csr: Vec<u8>,
    pub mac: String,
    pub run: RunId,
}

/// A machine after hello.
pub struct Greeted {
    pub session: String,
    pub code: String,
}

pub fn anchors(lab: &Lab) -> TrustAnchors {
    serde_json::from_slice(&std::fs::read(lab.dir().join("trust.json")).unwrap()).unwrap()
}

pub fn signed(lab: &Lab, statement: &[u8], signature: &[u8]) -> bool {
    let key = anchors(lab).manifest_keys.remove(0).0;
    UnparsedPublicKey::new(&ED25519, key).verify(statement, signature).is_ok()
}

impl Machine {
    pub fn new(mac: &str, run: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        Self { key, csr, mac: mac.to_owned(), run: run.parse().unwrap() }
    }

    pub fn spki(&self) -> Sha256 {
        use rcgen::PublicKeyData;
        Sha256::of(&self.key.subject_public_key_info())
    }

    /// Hello, with everything checked that an agent checks.
    pub async fn greet(&self, lab: &Lab) -> Greeted {
        self.greet_as(lab, anchors(lab).ca_spki_sha256[0]).await
    }

    /// As a machine whose image pins this root first.
    pub async fn greet_as(&self, lab: &Lab, ca: Sha256) -> Greeted {
        self.greet_over(&lab.nobody(), lab, ca).await
    }

    async fn greet_over(&self, stranger: &Caller, lab: &Lab, ca: Sha256) -> Greeted {
        let nonce = vec![7; 32];
        let request =
            HelloRequest { nonce: nonce.clone(), csr_sha256: Sha256::of(&self.csr), ca_spki_sha256: Some(ca) };
        let reply: HelloReply = stranger.done("/v1/enrol/hello", &request).await;
        assert!(signed(lab, &hello_statement(&nonce, &reply.nonce, reply.time), &reply.signature));
        assert!(reply.session.len() >= 22, "at least 128 bit");
        let code = code(&self.spki(), &ca, &nonce, &reply.nonce);
        Greeted { session: reply.session, code }
    }

    pub fn request(&self, session: &str) -> EnrolRequest {
        EnrolRequest {
            session: session.to_owned(),
            csr: self.csr.clone(),
            claims: Claims { uuid: None, serial: Some(serial_of(&self.mac)), macs: vec![self.mac.parse().unwrap()] },
            inventory: Inventory { memory_bytes: 1 << 29, ..Inventory::default() },
            run: self.run.clone(),
            replaces: None,
            token: None,
            agent_version: "test".to_owned(),
            tpm: TpmFound::Nothing,
        }
    }

    pub async fn ask(&self, lab: &Lab, greeted: &Greeted) -> EnrolReply {
        lab.nobody().done("/v1/enrol", &self.request(&greeted.session)).await
    }

    /// Hello, request, certificate, over one connection.
    pub async fn admitted(&self, lab: &Lab) -> Node {
        let stranger = lab.nobody();
        let greeted = self.greet_over(&stranger, lab, anchors(lab).ca_spki_sha256[0]).await;
        let reply: EnrolReply = stranger.done("/v1/enrol", &self.request(&greeted.session)).await;
        assert_eq!(reply.state, EnrolState::Approved, "{reply:?}");
        self.node(lab, &reply)
    }

    pub fn node(&self, lab: &Lab, reply: &EnrolReply) -> Node {
        let identity = self.identity(reply);
        Node { caller: lab.caller(Some(identity), None), run: self.run.clone(), key: self.spki() }
    }

    pub fn identity(&self, reply: &EnrolReply) -> Identity {
        let pem = reply.certificate.as_ref().unwrap();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert!(chain.len() >= 2, "leaf, who issued it, root");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        (chain, key)
    }
}

/// A machine with a certificate.
pub struct Node {
    pub caller: Caller,
    pub run: RunId,
    pub key: Sha256,
}

impl Node {
    pub fn manifest_request(&self) -> ManifestRequest {
        ManifestRequest { nonce: vec![9; 32], run: self.run.clone() }
    }

    /// The manifest, checked as an agent checks it.
    pub async fn manifest(&self, lab: &Lab) -> Manifest {
        let request = self.manifest_request();
        let reply: SignedManifest = self.caller.done("/v1/node/manifest", &request).await;
        assert!(signed(lab, &statement(&reply.payload), &reply.signature));
        let manifest: Manifest = serde_json::from_slice(&reply.payload).unwrap();
        manifest.check(&self.key, &request.nonce, OffsetDateTime::now_utc(), None).unwrap();
        manifest
    }

    pub async fn installed(&self, generation: u64) -> (StatusCode, Value) {
        let report = InstalledReport {
            run: self.run.clone(),
            generation,
            boot_order: vec!["PXE".into(), "Linux".into()],
            boot_order_before: vec![],
            paths_fetched: 1,
            paths_present: 0,
            nar_bytes: 1,
            agent_peak_rss: 12 << 20,
        };
        self.caller.post("/v1/node/installed", &report).await
    }

    pub async fn ready(&self, generation: u64) -> (StatusCode, Value) {
        self.member_of("etcd", generation, vec![]).await
    }

    /// Reports a membership, before the services that are awaited.
    pub async fn member_of(&self, service: &str, generation: u64, awaits: Vec<Service>) -> (StatusCode, Value) {
        let report = ReadyReport {
            run: self.run.clone(),
            generation,
            service: service.into(),
            outcome: JoinOutcome::Joined,
            join_ms: 5,
            members: vec!["a".into(), "b".into()],
            service_version: None,
            boot_id: None,
            awaits,
            versions: Versions { agent: "9.9.9".into(), kernel: "6.1.0-test".into(), system: None },
            boot_order: vec!["Linux".into(), "PXE".into()],
        };
        self.caller.post("/v1/node/ready", &report).await
    }

    /// A heartbeat with the health of etcd.
    pub async fn health(&self, generation: u64, healthy: bool) -> (StatusCode, Value) {
        let failure = json!({"code": "E-SERVICE-UNHEALTHY", "cause": "asking etcd: 503", "remedy": "look"});
        let etcd = json!({"service": "etcd", "healthy": healthy, "members": ["a", "b"], "leader": "a", "version": "3.4.23",
            "failure": if healthy { Value::Null } else { failure }});
        let report = json!({"generation": generation, "time": "2026-01-01T00:00:00Z", "healthy": healthy,
            "services": [etcd], "versions": {"agent": "9.9.9", "kernel": "6.1.0-test"}});
        self.caller.post("/v1/node/health", &report).await
    }

    pub async fn turn(&self, service: Service, generation: u64) -> Turn {
        self.caller.done("/v1/node/turn", &TurnRequest { service, generation }).await
    }

    pub async fn tell(&self, events: Vec<Event>, lines: Vec<LogLine>) -> TelemetryAck {
        self.caller.done("/v1/telemetry", &telemetry(&self.run, None, events, lines)).await
    }
}

pub fn telemetry(run: &RunId, session: Option<&str>, events: Vec<Event>, lines: Vec<LogLine>) -> Telemetry {
    Telemetry { run: run.clone(), session: session.map(str::to_owned), heartbeat: None, events, lines }
}

pub fn event(seq: u64, step: Step, kind: EventKind) -> Event {
    Event { seq, time: OffsetDateTime::now_utc(), since_start_ms: seq * 100, step, kind }
}

pub fn line(seq: u64, message: &str) -> LogLine {
    LogLine {
        seq,
        time: OffsetDateTime::now_utc(),
        level: "info".into(),
        source: "agent".into(),
        message: message.into(),
    }
}
