//! What holds in every order of asking, reinstalling and expiring.

use super::*;
use proptest::prelude::*;
use protocol::arbiter::Snapshot;
use serde_json::json;

const FOUNDERS: usize = 3;
const NODES: usize = 6;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_timestamp(seconds).unwrap()
}

fn name(n: usize) -> NodeName {
    format!("n{n}").parse().unwrap()
}

/// n0 to n2 are founders; each has its own opinion of the order of the list.
fn config(n: usize) -> ClusterConfig {
    let mut peers: Vec<String> = (0..FOUNDERS).map(|n| format!("10.0.0.{}:2380", n + 1)).collect();
    peers.rotate_left(n % FOUNDERS);
    serde_json::from_value(json!({"node_id": format!("n{n}"), "node_role": "control-plane", "bootstrap": n < FOUNDERS,
        "cluster_name": "c", "leader_url": "https://10.0.0.1:2379", "raft_addr": format!("10.0.0.{}:2380", n + 1),
        "initial_peers": if n < FOUNDERS { peers } else { vec![] }}))
    .unwrap()
}

fn asked(cluster: &Cluster, n: usize, generation: u64, seconds: i64) -> (Cluster, Decision) {
    let (node, config) = (name(n), config(n));
    let ask = Ask { node: &node, generation, config: &config, service: Service::Etcd, founded_here: true };
    let (next, decision, _) = cluster.ask(&ask, at(seconds)).unwrap();
    (next, decision)
}

/// Three founders that are ready with generation 1.
fn living() -> Cluster {
    (0..FOUNDERS).fold(Cluster::default(), |cluster, n| asked(&cluster, n, 1, 0).0.ready(&name(n), 1, &[]).0)
}

#[test]
fn the_first_founder_fixes_the_list_for_all() {
    let (cluster, first) = asked(&Cluster::default(), 1, 1, 0);
    let fixed = cluster.founders.clone();
    let (cluster, second) = asked(&cluster, 0, 1, 0);
    assert_eq!(
        (first, second, cluster.founders),
        (Decision::Found { restores: false }, Decision::Found { restores: false }, fixed)
    );
}

fn restored() -> Cluster {
    let snapshot = Snapshot { sha256: protocol::encoding::Sha256::of(b"x"), size: 1 };
    Cluster { restored: Some(Restored { snapshot, token: "c-1".to_owned() }), ..Cluster::default() }
}

#[test]
fn founders_of_a_restored_cluster_begin_with_the_snapshot_until_they_are_ready() {
    let (node, config) = (name(0), config(0));
    let ask = Ask { node: &node, generation: 7, config: &config, service: Service::Etcd, founded_here: true };
    let (cluster, decision, notes) = restored().ask(&ask, at(0)).unwrap();
    assert_eq!(decision, Decision::Found { restores: true });
    assert!(notes.contains(&"founds etcd of c from its snapshot (generation 7)".to_owned()), "{notes:?}");
    assert!(cluster.is_being_restored() && cluster.snapshot_for(&name(0), 7).is_some());
    let (cluster, _) = asked(&cluster, 1, 4, 0).0.ready(&name(1), 4, &[]).0.ready(&name(0), 7, &[]);
    assert!(!cluster.is_being_restored());
    // Its data is not brought back to an old state while the others go on.
    assert_eq!(asked(&cluster, 0, 7, 0).1, Decision::Found { restores: false });
    assert_eq!(asked(&cluster, 2, 1, 0).1, Decision::Found { restores: true });
    assert!(matches!(asked(&cluster, 0, 8, 0).1, Decision::Join { .. }), "a founder that is lost later joins");
}

#[test]
fn the_snapshot_is_for_an_installation_that_was_told_to_found_and_is_not_ready() {
    let cluster = asked(&restored(), 0, 7, 0).0;
    assert!(cluster.snapshot_for(&name(0), 7).is_some());
    assert_eq!(cluster.snapshot_for(&name(0), 6), None, "another installation");
    assert_eq!(cluster.snapshot_for(&name(1), 7), None, "it has not asked");
    assert_eq!(cluster.removed(&name(0), 7).snapshot_for(&name(0), 7), None);
    assert_eq!(cluster.ready(&name(0), 7, &[]).0.snapshot_for(&name(0), 7), None);
    assert_eq!(asked(&Cluster::default(), 0, 7, 0).0.snapshot_for(&name(0), 7), None, "it was not restored");
}

#[test]
fn a_late_word_of_the_cluster_that_was_lost_changes_nothing() {
    let peers = config(0).initial_peers;
    let (cluster, _) = restored().ready(&name(0), 1, &peers);
    assert_eq!(cluster, restored());
    assert_eq!(asked(&cluster, 0, 2, 0).1, Decision::Found { restores: true });
}

#[test]
fn joiners_wait_for_a_majority_of_the_founders() {
    let (cluster, early) = asked(&Cluster::default(), 4, 1, 0);
    assert!(matches!(early, Decision::Wait { .. }));
    let cluster = asked(&cluster, 0, 1, 0).0.ready(&name(0), 1, &[]).0;
    assert!(matches!(asked(&cluster, 4, 1, 0).1, Decision::Wait { .. }));
    let cluster = asked(&cluster, 1, 1, 0).0.ready(&name(1), 1, &[]).0;
    assert_eq!(asked(&cluster, 4, 1, 0).1, Decision::Join { replaces: false });
    // The third founder comes late, and still founds: the others began with it on their list.
    assert_eq!(asked(&cluster, 2, 1, 0).1, Decision::Found { restores: false });
}

#[test]
fn a_cluster_that_is_founded_elsewhere_is_joined_by_turns_at_once() {
    let (node, config) = (name(4), config(4));
    let ask = Ask { node: &node, generation: 1, config: &config, service: Service::Etcd, founded_here: false };
    assert_eq!(Cluster::default().ask(&ask, at(0)).unwrap().1, Decision::Join { replaces: false });
}

#[test]
fn one_joins_at_a_time_and_a_turn_that_is_not_used_expires() {
    let (cluster, first) = asked(&living(), 3, 1, 0);
    assert_eq!(first, Decision::Join { replaces: false });
    assert!(matches!(asked(&cluster, 4, 1, 59).1, Decision::Wait { .. }));
    let extended = asked(&cluster, 3, 1, 30).0;
    assert!(matches!(asked(&extended, 4, 1, 89).1, Decision::Wait { .. }));
    assert_eq!(asked(&extended, 4, 1, 90).1, Decision::Join { replaces: false });
    let (free, gave_back) = extended.ready(&name(3), 1, &[]);
    assert!(gave_back);
    assert_eq!(asked(&free, 4, 1, 31).1, Decision::Join { replaces: false });
}

#[test]
fn a_reinstalled_founder_joins_and_replaces_itself_until_it_is_ready() {
    let cluster = living();
    assert_eq!(asked(&cluster, 0, 1, 0).1, Decision::Found { restores: false }, "its first installation asks again");
    let (cluster, turn) = asked(&cluster, 0, 2, 0);
    assert_eq!(turn, Decision::Join { replaces: true });
    let (cluster, again) = asked(&cluster, 0, 2, 5);
    assert_eq!(again, Decision::Join { replaces: true });
    let cluster = cluster.ready(&name(0), 2, &[]).0;
    assert_eq!(asked(&cluster, 0, 2, 9).1, Decision::Join { replaces: false }, "its membership is the living one");
    assert_eq!(asked(&cluster, 0, 3, 9).1, Decision::Join { replaces: true });
}

#[test]
fn a_founder_reinstalled_before_anybody_was_ready_founds_again() {
    let cluster = asked(&Cluster::default(), 0, 1, 0).0;
    assert_eq!(asked(&cluster, 0, 2, 0).1, Decision::Found { restores: false });
}

#[test]
fn an_installation_that_was_removed_has_no_turn_and_the_next_one_joins() {
    let cluster = living().removed(&name(0), 1);
    let (node, config) = (name(0), config(0));
    let ask = |generation| Ask { node: &node, generation, config: &config, service: Service::Etcd, founded_here: true };
    assert_eq!(cluster.ask(&ask(1), at(0)), Err(Refusal::Removed));
    assert_eq!(cluster.ask(&ask(2), at(0)).unwrap().1, Decision::Join { replaces: true });
}

#[test]
fn a_founder_that_its_own_list_does_not_name_is_refused() {
    let node = name(0);
    let mut config = config(0);
    config.raft_addr = "10.9.9.9:2380".parse().unwrap();
    let ask = Ask { node: &node, generation: 1, config: &config, service: Service::Etcd, founded_here: true };
    assert_eq!(Cluster::default().ask(&ask, at(0)), Err(Refusal::NotInOwnList));
    // FlareDB has a list of its own.
    let config = self::config(0);
    let ask = Ask { config: &config, service: Service::Flaredb, ..ask };
    assert_eq!(Cluster::default().ask(&ask, at(0)), Err(Refusal::NotInOwnList));
}

#[test]
fn founders_that_began_while_the_server_was_away_are_founders() {
    let founder = |cluster: Cluster, n| cluster.ready(&name(n), 1, &config(n).initial_peers).0;
    let cluster = founder(founder(Cluster::default(), 0), 1);
    assert_eq!(cluster.founders, config(0).initial_peers);
    assert_eq!(asked(&cluster, 4, 1, 0).1, Decision::Join { replaces: false });
    assert_eq!(asked(&cluster, 0, 2, 61).1, Decision::Join { replaces: true });
}

#[test]
fn what_is_remembered_survives_the_database() {
    let cluster = asked(&living(), 4, 1, 7).0.removed(&name(1), 1);
    assert_eq!(serde_json::from_str::<Cluster>(&serde_json::to_string(&cluster).unwrap()).unwrap(), cluster);
}

#[derive(Debug, Clone)]
enum Act {
    Ask(usize),
    Ready(usize),
    Reinstall(usize),
    Remove(usize),
    Pass(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..NODES).prop_map(Act::Ask),
        3 => (0..NODES).prop_map(Act::Ready),
        1 => (0..NODES).prop_map(Act::Reinstall),
        1 => (0..NODES).prop_map(Act::Remove),
        2 => (1..80i64).prop_map(Act::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_happens(acts in prop::collection::vec(act(), 0..200)) {
        let mut cluster = Cluster::default();
        let mut generations = [1u64; NODES];
        let mut told = [None; NODES];
        let mut holder: Option<(usize, i64)> = None;
        let mut fixed: Option<Vec<Peer>> = None;
        let mut seconds = 0;
        for act in acts {
            match act {
                Act::Pass(more) => seconds += more,
                Act::Reinstall(n) => { generations[n] += 1; told[n] = None; }
                Act::Remove(n) => {
                    cluster = cluster.removed(&name(n), generations[n]);
                    holder = holder.filter(|(held, _)| *held != n);
                }
                Act::Ready(n) => {
                    // Nobody is ready that was not told to found or to join.
                    if told[n].is_some() {
                        cluster = cluster.ready(&name(n), generations[n], &[]).0;
                        holder = holder.filter(|(held, _)| *held != n);
                    }
                }
                Act::Ask(n) => {
                    let (node, config) = (name(n), config(n));
                    let ask = Ask { node: &node, generation: generations[n], config: &config, service: Service::Etcd,
                        founded_here: true };
                    let Ok((next, decision, _)) = cluster.ask(&ask, at(seconds)) else { continue };
                    match &decision {
                        Decision::Found { .. } => {
                            let list = fixed.get_or_insert_with(|| next.founders.clone());
                            prop_assert_eq!(&*list, &next.founders, "every founder gets the same list");
                            prop_assert!(n < FOUNDERS);
                            let before = cluster.seats.get(&node).map_or(0, |seat| seat.generation);
                            prop_assert!(!cluster.lives() || before == 0 || before == generations[n],
                                "a reinstalled founder founded a second cluster");
                        }
                        Decision::Join { .. } => {
                            prop_assert!(holder.is_none_or(|(held, until)| held == n || until <= seconds), "two turns");
                            prop_assert!(cluster.ready_founders() > FOUNDERS / 2);
                            holder = Some((n, seconds + 60));
                        }
                        Decision::Wait { retry, .. } => prop_assert!(*retry > 0),
                    }
                    if !matches!(decision, Decision::Wait { .. }) { told[n] = Some(generations[n]); }
                    else { prop_assert_eq!(&next, &cluster, "who waits changes nothing"); }
                    cluster = next;
                }
            }
        }
        // After expiry the next gets it.
        if cluster.ready_founders() > FOUNDERS / 2 {
            let joins = matches!(asked(&cluster, NODES + 1, 1, seconds + 61).1, Decision::Join { .. });
            prop_assert!(joins);
        }
    }
}

#[test]
fn a_turn_that_is_never_given_back_ends_and_others_go_first() {
    let (mut cluster, mut seconds) = (living(), 0);
    assert!(matches!(asked(&cluster, 4, 1, 0).1, Decision::Join { .. }));
    loop {
        let (next, decision) = asked(&cluster, 4, 1, seconds);
        cluster = next;
        if !matches!(decision, Decision::Join { .. }) {
            break;
        }
        assert!(matches!(asked(&cluster, 5, 1, seconds).1, Decision::Wait { .. }), "{seconds}");
        seconds += 15;
    }
    assert_eq!(seconds, 600);
    assert!(matches!(asked(&cluster, 4, 1, seconds + 15).1, Decision::Wait { .. }), "it goes behind the others");
    let (cluster, other) = asked(&cluster, 5, 1, seconds + 20);
    assert!(matches!(other, Decision::Join { .. }));
    let (cluster, _) = cluster.ready(&name(5), 1, &[]);
    assert!(matches!(asked(&cluster, 4, 1, seconds + 90).1, Decision::Join { .. }));
}

#[test]
fn nobody_is_restarted_while_a_node_enters_and_nobody_enters_while_a_member_is_restarted() {
    let cluster = asked(&living(), 4, 1, 0).0;
    let (_, waits) = cluster.restart(&name(0), 1, at(1));
    assert_eq!(waits.as_deref(), Some("n4 has the turn now"));
    let (cluster, waits) = cluster.ready(&name(4), 1, &[]).0.restart(&name(0), 1, at(2));
    assert_eq!(waits, None);
    assert!(matches!(asked(&cluster, 5, 1, 3).1, Decision::Wait { .. }));
    assert!(cluster.restart(&name(1), 1, at(4)).1.is_some());
    assert_eq!(cluster.restarted(&name(1)), cluster, "only its own turn");
    assert!(matches!(asked(&cluster.restarted(&name(0)), 5, 1, 5).1, Decision::Join { .. }));
    assert!(matches!(asked(&cluster, 5, 1, 90).1, Decision::Join { .. }), "a turn that nobody keeps ends");
}
