//! The server's memory: SQLite, whole after a kill -9 (WAL, synchronous FULL).
//!
//! Whatever is acknowledged to a machine or an admin has been committed. Everything that writes goes through
//! [`State::write`], which takes SQLite's write lock at once, so that what is read inside it cannot be stale.

pub mod audit;
pub mod clusters;
pub mod enrolments;
pub mod handed_out;
pub mod health;
pub mod journal;
pub mod nodes;
pub mod operations;
pub mod runs;
pub mod tokens;

use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
};
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The database; clones share it.
#[derive(Debug, Clone)]
pub struct State {
    readers: SqlitePool,
    writer: SqlitePool,
}

/// A write that is not committed yet.
pub type Write = Transaction<'static, Sqlite>;

impl State {
    /// Opens the database, makes it where it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// `E-SYSTEM` where the file cannot be opened or is of a newer release.
    pub async fn open(path: &Path) -> Result<Self> {
        let activity = || format!("opening the state {}", path.display());
        private_file(path).or_fail(Code::System, activity)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).min_connections(1);
        let writer = pool(1).connect_with(options.clone()).await.or_fail(Code::System, activity)?;
        MIGRATIONS.run(&writer).await.or_fail(Code::System, activity)?;
        let readers = pool(3).connect_with(options).await.or_fail(Code::System, activity)?;
        Ok(Self { readers, writer })
    }

    /// Begins a write.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn write(&self) -> Result<Write> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| wrong("beginning a write", &error))
    }

    /// Writes the database as it is now to a new file, while it is in use.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let activity = format!("copying the state to {}", path.display());
        let copied = sqlx::query("VACUUM INTO ?").bind(path.to_string_lossy().as_ref()).execute(&self.readers).await;
        copied.map(drop).map_err(|error| wrong(&activity, &error))
    }

    /// Closes the database after what is under way.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes a write durable.
///
/// # Errors
/// `E-SYSTEM`; nothing of the write has happened then.
pub async fn commit(write: Write) -> Result<()> {
    write.commit().await.map_err(|error| wrong("committing a write", &error))
}

/// The state holds secrets: its file is made before SQLite can make it with looser rights.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

pub(crate) fn wrong(activity: &str, error: &sqlx::Error) -> Failure {
    Failure::from_error(Code::System, activity, error)
}

pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

pub(crate) fn time_of(millis: i64) -> Timestamp {
    Timestamp::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads a JSON column.
pub(crate) fn column<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).or_fail(Code::Internal, || format!("reading {what} from the state"))
}

/// Writes a JSON column.
pub(crate) fn to_column<T: serde::Serialize>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).or_fail(Code::Internal, || format!("writing {what} to the state"))
}
