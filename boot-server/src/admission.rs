//! Enrolments carried out: hello, enrol, poll, approve. What is decided is in [`crate::enrolment`].

use crate::{
    ca::{self, CsrKey, NODE_LIFE},
    enrolment::{self, Decision, constant_time_equal},
    lifecycle::Input,
    manifest,
    operation::Kind,
    random,
    server::{Server, now},
    state::{
        self, Write, audit,
        enrolments::{self, Enrolment, Standing},
        nodes, operations, runs,
    },
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    enrol::{self, EnrolReply, EnrolRequest, EnrolState, HelloReply, HelloRequest, NONCE_BYTES},
    failure::Result,
    names::NodeName,
};
use time::Duration;

/// Machines that wait at once.
const MOST_PENDING: i64 = 5_000;
/// A machine that waits asks at least every minute; one that was silent for longer has been restarted.
const STILL_THERE: Duration = Duration::seconds(90);

impl Server {
    /// The first message: the machine commits to its CSR, the server draws its nonce.
    ///
    /// # Errors
    /// `E-INPUT` where the nonce has another length; `E-SERVER-UNREACHABLE` where there are too many machines.
    pub fn hello(&self, request: HelloRequest) -> Result<HelloReply> {
        if request.nonce.len() != NONCE_BYTES {
            let cause = format!("reading hello at nonce: {} bytes, not {NONCE_BYTES}", request.nonce.len());
            return Err(Failure::new(Code::Input, cause));
        }
        let (session, nonce, time) = (random::name()?, random::bytes::<NONCE_BYTES>()?.to_vec(), now());
        let signature = self.signer.sign_hello(&request.nonce, &nonce, time);
        self.hellos.add(Sha256::of(session.as_bytes()), request.csr_sha256, request.nonce, nonce.clone(), time)?;
        Ok(HelloReply { session, nonce, time, signature })
    }

    /// The second message: the CSR, the claims, the inventory.
    ///
    /// # Errors
    /// `E-ENROL-UNKNOWN` for a session that is not known; `E-INPUT` for a CSR that is not the one of hello.
    pub async fn enrol(&self, request: EnrolRequest, address: &str) -> Result<EnrolReply> {
        let session = Sha256::of(request.session.as_bytes());
        let key = match self.state.enrolment_by_session(&session).await? {
            Some(known) => {
                let key = ca::csr_key(&request.csr)?;
                if key.hash() != known.key {
                    return Err(other_csr());
                }
                self.refuse_revoked(&key)?;
                return self.enrolment_reply(&known);
            }
            None => self.new_key(&session, &request)?,
        };
        let enrolment = self.record_enrolment(session, key, request, address).await?;
        let settled = self.settle(enrolment).await?;
        self.enrolment_reply(&settled)
    }

    /// Waits for news of an enrolment, at most so long.
    ///
    /// # Errors
    /// `E-ENROL-UNKNOWN` for a session that is not known.
    pub async fn poll(&self, session: &str, wait: std::time::Duration) -> Result<EnrolReply> {
        let session = Sha256::of(session.as_bytes());
        let mut bell = self.changed.listen();
        let mut stopping = self.stopping.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let enrolment = self.state.enrolment_by_session(&session).await?.ok_or_else(unknown_session)?;
            self.presence.heard(&enrolment.run, None, now());
            let over = tokio::time::Instant::now() >= deadline || *stopping.borrow();
            if enrolment.standing != Standing::Pending || over {
                return self.enrolment_reply(&enrolment);
            }
            tokio::select! {
                _ = bell.changed() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Decides about every machine that waits: a spec has been applied.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn settle_all(&self) -> Result<()> {
        for enrolment in self.state.open_enrolments().await? {
            self.settle(enrolment).await?;
        }
        Ok(())
    }

    /// An admin has compared the code and names the node where no spec matches.
    ///
    /// # Errors
    /// `E-NOT-FOUND` for a code that no machine shows; `E-NO-SPEC`; `E-ENROL-CONFLICT`.
    pub async fn approve(&self, code: &str, node: Option<NodeName>, actor: &str) -> Result<NodeName> {
        self.admins.may_try_code(now())?;
        let wanted = enrolment::normal_code(code).unwrap_or_default();
        let open = self.state.open_enrolments().await?;
        let mut found = None;
        for enrolment in open {
            // Every code is compared, so that the time says nothing about which one is close.
            if constant_time_equal(&enrolment.code, &wanted) {
                found = Some(enrolment);
            }
        }
        let Some(enrolment) = found else {
            self.admins.wrong_code(now());
            return Err(Failure::new(
                Code::NotFound,
                format!("looking for code {code:?}: no machine that waits shows it"),
            )
            .with_remedy("type the code that the machine's console shows now: it changes when the machine restarts"));
        };
        let name = match node {
            Some(name) => name,
            None => self.node_for(&enrolment)?,
        };
        self.admit(&enrolment, &name, actor).await?;
        Ok(name)
    }

    fn node_for(&self, enrolment: &Enrolment) -> Result<NodeName> {
        let missing = |text: String| Failure::new(Code::NoSpec, format!("approving a machine: {text}"));
        match self.with_entries(|entries| enrolment::find(entries, &enrolment.claims)) {
            enrolment::Found::One(name) => Ok(name),
            enrolment::Found::Nobody => Err(missing("no NodeSpec matches it".to_owned()).with_remedy(
                "apply a NodeSpec that matches it, or name the node: boot-server approve CODE --node NAME",
            )),
            enrolment::Found::Several(names) => {
                let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
                Err(missing(format!("{} match it", names.join(" and ")))
                    .with_remedy("name the node: boot-server approve CODE --node NAME"))
            }
        }
    }

    fn new_key(&self, session: &Sha256, request: &EnrolRequest) -> Result<CsrKey> {
        let hello = self.hellos.get(session, now()).ok_or_else(unknown_session)?;
        if Sha256::of(&request.csr) != hello.csr {
            return Err(other_csr());
        }
        let key = ca::csr_key(&request.csr)?;
        self.refuse_revoked(&key)?;
        Ok(key)
    }

    fn refuse_revoked(&self, key: &CsrKey) -> Result<()> {
        if !self.revoked.holds(&key.hash()) {
            return Ok(());
        }
        Err(Failure::new(Code::EnrolRejected, "enrolling a machine: its key was revoked")
            .with_remedy("the node was replaced or retired: wipe this machine's disks, so that it makes a new key"))
    }

    async fn record_enrolment(
        &self,
        session: Sha256,
        key: CsrKey,
        request: EnrolRequest,
        address: &str,
    ) -> Result<Enrolment> {
        let hello = self.hellos.get(&session, now()).ok_or_else(unknown_session)?;
        if self.state.pending_count().await? >= MOST_PENDING && self.set_aside_silent().await? == 0 {
            let cause = format!("enrolling a machine: {MOST_PENDING} machines wait already");
            return Err(Failure::new(Code::ServerUnreachable, cause));
        }
        let code = enrol::code(&key.hash(), &self.ca.spki(), &hello.client_nonce, &hello.server_nonce);
        let mut enrolment = Enrolment {
            id: 0,
            session,
            key: key.hash(),
            spki: key.spki,
            code,
            standing: Standing::Pending,
            node: None,
            claims: request.claims.cleaned(),
            inventory: request.inventory,
            run: request.run,
            agent_version: request.agent_version,
            address: address.to_owned(),
            certificate: None,
            heard: now(),
        };
        let similar = self.state.similar_enrolments(&enrolment).await?;
        let mut write = self.state.write().await?;
        for older in &similar {
            if self.replaces(&enrolment, older) {
                enrolments::set(&mut write, older.id, Standing::Superseded, None, None).await?;
            }
        }
        enrolment.id = enrolments::insert(&mut write, &enrolment).await?;
        state::commit(write).await?;
        self.presence.heard(&enrolment.run, None, now());
        self.hellos.remove(&session);
        Ok(enrolment)
    }

    /// The same machine has come back: by its key, or by its claims where the older one has fallen silent. An older
    /// one that still asks stays, so that nobody is pushed aside by another machine with his claims.
    fn replaces(&self, newer: &Enrolment, older: &Enrolment) -> bool {
        older.key == newer.key
            || (enrolment::same_machine(&older.claims, &newer.claims) && self.silent_for(older) > STILL_THERE)
            || (older.run == newer.run && enrolment::same_machine(&older.claims, &newer.claims))
    }

    /// How long the machine has not asked.
    pub fn silent_for(&self, enrolment: &Enrolment) -> Duration {
        now() - self.presence.of(&enrolment.run).map_or(enrolment.heard, |word| word.heard.max(enrolment.heard))
    }

    /// Machines that ask no more make room for those that do; one that comes back greets again. How many made room.
    async fn set_aside_silent(&self) -> Result<usize> {
        let mut silent = self.state.open_enrolments().await?;
        silent.retain(|enrolment| self.silent_for(enrolment) > STILL_THERE);
        let mut write = self.state.write().await?;
        for enrolment in &silent {
            enrolments::set(&mut write, enrolment.id, Standing::Superseded, None, None).await?;
        }
        state::commit(write).await?;
        Ok(silent.len())
    }

    async fn settle(&self, enrolment: Enrolment) -> Result<Enrolment> {
        let decision = self.decision(&enrolment);
        match decision {
            Decision::Approve(name) => {
                self.admit(&enrolment, &name, "server").await?;
            }
            Decision::Conflict(name) => {
                let mut write = self.state.write().await?;
                enrolments::set(&mut write, enrolment.id, Standing::Conflict, Some(&name), None).await?;
                let text = format!("a machine with the node's claims and another key asked from {}", enrolment.address);
                if enrolment.standing != Standing::Conflict {
                    audit::note(&mut write, now(), "server", Some(&name), text).await?;
                }
                state::commit(write).await?;
                self.changed.ring();
            }
            Decision::Wait { node, .. } => self.note_waiting(node).await?,
        }
        let gone = || Failure::new(Code::Internal, "reading an enrolment that was just written: it is gone");
        self.state.enrolment(enrolment.id).await?.ok_or_else(gone)
    }

    async fn note_waiting(&self, node: Option<NodeName>) -> Result<()> {
        let Some(name) = node else {
            self.changed.ring();
            return Ok(());
        };
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, &name).await?;
        if let Ok(record) = node.record.after(&Input::Asked) {
            node.record = record;
            nodes::save(&mut write, &node, now()).await?;
        }
        state::commit(write).await?;
        self.refresh_node(&name).await
    }

    /// Makes the machine the node: key, certificate and generation in one write.
    async fn admit(&self, enrolment: &Enrolment, name: &NodeName, actor: &str) -> Result<()> {
        let mut write = self.state.write().await?;
        if !enrolments::is_open(&mut write, enrolment.id).await? {
            return Err(Failure::new(Code::WrongState, format!("approving a machine as {name}: it no longer waits")));
        }
        let mut node = nodes::load(&mut write, name).await?;
        if node.key != Some(enrolment.key) {
            node.record = node.record.after(&Input::Approved).map_err(|refusal| refusal.failure(name))?;
            let from = &enrolment.address;
            audit::note(&mut write, now(), actor, Some(name), format!("admitted a machine from {from}")).await?;
        }
        let certificate = self.certify(&mut write, &node, enrolment).await?;
        if self.revoked.holds(&enrolment.key) {
            return Err(Failure::new(
                Code::EnrolRejected,
                format!("approving a machine as {name}: its key was revoked"),
            ));
        }
        node.key = Some(enrolment.key);
        node.enrolment = Some(enrolment.id);
        if operations::load(&mut write, name).await?.is_some_and(|operation| operation.kind == Kind::Replace) {
            // The window is for one machine: it has come.
            operations::end(&mut write, name).await?;
        }
        nodes::save(&mut write, &node, now()).await?;
        enrolments::set(&mut write, enrolment.id, Standing::Approved, Some(name), Some(&certificate)).await?;
        enrolments::supersede_others(&mut write, name, enrolment.id).await?;
        runs::give_to_node(&mut write, &enrolment.session, name).await?;
        state::commit(write).await?;
        self.refresh_node(name).await
    }

    async fn certify(&self, write: &mut Write, node: &nodes::Node, enrolment: &Enrolment) -> Result<String> {
        let spec = node.spec.as_ref();
        let spec = spec.ok_or_else(|| Failure::new(Code::NoSpec, format!("approving node {}: no spec", node.name)))?;
        let names = manifest::certificate_names(spec);
        let issued = self.ca.issue(node.name.as_str(), &names, &enrolment.spki, now(), NODE_LIFE)?;
        enrolments::add_certificate(write, &issued.serial, &node.name, &enrolment.key, now(), issued.not_after).await?;
        Ok(issued.chain_pem)
    }

    /// What becomes of the enrolment as things stand.
    pub fn decision(&self, enrolment: &Enrolment) -> Decision {
        let default = self.config.enrol.admission;
        self.with_entries(|entries| {
            enrolment::decide(entries, &enrolment.key, &enrolment.claims, &enrolment.code, default, now())
        })
    }

    fn enrolment_reply(&self, enrolment: &Enrolment) -> Result<EnrolReply> {
        let reply = |state, missing| EnrolReply { state, missing, node: None, certificate: None };
        Ok(match enrolment.standing {
            Standing::Superseded => return Err(unknown_session()),
            Standing::Conflict => {
                reply(EnrolState::Conflict, vec!["an admin to decide which machine it is".to_owned()])
            }
            Standing::Pending => match self.decision(enrolment) {
                Decision::Wait { missing, .. } => reply(EnrolState::Pending, missing),
                Decision::Approve(_) | Decision::Conflict(_) => reply(EnrolState::Pending, vec![]),
            },
            Standing::Approved => EnrolReply {
                state: EnrolState::Approved,
                missing: vec![],
                node: enrolment.node.clone(),
                certificate: enrolment.certificate.clone(),
            },
        })
    }
}

fn unknown_session() -> Failure {
    Failure::new(Code::EnrolUnknown, "looking for the enrolment: this session is not known or has been replaced")
}

fn other_csr() -> Failure {
    Failure::new(Code::Input, "reading the CSR: it is not the one that hello committed to")
}
