//! A look at a database that nobody is to change: whether a server could begin with it.

use super::{Doing, MIGRATIONS, State, damage, plain, refuse_missing, vault};
use protocol::{Code, Failure, failure::Result, names::NodeName};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;
use vault::Vault;

impl State {
    /// Refuses the database that [`State::open`] would, and one with secrets that the key of its folder does not open. Makes and
    /// changes no file.
    ///
    /// # Errors
    /// As [`State::open`].
    pub async fn check(path: &Path) -> Result<()> {
        refuse_missing(path)?;
        let activity = format!("opening the state {}", path.display());
        // SQLite makes what belongs beside a database, as whoever asks. Where a server has it open, or was killed, it is there.
        let beside = |end: &str| path.with_file_name(format!("state.db-{end}")).exists();
        let is_in_use = beside("wal") && beside("shm");
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(!is_in_use);
        let mut connection = options.connect().await.doing(&activity)?;
        let checked = check(&mut connection, path, &activity).await;
        drop(connection.close().await);
        checked
    }
}

async fn check(connection: &mut SqliteConnection, path: &Path, activity: &str) -> Result<()> {
    const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    const VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await.doing(activity)?;
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return Err(Failure::new(Code::System, format!("{activity}: it is no server's")).with_remedy(damage::REMEDY));
    }
    let version: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *connection).await.doing(activity)?;
    if !MIGRATIONS.version_exists(version) {
        return Err(super::of_newer_release(activity, version));
    }
    check_secrets(connection, path, &tables).await
}

async fn check_secrets(connection: &mut SqliteConnection, path: &Path, tables: &[String]) -> Result<()> {
    // A database of an earlier release has none of them, and what is in the clear there is sealed when it is opened.
    const OF_SPECS: &str = "SELECT name, secrets FROM nodes WHERE secrets IS NOT NULL";
    const APART: &str = "SELECT node, sealed FROM secrets";
    const READING: &str = "reading sealed secrets";
    let has_column = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('nodes') WHERE name = 'secrets')";
    let mut sealed: Vec<(String, String)> = Vec::new();
    if sqlx::query_scalar(has_column).fetch_one(&mut *connection).await.doing(READING)? {
        sealed.extend(sqlx::query_as(OF_SPECS).fetch_all(&mut *connection).await.doing(READING)?);
    }
    if tables.iter().any(|table| table == "secrets") {
        let apart: Vec<(String, String)> = sqlx::query_as(APART).fetch_all(&mut *connection).await.doing(READING)?;
        sealed.extend(apart);
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let Some(vault) = Vault::open(dir)? else {
        return if sealed.is_empty() { Ok(()) } else { Err(super::no_key(path, dir)) };
    };
    for (node, sealed) in &sealed {
        let node: NodeName = plain("a node", node)?;
        vault.unseal(&node, sealed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::health::Health, state::path_in};

    #[tokio::test]
    async fn a_database_of_a_newer_release_is_refused_by_the_look_as_by_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_in(dir.path());
        let state = State::create(&path, Health::default()).await.unwrap();
        State::check(&path).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time \
            FROM _sqlx_migrations LIMIT 1";
        sqlx::query(newer).execute(&state.writer).await.unwrap();
        state.close().await;
        let checked = State::check(&path).await.unwrap_err();
        assert!(checked.cause.contains("version 9999") && checked.remedy.contains("run with last"), "{checked}");
        assert_eq!(State::open(&path, Health::default()).await.expect_err("it is newer"), checked);
    }
}
