//! What machines say before they are admitted: hello, the request, and asking for news.

use super::{Admission, rejections::refused};
use crate::{
    base::{clock::now, places::source_of, random},
    domain::{
        enrolment::{
            self, By, Decision, Rival, Shown,
            room::{self, Full, Waiting},
        },
        tpm::Tpm,
    },
    state::{
        enrolments::{Enrolment, Standing},
        runs::Owner,
    },
    trust::{
        ca::{self, CsrKey},
        sessions::Hello,
    },
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    enrol::{self, EnrolReply, EnrolRequest, EnrolState, HelloReply, HelloRequest, NONCE_BYTES},
    enrol_token::EnrolToken,
    failure::Result,
    names::NodeName,
    text::cut,
};
use std::{net::IpAddr, time::Instant};

/// Whether a machine that another one is in the way of may go on is looked at so often.
const LOOK: std::time::Duration = std::time::Duration::from_secs(10);
/// Bytes of an agent's release.
const MOST_VERSION: usize = 64;

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// A machine's that has asked to become a node.
    Enrolled,
    /// A machine's that has only greeted: nothing that it tells is kept.
    Greeted,
    /// Nobody's.
    Unknown,
}

impl Admission {
    /// The first message: the machine commits to its CSR, the server draws its nonce.
    ///
    /// # Errors
    /// `E-INPUT` where the nonce has another length; `E-BUSY` where there are too many machines.
    pub fn hello(&self, request: HelloRequest) -> Result<HelloReply> {
        if request.nonce.len() != NONCE_BYTES {
            let cause = format!("reading hello at nonce: {} bytes, not {NONCE_BYTES}", request.nonce.len());
            return Err(Failure::new(Code::Input, cause));
        }
        let (session, nonce, time) = (random::name()?, random::bytes::<NONCE_BYTES>()?.to_vec(), now());
        let signature = self.signer.key().sign_hello(&request.nonce, &nonce, time);
        let ca = self.ca.known_as(request.ca_spki_sha256);
        let hello =
            Hello { csr: request.csr_sha256, ca, client_nonce: request.nonce, server_nonce: nonce.clone(), at: time };
        self.hellos.add(Sha256::of(session.as_bytes()), hello)?;
        Ok(HelloReply { session, nonce, time, signature })
    }

    /// The second message: the CSR, the claims, the inventory.
    ///
    /// # Errors
    /// `E-ENROL-UNKNOWN` for a session that is not known; `E-INPUT` for a CSR that is not the one of hello.
    pub async fn enrol(&self, request: EnrolRequest, address: IpAddr) -> Result<EnrolReply> {
        let session = Sha256::of(request.session.as_bytes());
        let enrolment = match self.state.enrolment_by_session(&session).await? {
            Some(known) => {
                let key = ca::csr_key(&request.csr)?;
                if key.hash() != known.key {
                    return Err(other_csr());
                }
                self.refuse_revoked(&key.hash())?;
                self.up_to_date(self.with_token(known, request.token).await?).await?
            }
            None => {
                let key = self.new_key(&session, &request)?;
                self.record_enrolment(session, key, request, address).await?
            }
        };
        self.enrolment_reply(&enrolment)
    }

    /// The machine has been given a token since it asked.
    async fn with_token(&self, enrolment: Enrolment, token: Option<EnrolToken>) -> Result<Enrolment> {
        let Some(token) = token.map(|token| token.hash()) else { return Ok(enrolment) };
        if enrolment.token == Some(token) || !enrolment.is_open() {
            return Ok(enrolment);
        }
        let mut unit = self.state.begin().await?;
        unit.show_token(enrolment.id, &token).await?;
        unit.commit().await?;
        self.state.enrolment(enrolment.id).await?.ok_or_else(unknown_session)
    }

    /// Waits for news of an enrolment, at most so long.
    ///
    /// # Errors
    /// `E-ENROL-UNKNOWN` for a session that is not known.
    pub async fn poll(&self, session: &str, wait: std::time::Duration) -> Result<EnrolReply> {
        let session = Sha256::of(session.as_bytes());
        let enrolment = self.state.enrolment_by_session(&session).await?.ok_or_else(unknown_session)?;
        let news = self.state.memory.news.listen(enrolment.id);
        let mut stopping = self.stop.listen();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let enrolment = self.state.enrolment_by_session(&session).await?.ok_or_else(unknown_session)?;
            self.state.memory.presence.heard_waiting(enrolment.id, Instant::now());
            let over = tokio::time::Instant::now() >= deadline || *stopping.borrow();
            let enrolment = self.up_to_date(enrolment).await?;
            if !enrolment.is_open() || over {
                return self.enrolment_reply(&enrolment);
            }
            let look = match enrolment.standing {
                Standing::Conflict | Standing::Rejected => deadline.min(tokio::time::Instant::now() + LOOK),
                _ => deadline,
            };
            tokio::select! {
                () = news.told() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep_until(look) => {}
            }
        }
    }

    /// Whose session it is.
    pub async fn session(&self, session: &Sha256) -> Result<Session> {
        Ok(match self.state.enrolment_by_session(session).await? {
            // A machine that was replaced or retired tells nothing any more, by its old session either.
            Some(enrolment) if self.state.memory.revoked.holds(&enrolment.key) => Session::Unknown,
            Some(_) => Session::Enrolled,
            None if self.hellos.get(session, now()).is_some() => Session::Greeted,
            None => Session::Unknown,
        })
    }

    fn new_key(&self, session: &Sha256, request: &EnrolRequest) -> Result<CsrKey> {
        let hello = self.hellos.get(session, now()).ok_or_else(unknown_session)?;
        if Sha256::of(&request.csr) != hello.csr {
            return Err(other_csr());
        }
        let key = ca::csr_key(&request.csr)?;
        self.refuse_revoked(&key.hash())?;
        Ok(key)
    }

    pub(super) fn refuse_revoked(&self, key: &Sha256) -> Result<()> {
        if !self.state.memory.revoked.holds(key) {
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
        address: IpAddr,
    ) -> Result<Enrolment> {
        // Whoever took the hello in the meantime has recorded the enrolment before.
        let Some(hello) = self.hellos.get(&session, now()) else {
            return self.state.enrolment_by_session(&session).await?.ok_or_else(unknown_session);
        };
        let source = source_of(address);
        let inventory = request.inventory.bounded();
        let code = enrol::code(&key.hash(), &hello.ca, &hello.client_nonce, &hello.server_nonce);
        let mut enrolment = Enrolment {
            id: 0,
            session,
            key: key.hash(),
            spki: key.spki,
            code,
            standing: Standing::Pending,
            node: None,
            claims: request.claims.cleaned(),
            token: request.token.map(|token| token.hash()),
            shown: Shown::Nothing,
            run: request.run,
            agent_version: cut(request.agent_version, MOST_VERSION),
            address: address.to_string(),
            certificate: None,
            tpm: Tpm::of(request.tpm, |certificate, key| self.prover.vouch(certificate, key)),
            heard: now(),
        };
        self.make_room(&enrolment, source).await?;
        let mut unit = self.state.begin().await?;
        // It may have been revoked since the request came.
        self.refuse_revoked(&enrolment.key)?;
        // Nobody else writes while the unit is open: of two requests with one session, the second sees the first.
        if let Some(known) = unit.enrolment_of(&session).await? {
            unit.commit().await?;
            return Ok(known);
        }
        let similar = unit.similar_enrolments(&enrolment).await?;
        enrolment.id = unit.add_enrolment(&enrolment, source, &inventory).await?;
        if let Some(replaced) = request.replaces.map(|session| Sha256::of(session.as_bytes()))
            && let Some(older) = unit.enrolment_of(&replaced).await?
            && older.is_open()
        {
            // Who knows the session is that machine.
            unit.set_enrolment(older.id, Standing::Superseded, None, None).await?;
        }
        // Before an older enrolment makes room: nobody takes over another machine's run.
        let owner = Owner::Session(session);
        unit.may_speak(&enrolment.run, &owner).await?;
        unit.claim_run(&enrolment.run, &owner, Some(&enrolment.address)).await?;
        for older in &similar {
            if self.replaces(&enrolment, older) {
                unit.set_enrolment(older.id, Standing::Superseded, None, None).await?;
            }
        }
        unit.forget_superseded(&enrolment.key).await?;
        if enrolment.token.is_some() {
            enrolment.shown = unit.shown(enrolment.id).await?;
        }
        // In one unit: nobody comes between what is asked and what becomes of it.
        self.settle_in(&mut unit, &enrolment).await?;
        unit.commit().await?;
        self.state.memory.presence.heard_waiting(enrolment.id, Instant::now());
        // Its own, as has been checked.
        self.state.memory.presence.heard(&enrolment.run, None, Instant::now());
        self.hellos.remove(&session);
        self.state.enrolment(enrolment.id).await?.ok_or_else(unknown_session)
    }

    /// Whether the machine was heard lately.
    pub fn still_asks(&self, enrolment: &Enrolment) -> bool {
        self.silent_for(enrolment) <= room::STILL_THERE
    }

    /// The same machine has come back: by its key, or by its claims where the older one has fallen silent. An older
    /// one that still asks stays, so that nobody is pushed aside by another machine with his claims.
    fn replaces(&self, newer: &Enrolment, older: &Enrolment) -> bool {
        older.key == newer.key || (enrolment::same_machine(&older.claims, &newer.claims) && !self.still_asks(older))
    }

    /// Room for one more that waits. What is admitted at once needs none: the key of a node, a one-time token.
    async fn make_room(&self, newcomer: &Enrolment, source: IpAddr) -> Result<()> {
        let (waiting, of_source) = self.state.waiting(source).await?;
        let is_bound = |count: i64, most: usize| usize::try_from(count).is_ok_and(|count| count >= most);
        if !is_bound(waiting, room::MOST) && !is_bound(of_source, room::MOST_OF_SOURCE) {
            return Ok(());
        }
        let shown = match &newcomer.token {
            Some(token) => self.state.enrol_token(token).await?,
            None => Shown::Nothing,
        };
        let newcomer = Enrolment { shown, ..newcomer.clone() };
        if matches!(self.decision(&newcomer), Decision::Approve { by: By::Key | By::Token { .. }, .. }) {
            return Ok(());
        }
        let all = self.state.sources_of_waiting().await?.into_iter();
        let all: Vec<Waiting> =
            all.map(|(id, source, heard)| Waiting { id, source, silent: self.silence(id, heard) }).collect();
        let gone = room::give_way(&all, source).map_err(|full| no_room(full, source))?;
        let mut unit = self.state.begin().await?;
        for id in gone {
            // It may have been settled since it was read.
            if unit.enrolment_is_open(id).await? {
                unit.set_enrolment(id, Standing::Superseded, None, None).await?;
            }
        }
        unit.commit().await
    }

    pub(super) fn enrolment_reply(&self, enrolment: &Enrolment) -> Result<EnrolReply> {
        let reply = self.reply_of_standing(enrolment)?;
        Ok(EnrolReply { tpm: self.prover.challenge(enrolment), ..reply })
    }

    fn reply_of_standing(&self, enrolment: &Enrolment) -> Result<EnrolReply> {
        let reply = |state, missing| EnrolReply { state, missing, node: None, certificate: None, tpm: None };
        Ok(match enrolment.standing {
            Standing::Superseded => return self.refuse_revoked(&enrolment.key).and(Err(unknown_session())),
            Standing::Pending | Standing::Conflict | Standing::Rejected => match self.decision(enrolment) {
                Decision::Wait { missing, .. } => {
                    reply(EnrolState::Pending, missing.into_iter().map(|missing| missing.text).collect())
                }
                Decision::Conflict { node, with } => reply(EnrolState::Conflict, vec![to_decide(&node, with)]),
                Decision::Rejected { rejection, .. } => {
                    reply(EnrolState::Rejected, vec![refused(&rejection, &enrolment.code)])
                }
                Decision::Approve { .. } => reply(EnrolState::Pending, vec![]),
            },
            Standing::Approved => EnrolReply {
                state: EnrolState::Approved,
                missing: vec![],
                node: enrolment.node.clone(),
                certificate: enrolment.certificate.clone(),
                tpm: None,
            },
        })
    }
}

/// What a machine waits for whose claims are a node's that has another key.
pub fn to_decide(node: &NodeName, with: Rival) -> String {
    match with {
        Rival::Installed => format!(
            "an admin to decide: it claims to be {node}, which is installed under another key (boot-server cluster replace \
             {node}, where this is its new machine)"
        ),
        Rival::Installing => format!(
            "another machine to fall silent, which is being installed as {node}; or an admin to decide which of them is {node}"
        ),
    }
}

pub(super) fn unknown_session() -> Failure {
    Failure::new(Code::EnrolUnknown, "looking for the enrolment: this session is not known or has been replaced")
}

fn no_room(full: Full, source: IpAddr) -> Failure {
    let cause = match full {
        Full::Source => format!("{} machines at {source} wait already", room::MOST_OF_SOURCE),
        Full::All => format!("{} machines wait already", room::MOST),
    };
    Failure::new(Code::Busy, format!("enrolling a machine: {cause}")).with_remedy(
        "an admin approves or rejects those that wait (boot-server get nodes --state pending), or gives this machine a one-time \
         token; those that ask no more make room after 90 s",
    )
}

fn other_csr() -> Failure {
    Failure::new(Code::Input, "reading the CSR: it is not the one that hello committed to")
}
