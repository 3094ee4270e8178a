//! The audit: who did what, from where, and what becomes of who writes it anew.

use super::{
    earlier,
    lab::{Lab, TOPLEVEL, path, spec},
    machine::Machine,
};
use bytes::Bytes;
use hyper::{Method, StatusCode, header};
use protocol::encoding::Sha256;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

fn entries(lab: &Lab, more: &[&str]) -> Vec<Value> {
    let lines = lab.says(&[&["audit", "export"], more].concat());
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(entries: &'a [Value], action: &str) -> &'a Value {
    entries.iter().rev().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("{action}: {entries:#?}"))
}

/// What `verify` says where all is well: the newest entry.
fn anchor(lab: &Lab) -> String {
    let said = lab.says(&["audit", "verify"]);
    said.lines().find_map(|line| line.strip_prefix("newest: ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// What `verify` says where it is not.
fn broken(lab: &Lab, more: &[&str]) -> String {
    let output = lab.verb(&[&["audit", "verify", "--offline"], more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("E-AUDIT-BROKEN"), "{said}");
    said
}

/// Somebody who can write the database.
async fn writes(lab: &Lab, statements: &str) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(lab.dir().join("state.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// The same, who knows of the triggers.
async fn forges(lab: &Lab, statements: &str) {
    let free = "DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_goes;";
    writes(lab, &format!("{free}{statements}")).await.unwrap();
}

/// A server with a history, which is down.
fn with_history() -> (Lab, String) {
    let mut lab = Lab::open();
    for mac in 1..=5 {
        lab.apply(&format!("n{mac}"), &format!("52:54:00:00:00:0{mac}"));
    }
    let newest = anchor(&lab);
    assert!(lab.stop());
    (lab, newest)
}

#[tokio::test]
async fn every_action_says_who_from_where_and_what_was_before_and_after() {
    let lab = Lab::strict();
    let token = lab.says(&["token", "create", "alice", "--scope", "operate"]).trim().to_owned();
    lab.apply("n1", "52:54:00:00:00:01");
    let mut other = spec("n1", "52:54:00:00:00:01");
    other["secrets"][0]["content"] = json!("another secret of n1");
    other["system"]["toplevel"] = json!(format!("{TOPLEVEL}-other"));
    let alice = lab.caller(None, Some(token.clone()));
    assert_eq!(alice.post("/v1/nodes", &json!({ "nodes": [other] })).await.0, StatusCode::OK);
    let machine = Machine::new("52:54:00:00:00:01", "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    assert_eq!(lab.admin().post("/v1/approve", &json!({ "code": greeted.code })).await.0, StatusCode::OK);
    let node = machine.node(&lab, &machine.ask(&lab, &greeted).await);
    node.manifest(&lab).await;
    assert_eq!(node.caller.get("/v1/node/secrets?generation=1").await.0, StatusCode::OK);
    assert!(node.installed(1).await.0.is_success() && node.ready(1).await.0.is_success());
    let json_body = (header::CONTENT_TYPE.as_str(), "application/json");
    let login =
        lab.nobody().send(Method::POST, "/v1/login", &[json_body], json!({ "token": token }).to_string().into()).await;
    let cookie = login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    lab.nobody().send(Method::DELETE, "/v1/login", &[(header::COOKIE.as_str(), &cookie)], Bytes::new()).await;
    lab.caller(None, Some("a-guess".to_owned())).get("/v1/nodes").await;
    lab.says(&["reinstall", "n1", "--yes"]);
    lab.says(&["token", "revoke", "alice"]);

    let entries = entries(&lab, &[]);
    let who = |action: &str| {
        let entry = of(&entries, action);
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        (text("actor"), text("kind"), text("from"))
    };
    let by = |actor: &str, kind: &str| (actor.to_owned(), kind.to_owned(), "127.0.0.1".to_owned());
    assert_eq!(who("spec-applied"), by("alice", "token"));
    for action in ["secrets-handed-out", "installed", "joined"] {
        assert_eq!(who(action), by("n1", "node"), "{action}");
    }
    assert_eq!(who("wrong-token"), by("a stranger", "stranger"));
    for (action, actor) in [
        ("token-made", "admin"),
        ("machine-admitted", "admin"),
        ("logged-in", "alice"),
        ("logged-out", "alice"),
        ("reinstall", "admin"),
        ("token-revoked", "admin"),
    ] {
        assert_eq!(who(action), by(actor, "token"), "{action}");
    }
    assert_eq!(of(&entries, "server-made")["kind"], "folder");
    let applied = of(&entries, "spec-applied");
    assert_eq!(applied["before"]["system"], json!({ "toplevel": TOPLEVEL }));
    assert_eq!(applied["after"]["system"], json!({ "toplevel": format!("{TOPLEVEL}-other") }));
    assert_eq!(applied["after"]["secrets"]["/etc/nixos/secrets/own"]["content"], "(another secret)");
    assert_eq!(
        of(&entries, "secrets-handed-out")["after"]["paths"],
        json!(["/etc/nixos/secrets/own", "/etc/nixos/secrets/cluster-config.json"])
    );
    assert_eq!(of(&entries, "machine-admitted")["after"]["key"], machine.spki().hex());
    assert_eq!(of(&entries, "reinstall")["after"]["generation"], 2);
    assert_eq!(of(&entries, "token-revoked")["before"]["scope"], "operate");
    let all = format!("{entries:?}");
    for secret in ["secret of n1", "a-guess", &token, &lab.token(), &cookie[cookie.len() - 20..]] {
        assert!(!all.contains(secret), "{secret}");
    }
    let shown = lab.says(&["describe", "node", "n1"]);
    assert!(shown.contains("alice from 127.0.0.1: applied the spec"), "{shown}");
}

#[tokio::test]
async fn an_export_can_be_checked_without_this_program_and_goes_on_where_an_earlier_one_ended() {
    let lab = Lab::open();
    lab.apply("n1", "52:54:00:00:00:01");
    lab.apply("n2", "52:54:00:00:00:02");
    let export = lab.says(&["audit", "export"]);
    let mut before = "0".repeat(64);
    for line in export.lines() {
        let (entry, hash) = line.rsplit_once(",\"hash\":\"").unwrap();
        let hash = hash.strip_suffix("\"}").unwrap();
        assert_eq!(Sha256::of(format!("{before}\n{entry}}}").as_bytes()).hex(), hash);
        hash.clone_into(&mut before);
    }
    assert!(anchor(&lab).ends_with(&before));
    let all = entries(&lab, &[]);
    let last = all.last().unwrap()["id"].as_i64().unwrap();
    assert!(all.iter().map(|entry| entry["id"].as_i64().unwrap()).eq(1..=last));
    assert_eq!(entries(&lab, &["--after", &(last - 1).to_string()]), all[all.len() - 1..]);
    assert!(entries(&lab, &["--node", "n2"]).iter().all(|entry| entry["node"] == "n2"));
    assert_eq!(entries(&lab, &["--node", "n2"]).len(), 1);
    assert_eq!(entries(&lab, &["--since", "1h"]).len(), all.len());
    assert_eq!(entries(&lab, &["--since", "2099-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(entries(&lab, &["--offline"]), all);
}

#[tokio::test]
async fn who_may_only_look_checks_the_audit_and_does_not_read_it() {
    let lab = Lab::open();
    for (scope, reads) in [("view", false), ("operate", false), ("admin", true)] {
        let token = lab.says(&["token", "create", &format!("a-{scope}"), "--scope", scope]).trim().to_owned();
        let file = lab.file("token", &token);
        let output = lab.verb(&["audit", "export", "--token-file", path(&file)]);
        assert_eq!(output.status.success(), reads, "{scope}: {output:?}");
        assert!(reads || output.stdout.is_empty());
        lab.says(&["audit", "verify", "--token-file", path(&file)]);
    }
    assert_eq!(lab.nobody().get("/v1/audit/verify").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_plain_change_or_deletion_of_an_entry_is_refused_by_the_database() {
    let (lab, _) = with_history();
    for statement in [
        "UPDATE audit SET entry = replace(entry, 'admin', 'mallory') WHERE id = 4",
        "UPDATE audit SET hash = NULL",
        "DELETE FROM audit WHERE id = 4",
        "DELETE FROM audit",
    ] {
        let refused = writes(&lab, statement).await.unwrap_err().to_string();
        assert!(refused.contains("an entry of the audit does not"), "{statement}: {refused}");
    }
    lab.says(&["audit", "verify", "--offline"]);
}

#[tokio::test]
async fn an_entry_that_was_changed_is_noticed_by_its_number() {
    let (lab, _) = with_history();
    forges(&lab, "UPDATE audit SET entry = replace(entry, '127.0.0.1', '127.0.0.9') WHERE id = 4").await;
    assert!(broken(&lab, &[]).contains("entry 4: it is not as it was written"));
}

#[tokio::test]
async fn an_entry_that_is_missing_in_the_middle_or_at_the_end_is_noticed() {
    let (mut lab, newest) = with_history();
    forges(&lab, "DELETE FROM audit WHERE id = 4").await;
    assert!(broken(&lab, &[]).contains("entry 4: it is missing"));
    // What is written after it does not hide it, and a server that runs says so as well.
    lab.serve();
    lab.apply("n9", "52:54:00:00:00:09");
    let said = lab.verb(&["audit", "verify"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("entry 4: it is missing"), "{said:?}");

    let (lab, _) = (with_history().0, lab);
    let last: i64 = newest.split(':').next().unwrap().parse().unwrap();
    forges(&lab, &format!("DELETE FROM audit WHERE id = {last}")).await;
    assert!(broken(&lab, &[]).contains(&format!("entry {last}: it is missing")));
}

#[tokio::test]
async fn an_entry_that_was_taken_out_as_if_it_had_been_forgotten_is_noticed() {
    let (lab, _) = with_history();
    let statements =
        "INSERT INTO audit_forgotten SELECT id, hash FROM audit WHERE id = 4; DELETE FROM audit WHERE id = 4";
    writes(&lab, statements).await.unwrap();
    assert!(broken(&lab, &[]).contains("1 entries before it are gone, and the server has forgotten 0"));
}

#[tokio::test]
async fn an_end_that_was_taken_off_or_a_chain_that_was_written_anew_shows_by_the_hash_that_was_kept() {
    let (lab, newest) = with_history();
    lab.says(&["audit", "verify", "--offline", "--anchor", &newest]);
    let last: i64 = newest.split(':').next().unwrap().parse().unwrap();
    let cut = format!(
        "DELETE FROM audit WHERE id = {last}; UPDATE sqlite_sequence SET seq = {} WHERE name = 'audit'",
        last - 1
    );
    forges(&lab, &cut).await;
    lab.says(&["audit", "verify", "--offline"]);
    assert!(broken(&lab, &["--anchor", &newest]).contains("the end was taken off"));
    // The server chains what has no hash: whoever takes all of them gets a chain that is whole by itself.
    forges(&lab, "UPDATE audit SET hash = NULL, entry = replace(entry, 'token', 'node')").await;
    let kept: i64 = last - 1;
    let said = lab.says(&["audit", "verify", "--offline"]);
    assert!(said.contains(&format!("{kept} entries are whole")), "{said}");
    let other = format!("{kept}:{}", "ab".repeat(32));
    assert!(broken(&lab, &["--anchor", &other]).contains("the chain was written anew"));
}

#[tokio::test]
async fn what_an_earlier_release_noted_is_chained_with_who_did_it() {
    for migration in [1, 7] {
        let mut lab = earlier::opened(migration).await;
        let newest = anchor(&lab);
        let entries = entries(&lab, &[]);
        let installed =
            entries.iter().find(|entry| entry["text"].to_string().contains("installed generation 1")).unwrap();
        assert_eq!(
            (&installed["actor"], &installed["kind"], &installed["node"]),
            (&json!("member"), &json!("node"), &json!("member"))
        );
        assert!(installed["time"].as_str().unwrap().starts_with("20"), "{installed}");
        assert!(entries.iter().any(|entry| entry["actor"] == "admin" && entry["kind"] == "token"));
        assert!(lab.stop());
        lab.serve();
        lab.says(&["audit", "verify", "--anchor", &newest]);
    }
}
