//! Machines that asked to become a node.

use super::{
    Doing, State, Unit, column,
    enrol_tokens::{self, shown_token},
    millis, plain, time_of, to_column,
};
use crate::domain::{enrolment::Shown, tpm::Tpm};
use protocol::{
    Code, Failure, Timestamp,
    boot_trust::BootTrust,
    claims::Claims,
    encoding::Sha256,
    failure::Result,
    inventory::Inventory,
    names::{NodeName, RunId},
};

use std::net::IpAddr;

const READING: &str = "reading enrolments";

/// Where an enrolment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits.
    Pending,
    /// Its key is a node's.
    Approved,
    /// The node is installed under another key.
    Conflict,
    /// An admin has refused it. It asks on, for that may be taken back.
    Rejected,
    /// A newer enrolment took its place.
    Superseded,
}

impl Standing {
    fn name(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Approved => "approved",
            Standing::Conflict => "conflict",
            Standing::Rejected => "rejected",
            Standing::Superseded => "superseded",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        use Standing::{Approved, Conflict, Pending, Rejected, Superseded};
        [Pending, Approved, Conflict, Rejected, Superseded].into_iter().find(|standing| standing.name() == text)
    }

    /// Whether who stands so waits, for whatever it is: [`open!`] in SQL.
    fn is_open(self) -> bool {
        matches!(self, Standing::Pending | Standing::Conflict | Standing::Rejected)
    }
}

/// [`Standing::is_open`] in SQL.
macro_rules! open {
    () => {
        "state IN ('pending', 'conflict', 'rejected')"
    };
}

/// One enrolment.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Its row; 0 before it is written.
    pub id: i64,
    /// SHA-256 of the session that only the machine knows.
    pub session: Sha256,
    /// SPKI hash of the machine's key.
    pub key: Sha256,
    /// The machine's public key, DER.
    pub spki: Vec<u8>,
    /// The code on its console.
    pub code: String,
    /// Where it stands.
    pub standing: Standing,
    /// The node it is, or is in conflict with.
    pub node: Option<NodeName>,
    /// What the machine says of itself.
    pub claims: Claims,
    /// SHA-256 of the one-time token that it has shown.
    pub token: Option<Sha256>,
    /// What is known of that token.
    pub shown: Shown,
    /// The run that enrolled.
    pub run: RunId,
    /// Release of the agent.
    pub agent_version: String,
    /// Address it spoke from.
    pub address: String,
    /// Leaf and CA in PEM.
    pub certificate: Option<String>,
    /// When the machine asked last.
    pub heard: Timestamp,
    /// Its TPM.
    pub tpm: Tpm,
}

impl Enrolment {
    /// Whether it waits, for whatever it is.
    pub fn is_open(&self) -> bool {
        self.standing.is_open()
    }
}

/// A row without its inventory, which is large and read where one machine is looked at.
macro_rules! select {
    ($($which:expr),+) => {
        concat!(
            "SELECT id, session_sha256, key_sha256, spki, code, state, node, claims, run, agent_version, address, \
             certificate, heard, tpm, token_sha256, ",
            shown_token!(),
            " AS token FROM enrolments WHERE ",
            $($which),+
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    session_sha256: String,
    key_sha256: String,
    spki: Vec<u8>,
    code: String,
    state: String,
    node: Option<String>,
    claims: String,
    run: String,
    agent_version: String,
    address: String,
    certificate: Option<String>,
    heard: i64,
    tpm: Option<String>,
    token_sha256: Option<String>,
    token: Option<String>,
}

impl Row {
    fn enrolment(self) -> Result<Enrolment> {
        let bad = |what: &str| Failure::new(Code::Internal, format!("reading an enrolment: its {what} is damaged"));
        let token = self.token_sha256.map(|text| text.parse()).transpose().map_err(|_| bad("token"))?;
        Ok(Enrolment {
            id: self.id,
            session: self.session_sha256.parse().map_err(|_| bad("session"))?,
            key: self.key_sha256.parse().map_err(|_| bad("key"))?,
            spki: self.spki,
            code: self.code,
            standing: Standing::parse(&self.state).ok_or_else(|| bad("state"))?,
            node: self.node.map(|name| name.parse()).transpose().map_err(|_| bad("node"))?,
            claims: column("claims", &self.claims)?,
            run: self.run.parse().map_err(|_| bad("run"))?,
            agent_version: self.agent_version,
            address: self.address,
            certificate: self.certificate,
            heard: time_of(self.heard),
            tpm: self.tpm.map(|text| column("a TPM", &text)).transpose()?.unwrap_or_default(),
            shown: enrol_tokens::shown(token.as_ref(), self.token.as_deref())?,
            token,
        })
    }
}

impl State {
    /// The enrolment of this session.
    pub async fn enrolment_by_session(&self, session: &Sha256) -> Result<Option<Enrolment>> {
        let row: Option<Row> = sqlx::query_as(select!("session_sha256 = ?"))
            .bind(session.hex())
            .fetch_optional(&self.readers)
            .await
            .doing(READING)?;
        row.map(Row::enrolment).transpose()
    }

    /// The enrolment with this row.
    pub async fn enrolment(&self, id: i64) -> Result<Option<Enrolment>> {
        let row: Option<Row> =
            sqlx::query_as(select!("id = ?")).bind(id).fetch_optional(&self.readers).await.doing(READING)?;
        row.map(Row::enrolment).transpose()
    }

    /// Those that wait, are in conflict or were refused, the newest first.
    pub async fn open_enrolments(&self) -> Result<Vec<Enrolment>> {
        let rows: Vec<Row> =
            sqlx::query_as(select!(open!(), " ORDER BY id DESC")).fetch_all(&self.readers).await.doing(READING)?;
        rows.into_iter().map(Row::enrolment).collect()
    }

    /// What the agent read of the machine that enrolled.
    pub async fn inventory(&self, id: i64) -> Result<Option<Inventory>> {
        let text: Option<String> = sqlx::query_scalar("SELECT inventory FROM enrolments WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .doing(READING)?;
        text.map(|text| column("an inventory", &text)).transpose()
    }

    /// How many wait: in all, and of this source.
    pub async fn waiting(&self, source: IpAddr) -> Result<(i64, i64)> {
        sqlx::query_as(concat!("SELECT count(*), count(*) FILTER (WHERE source = ?) FROM enrolments WHERE ", open!()))
            .bind(source.to_string())
            .fetch_one(&self.readers)
            .await
            .doing(READING)
    }

    /// Those that wait: where they spoke from, and when they asked before this server was started.
    pub async fn sources_of_waiting(&self) -> Result<Vec<(i64, IpAddr, Timestamp)>> {
        let rows: Vec<(i64, String, i64)> =
            sqlx::query_as(concat!("SELECT id, source, heard FROM enrolments WHERE ", open!()))
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        let read = |(id, source, heard): (i64, String, i64)| Ok((id, plain("a source", &source)?, time_of(heard)));
        rows.into_iter().map(read).collect()
    }
}

impl Unit {
    /// Adds the enrolment with what the agent read; its row.
    pub async fn add_enrolment(&mut self, enrolment: &Enrolment, source: IpAddr, inventory: &Inventory) -> Result<i64> {
        self.after.changed = true;
        let done = sqlx::query(
            "INSERT INTO enrolments (session_sha256, key_sha256, spki, code, state, node, claims, inventory, run, \
             agent_version, address, created, heard, token_sha256, tpm, source) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?12, ?12, ?13, ?14, ?15)",
        )
        .bind(enrolment.session.hex())
        .bind(enrolment.key.hex())
        .bind(&enrolment.spki)
        .bind(&enrolment.code)
        .bind(enrolment.standing.name())
        .bind(enrolment.node.as_ref().map(NodeName::as_str))
        .bind(to_column("claims", &enrolment.claims)?)
        .bind(to_column("an inventory", inventory)?)
        .bind(enrolment.run.as_str())
        .bind(&enrolment.agent_version)
        .bind(&enrolment.address)
        .bind(millis(enrolment.heard))
        .bind(enrolment.token.map(|token| token.hex()))
        .bind(to_column("a TPM", &enrolment.tpm)?)
        .bind(source.to_string())
        .execute(&mut *self.connection)
        .await
        .doing("adding an enrolment")?;
        Ok(done.last_insert_rowid())
    }

    /// Forgets the older enrolments of a key but for the last ones: a machine that is restarted again and again leaves few.
    pub async fn forget_superseded(&mut self, key: &Sha256) -> Result<()> {
        const KEPT: i64 = 4;
        sqlx::query(
            "DELETE FROM enrolments WHERE key_sha256 = ?1 AND state = 'superseded' \
             AND NOT EXISTS (SELECT 1 FROM nodes WHERE enrolment = enrolments.id) \
             AND id NOT IN (SELECT id FROM enrolments WHERE key_sha256 = ?1 ORDER BY id DESC LIMIT ?2)",
        )
        .bind(key.hex())
        .bind(KEPT)
        .execute(&mut *self.connection)
        .await
        .doing("forgetting enrolments")?;
        Ok(())
    }

    /// Changes where an enrolment stands, and gives it its certificate.
    pub async fn set_enrolment(
        &mut self,
        id: i64,
        standing: Standing,
        node: Option<&NodeName>,
        certificate: Option<&str>,
    ) -> Result<()> {
        self.after.changed = true;
        self.after.memory.enrolments.push(id);
        // What was replaced is not looked at any more.
        let kept = if standing == Standing::Superseded { "'{}', things = NULL" } else { "inventory" };
        let query =
            format!("UPDATE enrolments SET state = ?, node = ?, certificate = ?, inventory = {kept} WHERE id = ?");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(standing.name())
            .bind(node.map(NodeName::as_str))
            .bind(certificate)
            .bind(id)
            .execute(&mut *self.connection)
            .await
            .doing("changing an enrolment")?;
        Ok(())
    }

    /// Those that wait and may be of the same machine: its key, its first card, its UUID or serial is in them.
    pub async fn similar_enrolments(&mut self, to: &Enrolment) -> Result<Vec<Enrolment>> {
        let claims = &to.claims;
        let label = claims.uuid.as_deref().or(claims.serial.as_deref());
        let rows: Vec<Row> = sqlx::query_as(select!(
            open!(),
            " AND (key_sha256 = ?1 OR instr(claims, ?2) > 0 OR instr(claims, ?3) > 0)"
        ))
        .bind(to.key.hex())
        .bind(claims.macs.first().map(protocol::names::Mac::as_str))
        .bind(label)
        .fetch_all(&mut *self.connection)
        .await
        .doing(READING)?;
        rows.into_iter().map(Row::enrolment).collect()
    }

    /// The enrolment of this session, as the unit sees it.
    pub async fn enrolment_of(&mut self, session: &Sha256) -> Result<Option<Enrolment>> {
        let row: Option<Row> = sqlx::query_as(select!("session_sha256 = ?"))
            .bind(session.hex())
            .fetch_optional(&mut *self.connection)
            .await
            .doing(READING)?;
        row.map(Row::enrolment).transpose()
    }

    /// What was verified of the boot of the machine that enrolled so.
    pub async fn boot_trust(&mut self, id: i64) -> Result<BootTrust> {
        let row: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT inventory, tpm FROM enrolments WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut *self.connection)
                .await
                .doing(READING)?;
        let Some((inventory, tpm)) = row else { return Ok(BootTrust::Nothing) };
        let inventory: Inventory = column("an inventory", &inventory)?;
        let tpm: Option<Tpm> = tpm.map(|tpm| column("a TPM", &tpm)).transpose()?;
        let is_measured = tpm.is_some_and(|tpm| tpm.proven_ek().is_some());
        Ok(BootTrust::of(&inventory.secure_boot, inventory.fetched, is_measured))
    }

    /// Sets aside what waits of a key.
    pub(super) async fn set_aside(&mut self, key: &Sha256) -> Result<()> {
        const SET_ASIDE: &str = concat!(
            "UPDATE enrolments SET state = 'superseded', inventory = '{}', things = NULL WHERE key_sha256 = ? AND ",
            open!(),
            " RETURNING id"
        );
        let set_aside: Vec<i64> = sqlx::query_scalar(SET_ASIDE)
            .bind(key.hex())
            .fetch_all(&mut *self.connection)
            .await
            .doing("changing enrolments")?;
        self.after.changed = true;
        self.after.memory.enrolments.extend(set_aside);
        Ok(())
    }

    /// Notes a certificate that was handed out.
    pub async fn add_certificate(
        &mut self,
        serial: &str,
        node: &NodeName,
        key: &Sha256,
        not_after: Timestamp,
    ) -> Result<()> {
        sqlx::query("INSERT INTO certificates (serial, node, key_sha256, issued, not_after) VALUES (?, ?, ?, ?, ?)")
            .bind(serial)
            .bind(node.as_str())
            .bind(key.hex())
            .bind(millis(self.now))
            .bind(millis(not_after))
            .execute(&mut *self.connection)
            .await
            .doing("noting a certificate")?;
        Ok(())
    }

    /// When the last certificate of a key ends.
    pub async fn certificate_end(&mut self, key: &Sha256) -> Result<Option<Timestamp>> {
        let ends: Option<i64> = sqlx::query_scalar("SELECT max(not_after) FROM certificates WHERE key_sha256 = ?")
            .bind(key.hex())
            .fetch_one(&mut *self.connection)
            .await
            .doing("reading certificates")?;
        Ok(ends.map(time_of))
    }

    /// Sets aside every other enrolment that was admitted as the node.
    pub async fn supersede_others(&mut self, node: &NodeName, keep: i64) -> Result<()> {
        self.after.changed = true;
        sqlx::query("UPDATE enrolments SET state = 'superseded' WHERE node = ? AND id <> ? AND state = 'approved'")
            .bind(node.as_str())
            .bind(keep)
            .execute(&mut *self.connection)
            .await
            .doing("changing enrolments")?;
        Ok(())
    }

    /// Whether the enrolment still waits.
    pub async fn enrolment_is_open(&mut self, id: i64) -> Result<bool> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM enrolments WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *self.connection)
            .await
            .doing(READING)?;
        Ok(state.is_some_and(|state| Standing::parse(&state).is_some_and(Standing::is_open)))
    }
}
