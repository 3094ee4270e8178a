//! The server's memory: SQLite, whole after a kill -9 (WAL, synchronous FULL), and what of it is at hand in RAM.
//!
//! Whatever is acknowledged to a machine or an admin has been committed. Everything that writes is a [`Unit`]: it has
//! the one connection that writes, so what is read inside it cannot be stale, and it happens as a whole or not at all.
//! The memory at hand and the bells follow its commit, always in the same order, and cannot fail.

mod audit;
pub mod beliefs;
mod clusters;
mod damage;
pub mod enrol_tokens;
pub mod enrolments;
pub mod forgetting;
mod handed_out;
mod health;
pub mod journal;
mod look;
mod measured;
pub mod memory;
pub mod nodes;
mod operations;
pub mod persons;
pub mod rejections;
pub mod runs;
mod secrets;
pub mod seen;
pub mod tokens;
mod unit;
pub mod vault;

use crate::{
    base::{bell::Bell, clock, health::Health},
    domain::audit::{Action, Actor, Deed},
};
use memory::Memory;
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
    names::NodeName,
};
use sqlx::{
    Sqlite, SqlitePool,
    migrate::MigrateError,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use vault::Vault;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
/// What `/health` calls it.
const HEALTH: &str = "state";

/// The state; clones share it.
#[derive(Debug, Clone)]
pub struct State {
    readers: SqlitePool,
    writer: SqlitePool,
    /// What is at hand.
    pub memory: Arc<Memory>,
    /// Rings when an enrolment, a node or a cluster has changed.
    pub changed: Bell,
    /// Rings when the journal has grown.
    pub written: Bell,
    vault: Arc<Vault>,
    health: Health,
    /// Held while the audit is verified.
    verifying: Arc<tokio::sync::Mutex<()>>,
}

/// One change of the state. Dropped before [`Unit::commit`], it has never happened.
#[derive(Debug)]
#[must_use]
pub struct Unit {
    state: State,
    connection: PoolConnection<Sqlite>,
    committed: bool,
    now: Timestamp,
    after: After,
}

/// What follows the commit.
#[derive(Debug, Default)]
struct After {
    /// Nodes whose entries are made anew.
    nodes: BTreeSet<NodeName>,
    memory: memory::Changes,
    changed: bool,
    written: bool,
}

/// The database of an init folder.
pub fn path_in(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

impl State {
    /// Makes the database of a new server, and opens it.
    ///
    /// # Errors
    /// As [`State::open`].
    pub async fn create(path: &Path, health: Health) -> Result<Self> {
        private_file(path).or_fail(Code::System, || format!("making the state {}", path.display()))?;
        Self::open_file(path, health).await
    }

    /// The key of the secrets in it; a state that has none sealed yet gets one.
    async fn vault_of(path: &Path, writer: &SqlitePool) -> Result<Vault> {
        let dir = path.parent().unwrap_or(Path::new("."));
        if let Some(vault) = Vault::open(dir)? {
            return Ok(vault);
        }
        let sealed: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM nodes WHERE secrets IS NOT NULL) OR EXISTS (SELECT 1 FROM secrets)",
        )
        .fetch_one(writer)
        .await
        .doing("looking for sealed secrets")?;
        if sealed {
            return Err(no_key(path, dir));
        }
        Vault::make(dir)
    }

    /// Seals what an earlier release has left in the clear, and leaves no trace of it in the file.
    async fn seal_all(&self) -> Result<()> {
        const PLAIN: &str = "SELECT name FROM nodes WHERE secrets IS NULL AND json_array_length(spec, '$.secrets') > 0";
        const SEALING: &str = "sealing the secrets of nodes";
        let plain: Vec<String> = sqlx::query_scalar(PLAIN).fetch_all(&self.readers).await.doing(SEALING)?;
        if plain.is_empty() {
            return Ok(());
        }
        let mut unit = self.begin().await?;
        for name in &plain {
            let node = self.node(name).await?;
            if let Some(node) = node {
                unit.save_node(&node).await?;
            }
        }
        unit.commit().await?;
        self.leave_no_trace().await?;
        tracing::info!("sealed the secrets of {} nodes", plain.len());
        Ok(())
    }

    /// What was replaced is not in the file any more.
    async fn leave_no_trace(&self) -> Result<()> {
        for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            sqlx::query(statement).execute(&self.writer).await.doing("sealing secrets")?;
        }
        Ok(())
    }

    /// Draws the next key of the secrets, seals all of them with it, and forgets the keys before it; of how many nodes. Broken
    /// off, it is said again: until its end every key opens.
    ///
    /// # Errors
    /// As [`Vault::begin_anew`]; those of the state.
    pub async fn rekey(&self, actor: &Actor) -> Result<usize> {
        self.vault.begin_anew()?;
        let mut unit = self.begin().await?;
        let nodes = unit.seal_anew().await?;
        let deed = Action::SecretsSealedAnew.says(format!("sealed the secrets of {nodes} nodes with a new key"));
        unit.note(actor, None, deed).await?;
        unit.commit().await?;
        self.leave_no_trace().await?;
        self.vault.forget_earlier()?;
        Ok(nodes)
    }

    /// Opens the database, brings its tables up to date, and recalls what is at hand.
    ///
    /// # Errors
    /// `E-CONFIG` where there is none: an empty one would know no node and no revoked key. `E-SYSTEM` where the file cannot be
    /// opened, is damaged or is of a newer release.
    pub async fn open(path: &Path, health: Health) -> Result<Self> {
        refuse_missing(path)?;
        private_file(path).or_fail(Code::System, || format!("opening the state {}", path.display()))?;
        Self::open_file(path, health).await
    }

    async fn open_file(path: &Path, health: Health) -> Result<Self> {
        let activity = format!("opening the state {}", path.display());
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What was replaced leaves nothing behind in the file.
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(10));
        // Nobody but this process ends a connection: to try each before it is used would double what a lookup costs.
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).min_connections(1).test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await.doing(&activity)?;
        match MIGRATIONS.run(&writer).await {
            Err(MigrateError::VersionMissing(version)) => return Err(of_newer_release(&activity, version)),
            migrated => migrated.doing(&activity)?,
        }
        let readers = pool(3).connect_with(options).await.doing(&activity)?;
        let vault = Arc::new(Self::vault_of(path, &writer).await?);
        let (memory, changed, written) = (Arc::default(), Bell::default(), Bell::default());
        let state = Self { readers, writer, memory, changed, written, vault, health, verifying: Arc::default() };
        state.seal_all().await?;
        state.chain_all().await?;
        state.recall().await?;
        Ok(state)
    }

    /// What is at hand is made by the one way that also keeps it up to date.
    async fn recall(&self) -> Result<()> {
        let mut unit = self.begin().await?;
        unit.after.nodes = self.nodes().await?.into_iter().map(|node| node.name).collect();
        unit.after.memory.revoked = self.revoked_keys().await?;
        unit.after.memory.rejections = Some(unit.rejections().await?);
        unit.after.memory.admins = self.admin_keys().await?;
        unit.after.memory.vitals = self.health().await?.into_iter().map(|(name, heard)| (name, Some(heard))).collect();
        unit.commit().await
    }

    /// Begins a change: waits until the one before it has ended.
    pub async fn begin(&self) -> Result<Unit> {
        const BEGINNING: &str = "beginning a write";
        let failed = |failure| self.broken(failure);
        let connection = self.writer.acquire().await.doing(BEGINNING).map_err(failed)?;
        let after = After::default();
        let mut unit = Unit { state: self.clone(), connection, committed: false, now: clock::now(), after };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *unit.connection).await.doing(BEGINNING).map_err(failed)?;
        Ok(unit)
    }

    /// Adds one entry to the audit, about a node or about none.
    pub async fn note(&self, actor: impl Into<Actor>, node: Option<&NodeName>, deed: impl Into<Deed>) -> Result<()> {
        let mut unit = self.begin().await?;
        unit.note(actor, node, deed).await?;
        unit.commit().await
    }

    /// Writes the database as it is now to a new file, while it is in use.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let activity = format!("copying the state to {}", path.display());
        let copied = sqlx::query("VACUUM INTO ?").bind(path.to_string_lossy().as_ref()).execute(&self.readers).await;
        copied.map(drop).doing(&activity)
    }

    /// Closes the database after what is under way.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Has `/health` say that the state takes nothing in.
    fn broken(&self, failure: Failure) -> Failure {
        self.health.set(HEALTH, format!("failed: {failure}"));
        failure
    }
}

/// An empty file is no database either: SQLite would take it for a new one.
fn refuse_missing(path: &Path) -> Result<()> {
    let activity = || format!("opening the state {}", path.display());
    if !path.exists() {
        return Err(Failure::new(Code::Config, activity() + ": it is not there").with_remedy(
            "bring it back: boot-server cluster restore --from BACKUP --dir DIR; a new server is made by boot-server init",
        ));
    }
    if path.metadata().or_fail(Code::System, activity)?.len() == 0 {
        return Err(Failure::new(Code::System, activity() + ": it is empty").with_remedy(damage::REMEDY));
    }
    Ok(())
}

fn of_newer_release(activity: &str, version: i64) -> Failure {
    Failure::new(Code::System, format!("{activity}: a newer release has made it (version {version} of its tables)"))
        .with_remedy("run the release that it was run with last, or restore a backup of before: boot-server cluster restore --force")
}

/// Secrets are sealed, and their key is gone.
fn no_key(path: &Path, dir: &Path) -> Failure {
    let cause = format!("opening the state {}: {} is not there", path.display(), vault::key_path(dir).display());
    Failure::new(Code::Config, cause)
        .with_remedy("bring secrets.key back from the backup of this server: without it no secret opens")
}

/// The state holds secrets: its file is made before SQLite can make it with looser rights.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

/// Says what failed.
trait Doing<T> {
    fn doing(self, activity: &str) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> Doing<T> for Result<T, E> {
    fn doing(self, activity: &str) -> Result<T> {
        self.map_err(|error| damage::failure(activity, &error))
    }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn time_of(millis: i64) -> Timestamp {
    Timestamp::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads a JSON column.
fn column<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).or_fail(Code::Internal, || format!("reading {what} from the state"))
}

/// Reads a plain column.
fn plain<T: FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| Failure::new(Code::Internal, format!("reading {what} from the state: {error}")))
}

/// Writes a JSON column.
fn to_column<T: serde::Serialize>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).or_fail(Code::Internal, || format!("writing {what} to the state"))
}

#[cfg(test)]
mod tests;
