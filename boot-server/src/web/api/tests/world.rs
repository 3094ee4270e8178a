//! One node, two machines that claim to be it, and what may be done with them: the services as `serve` puts them
//! together, without sockets.

use super::{super::authorise, verbs::Verb};
use crate::{
    base::{clock::now, health::Health},
    clusters::operations::Teller,
    config::Config,
    domain::audit::Actor,
    netboot::policy::Policy,
    server::{self, Services},
    state::{State, enrolments::Standing, path_in, runs::Owner},
    trust::{ca::make, manifest::ManifestKey},
};
use protocol::{
    Code, Failure,
    admin::ApplyRequest,
    arbiter::TurnRequest,
    audit::{ActorKind, AuditEntry, AuditQuery},
    claims::Claims,
    encoding::Sha256,
    enrol::{EnrolRequest, HelloRequest},
    failure::Result,
    inventory::Inventory,
    manifest::{Manifest, ManifestRequest},
    names::{NodeName, RunId},
    renewal::RenewRequest,
    report::{InstalledReport, JoinOutcome, PlanReport, ReadyReport, Versions, WipedReport},
    service::Service,
    spec::NodeSpec,
    step::Step,
    telemetry::{Event, EventKind, Telemetry},
    tpm::TpmFound,
};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use serde_json::json;
use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Where machines ask from.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

fn admin() -> Actor {
    Actor { name: "admin".to_owned(), kind: ActorKind::Token, subject: None, from: None }
}

/// What admins and machines knew when they began: codes on consoles, a plan on the page, the generation on a disk.
#[derive(Debug, Clone)]
pub struct Looked {
    codes: [String; 2],
    plan: Sha256,
    generation: u64,
}

/// What is seen of a node, without what differs from one try to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    node: Option<String>,
    operation: Option<String>,
    enrolments: Vec<String>,
    revoked: Vec<String>,
    memberships: usize,
    clusters: Vec<String>,
    history: Vec<String>,
}

impl Seen {
    /// Without what the stages of an operation leave behind before it has come to its end.
    pub fn without_stages(&self) -> Self {
        let is_stage =
            |entry: &String| ["admin: drain hook", "admin: removed from cluster c"].contains(&entry.as_str());
        // The node was taken out of its cluster, whatever became of the operation.
        let mut seen = Self { clusters: vec![], ..self.clone() };
        seen.history.retain(|entry| !is_stage(entry));
        seen
    }
}

struct Machine {
    csr: Vec<u8>,
    key: Sha256,
}

/// The server with its node and the two machines.
pub struct World {
    folder: tempfile::TempDir,
    pub services: Arc<Services>,
    machines: Arc<[Machine; 2]>,
    /// Sessions of enrolments, and which machine's.
    sessions: Mutex<Vec<(usize, String)>>,
}

fn name() -> NodeName {
    "n1".parse().unwrap()
}

fn spec(other: bool, hold: bool) -> NodeSpec {
    let toplevel = if other { "nixos-other" } else { "nixos" };
    let spec = json!({
        "name": "n1", "match": {"macs": ["52:54:00:00:00:01"]},
        "system": {"toplevel": format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{toplevel}"),
            "substituters": ["http://127.0.0.1/cache"],
            "trusted_public_keys": ["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},
        "disks": {"devices": {"disk": {"main": {"type": "disk", "device": "/dev/vda"}}}, "hold": hold},
        "cluster": {"node_id": "n1", "node_role": "control-plane", "bootstrap": true, "cluster_name": "c",
            "initial_peers": ["127.0.78.1:2380"], "leader_url": "https://127.0.78.1:2379",
            "raft_addr": "127.0.78.1:2380", "node_ip": "127.0.78.1"}
    });
    protocol::parse::json("spec", spec.to_string().as_bytes()).unwrap()
}

fn run_of(machine: usize, run: u8) -> RunId {
    format!("run-{machine}-{run}").parse().unwrap()
}

/// In memory where there is such a place: no power is cut here.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

async fn opened(folder: &Path) -> Arc<Services> {
    server::open(Config::load(&folder.join("config.toml")).unwrap()).await.unwrap()
}

impl World {
    pub async fn new() -> Self {
        let folder = folder();
        let file = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
        let (root, root_key) = make::root(now()).unwrap();
        let (issuing, issuing_key) = make::issuing(&root, &root_key, &[], now()).unwrap();
        file("ca.crt", root.as_bytes());
        file("issuing.crt", issuing.as_bytes());
        file("issuing.key", issuing_key.as_bytes());
        file("manifest.key", data_encoding::BASE64.encode(&ManifestKey::create().unwrap()).as_bytes());
        file("config.toml", b"address = '127.0.0.1'\n[cluster]\ndrain = '/bin/true'\n");
        State::create(&path_in(folder.path()), Health::default()).await.unwrap().close().await;
        let machine = || {
            let key = KeyPair::generate().unwrap();
            let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
            Machine { csr, key: Sha256::of(&key.subject_public_key_info()) }
        };
        let services = opened(folder.path()).await;
        Self { folder, services, machines: Arc::new([machine(), machine()]), sessions: Mutex::default() }
    }

    /// The same once more, to go another way from here.
    pub async fn copied(&self) -> Self {
        let folder = folder();
        for name in ["ca.crt", "issuing.crt", "issuing.key", "manifest.key", "config.toml", "secrets.key"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        self.services.state.copy_to(&path_in(folder.path())).await.unwrap();
        let services = opened(folder.path()).await;
        let sessions = Mutex::new(self.sessions.lock().unwrap().clone());
        Self { folder, services, machines: self.machines.clone(), sessions }
    }

    pub async fn look(&self) -> Looked {
        let state = &self.services.state;
        let open = state.open_enrolments().await.unwrap();
        let code = |machine: usize| {
            let own = open.iter().find(|enrolment| enrolment.key == self.machines[machine].key);
            own.map_or_else(|| "AAAA-AAAA".to_owned(), |enrolment| enrolment.code.clone())
        };
        let node = state.node("n1").await.unwrap();
        let plan = node.as_ref().and_then(|node| node.plan.as_ref()).map(|plan| plan.id());
        Looked {
            codes: [code(0), code(1)],
            plan: plan.unwrap_or(Sha256::of(b"none")),
            generation: node.map_or(1, |node| node.record.generation),
        }
    }

    /// Runs a verb; what it answers.
    pub async fn run(&self, verb: &Verb, looked: &Looked) -> Result<String, Code> {
        let done = match *verb {
            Verb::Apply { .. }
            | Verb::Approve(_)
            | Verb::ApprovePlan
            | Verb::Reinstall
            | Verb::Revoke
            | Verb::Forget => self.asked_by_admin(verb, looked).await,
            Verb::Remove | Verb::Replace | Verb::Decommission { .. } => self.operated(verb).await,
            Verb::AsksForScript => {
                let boot = self.services.boots.boot(&claims()).await;
                Ok(format!("{boot:?}"))
            }
            Verb::Enrols(machine) => self.enrols(machine).await,
            Verb::Begins(machine, _)
            | Verb::Plans(machine, _)
            | Verb::TakesSecrets(machine)
            | Verb::Fails(machine, _)
            | Verb::Installed(machine, _)
            | Verb::Turn(machine)
            | Verb::Ready(machine)
            | Verb::Renews(machine, _)
            | Verb::UsesKey(machine) => self.told_by_node(verb, machine, looked.generation).await,
            Verb::Wiped(machine, run) => {
                let report = WipedReport { run: run_of(machine, run), generation: looked.generation };
                let key = self.machines[machine].key;
                self.services.operations.wiped(Some(key), report, HERE).await.map(said)
            }
        };
        done.map_err(|failure| failure.code)
    }

    async fn asked_by_admin(&self, verb: &Verb, looked: &Looked) -> Result<String> {
        let Services { specs, admission, installs, operations, arbiter, .. } = &*self.services;
        match *verb {
            Verb::Apply { other, reopen, hold } => {
                let request = ApplyRequest { nodes: vec![spec(other, hold)], reopen };
                specs.apply(request, &admin()).await.map(said)
            }
            Verb::Approve(machine) => admission.approve(&looked.codes[machine], None, &admin()).await.map(said),
            Verb::ApprovePlan => installs.approve_plan(&name(), &looked.plan, &admin()).await.map(said),
            Verb::Reinstall => operations.reinstall(&name(), true, &admin()).await.map(said),
            Verb::Revoke => operations.revoke(&name(), &admin()).await.map(said),
            _ => arbiter.forget("c", true, &admin()).await.map(said),
        }
    }

    async fn operated(&self, verb: &Verb) -> Result<String> {
        let operations = &self.services.operations;
        let (sender, _told) = tokio::sync::mpsc::unbounded_channel();
        let teller = Teller(sender);
        match *verb {
            Verb::Remove => operations.remove(&name(), true, &admin(), &teller).await,
            Verb::Replace => operations.replace(&name(), true, &admin(), &teller).await,
            Verb::Decommission { keep_disks } => {
                operations.decommission(&name(), keep_disks, true, &admin(), &teller).await
            }
            _ => unreachable!("no operation: {verb:?}"),
        }
        .map(said)
    }

    async fn enrols(&self, machine: usize) -> Result<String> {
        let csr = self.machines[machine].csr.clone();
        let hello = HelloRequest { nonce: vec![7; 32], csr_sha256: Sha256::of(&csr), ca_spki_sha256: None };
        let session = self.services.admission.hello(hello)?.session;
        self.sessions.lock().unwrap().push((machine, session.clone()));
        let (claims, run) = (claims(), run_of(machine, 0));
        let inventory = Inventory::default();
        let request = EnrolRequest {
            session,
            csr,
            claims,
            inventory,
            run,
            replaces: None,
            token: None,
            agent_version: String::new(),
            tpm: TpmFound::Nothing,
        };
        let reply = self.services.admission.enrol(request, [10, 0, 0, 9].into()).await?;
        Ok(format!("{:?} {:?}", reply.state, reply.node))
    }

    /// What machines that enrolled since then hear where they ask again, in the order of their asking.
    pub async fn asked_again(&self, since: usize) -> Vec<Result<String, Code>> {
        let mut answers = Vec::new();
        let sessions = self.sessions.lock().unwrap()[since..].to_vec();
        for (_, session) in sessions {
            let reply = self.services.admission.poll(&session, Duration::ZERO).await;
            answers.push(reply.map(|reply| format!("{:?} {:?}", reply.state, reply.node)).map_err(|it| it.code));
        }
        answers
    }

    /// How many enrolments were begun.
    pub fn enrolments(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    /// As [`authorise`] lets it through.
    async fn told_by_node(&self, verb: &Verb, machine: usize, generation: u64) -> Result<String> {
        let Services { installs, intake, arbiter, state, .. } = &*self.services;
        let key = self.machines[machine].key;
        if state.memory.revoked.holds(&key) {
            return Err(Failure::new(Code::Forbidden, "revoked"));
        }
        // A new key is taken at the first request by it, which is a verb of its own here.
        if state.node_by_key(&key).await?.is_none() && !matches!(verb, Verb::UsesKey(_)) {
            return Err(authorise::no_node(&self.services, &key));
        }
        let name = authorise::node(&self.services, key, HERE).await?.name;
        match *verb {
            Verb::Begins(_, run) => {
                let request = ManifestRequest { nonce: vec![9; 32], run: run_of(machine, run) };
                let signed = installs.manifest(&name, &key, request).await?;
                let manifest: Manifest = serde_json::from_slice(&signed.payload).unwrap();
                Ok(format!("{} {:?} {:?}", manifest.generation, manifest.purpose, manifest.system))
            }
            Verb::Plans(_, run) => {
                let run = run_of(machine, run);
                let lines = vec!["make vda anew".to_owned()];
                let report = PlanReport { run, generation, lines, resumes: false, hold: false, disks: None };
                installs.plan(&name, &key, report).await.map(said)
            }
            Verb::TakesSecrets(_) => {
                installs.secrets(&name, &key, generation, HERE).await.map(|bundle| said(bundle.generation))
            }
            Verb::Fails(_, run) => {
                let kind = EventKind::Failed { failure: Failure::new(Code::Network, "no link"), retry_in_ms: None };
                let event = Event { seq: 1, time: now(), since_start_ms: 1, step: Step::Disk, kind };
                let (run, events) = (run_of(machine, run), vec![event]);
                let told = Telemetry { run, session: None, heartbeat: None, events, lines: vec![] };
                intake.take_in(told, &Owner::Node(name), "10.0.0.9").await.map(said)
            }
            Verb::Installed(_, run) => {
                let report = InstalledReport {
                    run: run_of(machine, run),
                    generation,
                    boot_order: vec![],
                    boot_order_before: vec![],
                    paths_fetched: 1,
                    paths_present: 0,
                    nar_bytes: 1,
                    agent_peak_rss: 1,
                };
                installs.installed(&name, &key, report, HERE).await.map(said)
            }
            Verb::UsesKey(_) => Ok(said(name)),
            Verb::Renews(_, other) => {
                let csr = self.machines[if other { 1 - machine } else { machine }].csr.clone();
                self.services
                    .certificates
                    .renew(&name, &key, RenewRequest { csr }, HERE)
                    .await
                    .map(|_| "renewed".to_owned())
            }
            Verb::Turn(_) => {
                arbiter.turn(&name, &key, TurnRequest { service: Service::Etcd, generation }).await.map(said)
            }
            _ => arbiter.ready(&name, &key, ready(run_of(machine, 0), generation), HERE).await.map(said),
        }
    }

    /// What is seen of the node now.
    pub async fn seen(&self) -> Seen {
        let state = &self.services.state;
        let node = state.node("n1").await.unwrap();
        let machine = |key: Sha256| self.machines.iter().position(|machine| machine.key == key);
        let node = node.map(|node| {
            let plan = node.plan.map(|plan| (plan.generation, plan.held, plan.approved));
            let (installed, ready) = (node.installed.map(|it| it.generation), node.ready.map(|it| it.generation));
            let toplevel = node.spec.map(|spec| spec.system.toplevel);
            let keys = [node.key, node.next_key].map(|key| key.map(machine));
            let ends = node.certificate_ends.is_some();
            format!("{:?} {keys:?} {ends} {plan:?} {installed:?} {ready:?} {toplevel:?}", node.record)
        });
        let operation = state.operation(&name()).await.unwrap().map(|operation| {
            format!(
                "{:?} {:?} {} {}",
                operation.kind,
                operation.stage,
                operation.window.is_some(),
                operation.keep_disks
            )
        });
        let mut enrolments = Vec::new();
        let sessions = self.sessions.lock().unwrap().clone();
        for (machine, session) in sessions {
            let known = state.enrolment_by_session(&Sha256::of(session.as_bytes())).await.unwrap();
            // What was set aside and never admitted is as good as not there.
            let known = known.filter(|it| it.standing != Standing::Superseded || it.node.is_some());
            let known = known.map(|it| (it.standing, it.node, it.certificate.is_some()));
            enrolments.push(format!("{machine} {known:?}"));
        }
        enrolments.sort();
        let mut revoked: Vec<String> =
            state.revoked_keys().await.unwrap().into_iter().map(|key| said(machine(key))).collect();
        revoked.sort();
        let clusters = state.clusters().await.unwrap().into_iter();
        let clusters = clusters.map(|(cluster, service, memory)| {
            let lease = memory.lease.map(|lease| (lease.node, lease.generation));
            format!("{cluster} {service:?} {:?} {:?} {lease:?}", memory.founders, memory.seats)
        });
        // Of stages of two verbs, one may come between two of the other.
        let mut history: Vec<String> = Vec::new();
        let mut query = AuditQuery::default();
        while let Some((last, lines)) = state.audit_lines(&query).await.unwrap() {
            query.after = last;
            let entries = lines.lines().map(|line| serde_json::from_str::<AuditEntry>(line).unwrap());
            let without_time = |text: &str| text.split(", until ").next().unwrap_or_default().to_owned();
            history.extend(entries.map(|entry| format!("{}: {}", entry.actor, without_time(&entry.text))));
        }
        history.sort();
        let memberships = state.memberships().await.unwrap().len();
        Seen { node, operation, enrolments, revoked, memberships, clusters: clusters.collect(), history }
    }

    /// Whether what is at hand is what the database says: what another server would recall from it.
    pub async fn remembers_what_a_restart_would(&self) -> std::result::Result<(), String> {
        let anew = opened(self.folder.path()).await;
        let at_hand = |services: &Services| {
            let memory = &services.state.memory;
            let entries = memory.directory.with(|entries| format!("{entries:?}"));
            (entries, self.machines.iter().map(|machine| memory.revoked.holds(&machine.key)).collect::<Vec<_>>())
        };
        let (own, recalled) = (at_hand(&self.services), at_hand(&anew));
        if own == recalled { Ok(()) } else { Err(format!("{own:?} is not {recalled:?}")) }
    }
}

fn said(answer: impl std::fmt::Debug) -> String {
    format!("{answer:?}")
}

fn claims() -> Claims {
    Claims { uuid: None, serial: None, macs: vec!["52:54:00:00:00:01".parse().unwrap()] }
}

fn ready(run: RunId, generation: u64) -> ReadyReport {
    ReadyReport {
        run,
        generation,
        service: "etcd".into(),
        outcome: JoinOutcome::Joined,
        join_ms: 5,
        members: vec!["a".into()],
        service_version: None,
        boot_id: None,
        awaits: vec![],
        versions: Versions { agent: String::new(), kernel: String::new(), system: None },
        boot_order: vec![],
    }
}
