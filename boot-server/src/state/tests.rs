//! What a change does to the database, to what is at hand, and to who waits: all of it, or nothing.

use super::*;
use crate::domain::{operation, vitals::Heard};
use nodes::Node;
use protocol::{admin::Condition, encoding::Sha256};
use std::future::Future;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

async fn opened() -> (tempfile::TempDir, State, Health) {
    let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
    let state = State::create(&path_in(dir.path()), health.clone()).await.unwrap();
    (dir, state, health)
}

fn key() -> Sha256 {
    Sha256::of(b"key")
}

/// A change of everything that is at hand as well.
async fn changed(state: &State) -> Unit {
    let mut unit = state.begin().await.unwrap();
    unit.save_node(&Node { key: Some(key()), ..Node::new(name("n1")) }).await.unwrap();
    unit.revoke(&key(), &name("n1")).await.unwrap();
    let heard = Heard { at: unit.now(), report: None, noted: Condition::Silent };
    unit.save_heard(&name("n1"), heard).await.unwrap();
    unit.waits(&name("n1"), Some("its turn".to_owned()));
    unit
}

fn at_hand(state: &State) -> [bool; 4] {
    let Memory { revoked, directory, vitals, waits, .. } = &*state.memory;
    [
        revoked.holds(&key()),
        directory.with(|entries| entries.iter().any(|entry| entry.key == Some(key()))),
        vitals.of(&name("n1")).is_some(),
        waits.of(&name("n1"), clock::now()).is_some(),
    ]
}

/// Has COMMIT itself fail, which leaves the transaction open.
async fn cannot_be_committed(unit: &mut Unit) {
    const BROKEN: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY); \
        CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1)";
    for statement in BROKEN.split(';') {
        sqlx::query(statement).execute(&mut *unit.connection).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_at_hand_follows_the_commit_and_is_the_same_after_a_restart() {
    let (dir, state, _) = opened().await;
    let bell = state.changed.listen();
    let unit = changed(&state).await;
    assert_eq!(at_hand(&state), [false; 4], "nothing before the commit");
    unit.commit().await.unwrap();
    assert_eq!(at_hand(&state), [true; 4]);
    assert!(bell.has_changed().unwrap());
    state.close().await;
    let state = State::open(&path_in(dir.path()), Health::default()).await.unwrap();
    assert_eq!(at_hand(&state)[..3], [true; 3]);
}

#[tokio::test]
async fn a_change_whose_commit_fails_has_not_happened_and_holds_up_no_other() {
    let (_dir, state, health) = opened().await;
    assert_eq!(health.report().services["state"], "running");
    let bell = state.changed.listen();
    let mut unit = changed(&state).await;
    cannot_be_committed(&mut unit).await;
    let failure = unit.commit().await.unwrap_err();
    assert!(failure.cause.contains("FOREIGN KEY"), "{failure}");
    assert_eq!(at_hand(&state), [false; 4]);
    assert!(!bell.has_changed().unwrap());
    assert_eq!(state.node("n1").await.unwrap(), None);
    assert_eq!(health.report().status, "degraded");
    assert!(health.report().services["state"].contains("FOREIGN KEY"));
    changed(&state).await.commit().await.unwrap();
    assert_eq!(at_hand(&state), [true; 4]);
    assert_eq!(health.report().status, "healthy");
}

#[tokio::test]
async fn a_disk_that_was_full_takes_changes_again_once_there_is_room() {
    let (_dir, state, _) = opened().await;
    let mut unit = state.begin().await.unwrap();
    // As a full disk does, this has SQLite roll back by itself.
    sqlx::query("PRAGMA max_page_count = 1").execute(&mut *unit.connection).await.unwrap();
    let text = "x".repeat(1 << 20);
    assert!(unit.note("test", None, text).await.unwrap_err().cause.contains("full"));
    drop(unit);
    changed(&state).await.commit().await.unwrap();
    assert_eq!(at_hand(&state), [true; 4]);
}

#[tokio::test]
async fn a_change_that_is_given_up_has_not_happened() {
    let (_dir, state, _) = opened().await;
    drop(changed(&state).await);
    assert_eq!(at_hand(&state), [false; 4]);
    assert_eq!(state.node("n1").await.unwrap(), None);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_part_the_commit_from_what_is_at_hand() {
    let (_dir, state, _) = opened().await;
    let mut commit = Box::pin(changed(&state).await.commit());
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context))).await;
    assert!(polled.is_pending(), "it has only begun");
    drop(commit);
    // The next change waits for the one before it.
    state.begin().await.unwrap().commit().await.unwrap();
    assert!(state.node("n1").await.unwrap().is_some());
    assert_eq!(at_hand(&state), [true; 4]);
}

#[tokio::test]
async fn who_waited_while_somebody_else_operated_on_the_node_changes_nothing() {
    let (_dir, state, _) = opened().await;
    let n1 = name("n1");
    let mut unit = state.begin().await.unwrap();
    unit.save_node(&Node::new(n1.clone())).await.unwrap();
    unit.commit().await.unwrap();
    let (mut node, seen) = state.see(&n1).await.unwrap();
    let mut unit = state.begin().await.unwrap();
    assert_eq!(unit.node_as(&n1, &seen).await.unwrap(), node);
    node.record.generation += 1;
    unit.save_node(&node).await.unwrap();
    unit.commit().await.unwrap();
    let refused = |seen: seen::Seen| {
        let (state, n1) = (state.clone(), n1.clone());
        async move { state.begin().await.unwrap().node_as(&n1, &seen).await.unwrap_err().code }
    };
    assert_eq!(refused(seen).await, Code::WrongState, "another generation");
    let (_, seen) = state.see(&n1).await.unwrap();
    let mut unit = state.begin().await.unwrap();
    let operation = operation::Operation::begun(operation::Kind::Replace, "admin", false);
    unit.save_operation(&n1, &operation).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(refused(seen).await, Code::WrongState, "another operation");
}

#[tokio::test]
async fn a_fixed_address_goes_with_its_node_to_another_card() {
    let (_dir, state, _) = opened().await;
    let (old, new) = ("52:54:00:00:00:01", "52:54:00:00:00:02");
    for card in [old, new] {
        let spec = serde_json::json!({"name": "n1", "match": {"macs": [card]},
            "system": {"toplevel": "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos", "substituters": [],
                "trusted_public_keys": []},
            "disks": {"devices": {}},
            "cluster": {"node_id": "n1", "node_role": "control-plane", "bootstrap": false, "cluster_name": "c",
                "leader_url": "https://10.0.0.1:2379", "raft_addr": "10.0.0.2:2380", "node_ip": "10.0.0.2"}});
        let mut unit = state.begin().await.unwrap();
        let node = Node { spec: serde_json::from_value(spec).unwrap(), ..Node::new(name("n1")) };
        unit.save_node(&node).await.unwrap();
        unit.commit().await.unwrap();
    }
    let (addresses, address) = (state.memory.directory.addresses(), [10, 0, 0, 2].into());
    assert_eq!(addresses.of_card(&new.parse().unwrap()), Some(address));
    assert_eq!(addresses.of_card(&old.parse().unwrap()), None);
    assert!(addresses.is_anothers(address, old.parse().ok().as_ref()));
}

#[tokio::test]
async fn a_state_that_is_gone_is_not_replaced_by_an_empty_one() {
    let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
    let failure = State::open(&path_in(dir.path()), health).await.unwrap_err();
    assert!(failure.code == Code::Config && failure.remedy.contains("cluster restore"), "{failure}");
    assert!(!path_in(dir.path()).exists());
}
