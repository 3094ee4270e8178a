//! What earlier releases have written is read by today's server: `tests/databases/NNNN.sql` is the state of the last
//! release that had migration NNNN and none after it.

use super::lab::Lab;
use protocol::encoding::Sha256;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::PathBuf;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A server on the state that a release with these migrations has left.
pub async fn opened(migration: u32) -> Lab {
    let mut lab = Lab::open();
    assert!(lab.stop());
    let database = lab.dir().join("state.db");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", database.display()));
    }
    let dump = std::fs::read_to_string(here().join(format!("tests/databases/{migration:04}.sql"))).unwrap();
    let key = here().join(format!("tests/databases/{migration:04}.key"));
    if key.exists() {
        std::fs::copy(key, lab.dir().join("secrets.key")).unwrap();
    }
    let options = SqliteConnectOptions::new().filename(&database).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(dump)).execute(&mut connection).await.unwrap();
    let newest: i64 =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut connection).await.unwrap();
    assert_eq!(newest, i64::from(migration));
    // This server's admin, whom that one did not know.
    sqlx::query("INSERT INTO tokens (sha256, name, created) VALUES (?, 'today', 0)")
        .bind(Sha256::of(lab.token().as_bytes()).hex())
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    lab.serve();
    lab
}

#[test]
fn every_migration_but_the_newest_has_a_database_of_a_release_that_ended_with_it() {
    let names = |folder: &str, end: &str| {
        let entries = std::fs::read_dir(here().join(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(end))
            .map(|name| name[..4].to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    let (migrations, databases) = (names("migrations", ".sql"), names("tests/databases", ".sql"));
    let earlier = &migrations[..migrations.len() - 1];
    assert!(databases.starts_with(earlier), "run tests/databases/record.sh: {databases:?} of {migrations:?}");
}

/// What every release has written; it can be written on, too.
fn finds_everything(lab: &Lab) {
    let states = ["member", "installing", "expected"].map(|name| lab.state_of(name));
    assert_eq!(states, ["ready", "installing", "expected"], "{}", lab.log());
    let member = lab.describe("member");
    let steps: Vec<&str> =
        member["events"].as_array().unwrap().iter().map(|event| event["event"]["event"].as_str().unwrap()).collect();
    assert_eq!(steps, ["started", "finished"]);
    assert!(member["history"].to_string().contains("installed generation 1"), "{member:#}");
    assert!(lab.says(&["logs", "member"]).contains("a line of the member's log"));
    let nodes = lab.says(&["get", "nodes"]);
    assert!(nodes.contains("pending"), "{nodes}");
    lab.says(&["reinstall", "member", "--yes"]);
    assert_eq!(lab.describe("member")["summary"]["generation"], 2);
}

#[tokio::test]
async fn a_database_of_the_first_release_is_read() {
    finds_everything(&opened(1).await);
}

#[tokio::test]
async fn a_database_from_before_clusters_is_read() {
    finds_everything(&opened(2).await);
}

#[tokio::test]
async fn a_database_from_before_health_is_read() {
    finds_everything(&opened(3).await);
}

#[tokio::test]
async fn a_database_from_before_operations_is_read_with_the_health_in_it() {
    let lab = opened(4).await;
    let member = lab.describe("member").to_string();
    assert!(member.contains("6.1.0-test"), "{member}");
    finds_everything(&lab);
}

#[tokio::test]
async fn a_database_of_migration_5_is_read_with_the_operation_that_is_under_way() {
    let lab = opened(5).await;
    let other = lab.verb(&["cluster", "replace", "member", "--yes"]);
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("E-WRONG-STATE") && said.contains("it is being decommissioned"), "{said}");
    finds_everything(&lab);
}

#[tokio::test]
async fn a_database_from_before_renewal_is_read_with_the_ends_of_its_certificates() {
    let lab = opened(6).await;
    assert!(lab.describe("member")["summary"]["certificate_ends"].is_string());
    finds_everything(&lab);
}

#[tokio::test]
async fn a_database_from_before_the_chain_of_the_audit_is_read() {
    finds_everything(&opened(7).await);
}

#[tokio::test]
async fn a_database_from_before_event_logs_is_read_with_its_tokens_and_the_tpm_that_was_proven() {
    let lab = opened(8).await;
    let proven = lab.describe("member")["tpm"]["proven"].clone();
    assert!(proven["ek"].is_string() && proven["log"]["missing"].is_string(), "{proven}");
    assert!(lab.says(&["token", "list"]).contains("today"));
    assert_eq!(lab.says(&["get", "rejections"]), "No machine is refused.\n");
    finds_everything(&lab);
}
