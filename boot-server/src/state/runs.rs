//! Runs: whose they are, and where each stands by its last event.

use super::{Doing, State, Unit, column, millis, plain, time_of, to_column};
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    names::{NodeName, RunId},
    step::Step,
};

const READING: &str = "reading runs";

/// Runs of a machine that nobody has admitted.
const MOST_RUNS_OF_SESSION: i64 = 5;

/// Who speaks for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A machine by its enrolment session, before it has a certificate.
    Session(Sha256),
    /// A node by its certificate.
    Node(NodeName),
}

/// A run as it is shown.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The step of its last event.
    pub step: Option<Step>,
    /// The failure, where its last event is one.
    pub failure: Option<Failure>,
    /// When anything of it was stored last.
    pub heard: Timestamp,
    /// Address it spoke from.
    pub address: String,
    /// Peak resident memory of the agent, bytes.
    pub rss: u64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    step: Option<String>,
    failure: Option<String>,
    heard: i64,
    address: String,
    rss: i64,
}

impl Row {
    fn run(self) -> Result<Run> {
        Ok(Run {
            id: plain("a run", &self.id)?,
            step: self.step.map(|text| column("a step", &text)).transpose()?,
            failure: self.failure.map(|text| column("a failure", &text)).transpose()?,
            heard: time_of(self.heard),
            address: self.address,
            rss: u64::try_from(self.rss).unwrap_or(0),
        })
    }
}

impl State {
    /// The last run of every node: `(node, run)`.
    pub async fn last_runs(&self) -> Result<Vec<(String, Run)>> {
        #[derive(sqlx::FromRow)]
        struct WithNode {
            node: String,
            #[sqlx(flatten)]
            row: Row,
        }
        // SQLite takes the other columns from the row that has the maximum.
        let rows: Vec<WithNode> = sqlx::query_as(
            "SELECT node, id, step, failure, heard, address, rss, max(created) FROM runs \
             WHERE node IS NOT NULL GROUP BY node",
        )
        .fetch_all(&self.readers)
        .await
        .doing(READING)?;
        rows.into_iter().map(|with| Ok((with.node, with.row.run()?))).collect()
    }

    /// Whether the run is known as the owner's.
    pub async fn run_is_of(&self, run: &RunId, owner: &Owner) -> Result<bool> {
        let query = match owner {
            Owner::Session(_) => "SELECT count(*) FROM runs WHERE id = ? AND session = ?",
            Owner::Node(_) => "SELECT count(*) FROM runs WHERE id = ? AND node = ?",
        };
        let name = match owner {
            Owner::Session(session) => session.hex(),
            Owner::Node(node) => node.to_string(),
        };
        let count: i64 =
            sqlx::query_scalar(query).bind(run.as_str()).bind(name).fetch_one(&self.readers).await.doing(READING)?;
        Ok(count > 0)
    }

    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM runs WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .doing(READING)?;
        row.map(Row::run).transpose()
    }
}

impl Unit {
    /// A run belongs to whom it first came from; a machine's runs go with it when it becomes a node, and when it has to
    /// greet again because the server or the agent was restarted.
    ///
    /// # Errors
    /// `E-FORBIDDEN` where it is another machine's.
    pub async fn may_speak(&mut self, run: &RunId, owner: &Owner) -> Result<()> {
        let known = self.run_owners(run).await?;
        let allowed = match (known, owner) {
            (None, Owner::Node(_)) => true,
            (None, Owner::Session(session)) => self.runs_of_session(session).await? < MOST_RUNS_OF_SESSION,
            (Some((_, Some(node))), Owner::Node(own)) => node == own.as_str(),
            (Some((Some(session), _)), Owner::Session(own)) if session == own.hex() => true,
            (Some((session, node)), _) => self.is_same_machine(session, node, owner).await?,
        };
        if allowed {
            return Ok(());
        }
        Err(Failure::new(Code::Forbidden, format!("speaking for run {run}: it is another machine's")))
    }

    /// Whose the run is: `None` where it is new, else its session and node.
    async fn run_owners(&mut self, run: &RunId) -> Result<Option<(Option<String>, Option<String>)>> {
        sqlx::query_as("SELECT session, node FROM runs WHERE id = ?")
            .bind(run.as_str())
            .fetch_optional(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// Whether a run of this session or node may go on as the owner's: its machine never enrolled, was replaced by a
    /// newer enrolment of the same machine, or has the owner's key.
    async fn is_same_machine(&mut self, session: Option<String>, node: Option<String>, owner: &Owner) -> Result<bool> {
        const KEY_OF_SESSION: &str = "SELECT key_sha256 FROM enrolments WHERE session_sha256 = ?";
        const KEY_OF_NODE: &str = "SELECT key_sha256 FROM nodes WHERE name = ? AND key_sha256 IS NOT NULL";
        const LIVE_KEY: &str = "SELECT key_sha256 FROM enrolments WHERE session_sha256 = ? AND state <> 'superseded'";
        let mut key = async |query: &'static str, of: String| -> Result<Option<String>> {
            sqlx::query_scalar(query).bind(of).fetch_optional(&mut *self.connection).await.doing(READING)
        };
        let own = match owner {
            Owner::Session(session) => key(KEY_OF_SESSION, session.hex()).await?,
            Owner::Node(name) => key(KEY_OF_NODE, name.to_string()).await?,
        };
        let theirs = match (node, session) {
            (Some(node), _) => key(KEY_OF_NODE, node).await?,
            (None, Some(session)) => key(LIVE_KEY, session).await?,
            (None, None) => None,
        };
        Ok(theirs.is_none() || theirs == own)
    }

    /// How many runs a session has brought.
    async fn runs_of_session(&mut self, session: &Sha256) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM runs WHERE session = ?")
            .bind(session.hex())
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// Makes the run known, or gives it to its owner: a run of a session becomes the node's with its first word over
    /// the node's certificate.
    pub async fn claim_run(&mut self, run: &RunId, owner: &Owner, address: Option<&str>) -> Result<()> {
        let (session, node) = match owner {
            Owner::Session(session) => (Some(session.hex()), None),
            Owner::Node(node) => (None, Some(node.as_str())),
        };
        sqlx::query(
            "INSERT INTO runs (id, session, node, created, heard, address) VALUES (?1, ?2, ?3, ?4, ?4, coalesce(?5, '')) \
             ON CONFLICT (id) DO UPDATE SET node = coalesce(?3, node), session = coalesce(?2, session), heard = ?4, \
             address = coalesce(?5, address)",
        )
        .bind(run.as_str())
        .bind(session)
        .bind(node)
        .bind(millis(self.now))
        .bind(address)
        .execute(&mut *self.connection)
        .await
        .doing("writing a run")?;
        Ok(())
    }

    /// Gives the runs of a session to the node that its machine became.
    pub async fn give_runs_to_node(&mut self, session: &Sha256, node: &NodeName) -> Result<()> {
        sqlx::query("UPDATE runs SET node = ? WHERE session = ?")
            .bind(node.as_str())
            .bind(session.hex())
            .execute(&mut *self.connection)
            .await
            .doing("writing runs")?;
        Ok(())
    }

    /// Notes where the run stands.
    pub async fn run_stands(&mut self, run: &RunId, step: Option<Step>, failure: Option<&Failure>) -> Result<()> {
        sqlx::query("UPDATE runs SET step = coalesce(?, step), failure = ? WHERE id = ?")
            .bind(step.map(|step| to_column("a step", &step)).transpose()?)
            .bind(failure.map(|failure| to_column("a failure", failure)).transpose()?)
            .bind(run.as_str())
            .execute(&mut *self.connection)
            .await
            .doing("writing a run")?;
        Ok(())
    }

    /// Notes the agent's peak memory.
    pub async fn used_memory(&mut self, run: &RunId, rss: u64) -> Result<()> {
        sqlx::query("UPDATE runs SET rss = max(rss, ?) WHERE id = ?")
            .bind(i64::try_from(rss).unwrap_or(i64::MAX))
            .bind(run.as_str())
            .execute(&mut *self.connection)
            .await
            .doing("writing a run")?;
        Ok(())
    }
}
