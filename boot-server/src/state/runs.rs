//! Runs: whose they are, and where each stands by its last event.

use super::{State, Write, column, millis, time_of, to_column, wrong};
use protocol::{
    Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    names::{NodeName, RunId},
    step::Step,
};

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
            id: column("a run", &format!("{:?}", self.id))?,
            step: self.step.map(|text| column("a step", &text)).transpose()?,
            failure: self.failure.map(|text| column("a failure", &text)).transpose()?,
            heard: time_of(self.heard),
            address: self.address,
            rss: u64::try_from(self.rss).unwrap_or(0),
        })
    }
}

fn unread(error: &sqlx::Error) -> Failure {
    wrong("reading runs", error)
}

impl State {
    /// The last run of every node: `(node, run)`.
    ///
    /// # Errors
    /// `E-SYSTEM`.
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
        .map_err(|error| unread(&error))?;
        rows.into_iter().map(|with| Ok((with.node, with.row.run()?))).collect()
    }

    /// Whether the run is known as the owner's.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn run_is_of(&self, run: &RunId, owner: &Owner) -> Result<bool> {
        let query = match owner {
            Owner::Session(_) => "SELECT count(*) FROM runs WHERE id = ? AND session = ?",
            Owner::Node(_) => "SELECT count(*) FROM runs WHERE id = ? AND node = ?",
        };
        let name = match owner {
            Owner::Session(session) => session.hex(),
            Owner::Node(node) => node.to_string(),
        };
        let count: i64 = sqlx::query_scalar(query)
            .bind(run.as_str())
            .bind(name)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        Ok(count > 0)
    }

    /// One run.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM runs WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        row.map(Row::run).transpose()
    }
}

/// Whose the run is: `None` where it is new, else its session and node.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn owners(write: &mut Write, run: &RunId) -> Result<Option<(Option<String>, Option<String>)>> {
    sqlx::query_as("SELECT session, node FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(|error| unread(&error))
}

/// Whether a run of this session or node may go on as the owner's: its machine never enrolled, was replaced by a
/// newer enrolment of the same machine, or has the owner's key.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn is_same_machine(
    write: &mut Write,
    session: Option<String>,
    node: Option<String>,
    owner: &Owner,
) -> Result<bool> {
    const KEY_OF_SESSION: &str = "SELECT key_sha256 FROM enrolments WHERE session_sha256 = ?";
    const KEY_OF_NODE: &str = "SELECT key_sha256 FROM nodes WHERE name = ? AND key_sha256 IS NOT NULL";
    const LIVE_KEY: &str = "SELECT key_sha256 FROM enrolments WHERE session_sha256 = ? AND state <> 'superseded'";
    let mut key = async |query: &'static str, of: String| -> Result<Option<String>> {
        sqlx::query_scalar(query).bind(of).fetch_optional(&mut **write).await.map_err(|error| unread(&error))
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
///
/// # Errors
/// `E-SYSTEM`.
pub async fn count_of_session(write: &mut Write, session: &Sha256) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM runs WHERE session = ?")
        .bind(session.hex())
        .fetch_one(&mut **write)
        .await
        .map_err(|error| unread(&error))
}

/// Makes the run known, or gives it to its owner: a run of a session becomes the node's with its first word over
/// the node's certificate.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn claim(write: &mut Write, run: &RunId, owner: &Owner, address: Option<&str>, now: Timestamp) -> Result<()> {
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
    .bind(millis(now))
    .bind(address)
    .execute(&mut **write)
    .await
    .map_err(|error| wrong("writing a run", &error))?;
    Ok(())
}

/// Gives the runs of a session to the node that its machine became.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn give_to_node(write: &mut Write, session: &Sha256, node: &NodeName) -> Result<()> {
    sqlx::query("UPDATE runs SET node = ? WHERE session = ?")
        .bind(node.as_str())
        .bind(session.hex())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing runs", &error))?;
    Ok(())
}

/// Notes where the run stands.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn stands(write: &mut Write, run: &RunId, step: Option<Step>, failure: Option<&Failure>) -> Result<()> {
    sqlx::query("UPDATE runs SET step = coalesce(?, step), failure = ? WHERE id = ?")
        .bind(step.map(|step| to_column("a step", &step)).transpose()?)
        .bind(failure.map(|failure| to_column("a failure", failure)).transpose()?)
        .bind(run.as_str())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing a run", &error))?;
    Ok(())
}

/// Notes the agent's peak memory.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn used_memory(write: &mut Write, run: &RunId, rss: u64) -> Result<()> {
    sqlx::query("UPDATE runs SET rss = max(rss, ?) WHERE id = ?")
        .bind(i64::try_from(rss).unwrap_or(i64::MAX))
        .bind(run.as_str())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing a run", &error))?;
    Ok(())
}
