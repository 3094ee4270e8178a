//! `cluster members`, `health` and `verify`.

use super::{
    etcd::Etcds,
    peer::{self, Cluster},
    site::Site,
};
use crate::lab::Lab;
use serde_json::json;
use std::{process::Output, sync::Arc};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A verb, away from the runtime that serves the scripted peers.
async fn verb(lab: &Arc<Lab>, words: &'static [&'static str]) -> Output {
    let lab = lab.clone();
    tokio::task::spawn_blocking(move || lab.verb(words)).await.unwrap()
}

#[tokio::test]
async fn etcd_is_listed_verified_and_what_fails_is_named_with_what_to_do() {
    // What a CA issues whose names are constrained etcd takes as well.
    let lab = Lab::permitting(&["cluster.example", "127.0.0.0/8"]);
    let mut etcds = Etcds::three(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    let members = lab.says(&["cluster", "members"]);
    assert_eq!((members.matches("healthy").count(), members.matches("leader").count()), (3, 1), "{members}");
    assert!(
        lab.says(&["cluster", "health"]).contains("HEALTHY    3 of 3 voters healthy, 2 needed, 1 more may be lost")
    );
    let verified = lab.says(&["cluster", "verify", "prod"]);
    assert!(verified.contains("PASS  etcd       a key is written, read back and deleted"), "{verified}");
    assert!(!verified.contains("FAIL"), "{verified}");
    assert_eq!(etcds.ctl(&["get", "--prefix", "centra"]).as_deref(), Some(""), "nothing is left behind");

    etcds.kill(3);
    etcds.wait_until_healthy();
    let health = lab.verb(&["cluster", "health"]);
    assert!(stdout(&health).contains("DEGRADED   2 of 3") && !health.status.success(), "{health:?}");
    let verified = lab.verb(&["cluster", "verify"]);
    let text = stdout(&verified);
    assert_eq!((verified.status.code(), text.matches("FAIL").count()), (Some(1), 1), "{text}");
    assert!(
        text.contains("is healthy: E-CLUSTER-UNREACHABLE") && text.contains("what to do: is the node up"),
        "{text}"
    );

    etcds.kill(2);
    let json = stdout(&lab.verb(&["cluster", "verify", "-o", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let failed: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["passed"] == json!(false))
        .map(|check| check["what"].as_str().unwrap())
        .collect();
    assert!(
        failed.contains(&"there is a quorum") && failed.contains(&"a key is written, read back and deleted"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn chainfire_is_asked_over_mtls_and_two_leaders_or_a_stranger_are_told() {
    let lab = Arc::new(Lab::open());
    let site = Site::new();
    let cluster = Cluster::of(site, &[1, 2]);
    let _peers = (peer::start(&lab, site, 1, cluster.clone()), peer::start(&lab, site, 2, cluster.clone()));
    site.ready(&lab, 2, "chainfire").await;
    // The scripted peer speaks for FlareDB as well.
    let one = site.ready(&lab, 1, "chainfire").await;
    assert!(one.member_of("flaredb", 1, vec![]).await.0.is_success());
    let verified = verb(&lab, &["cluster", "verify"]).await;
    assert!(verified.status.success(), "{verified:?}");
    assert!(stdout(&verified).contains("PASS  chainfire  a key is written, read back and deleted"), "{verified:?}");
    assert!(stdout(&verified).contains("PASS  flaredb    a sample is written and read back"), "{verified:?}");
    assert_eq!((cluster.chainfire.keys(), cluster.flaredb.keys()), (vec![], vec!["centra_verify".to_owned()]));

    *cluster.leader.lock().unwrap() = "nobody";
    assert!(
        stdout(&verb(&lab, &["cluster", "verify"]).await)
            .contains("FAIL  chainfire  there is one leader: nobody leads")
    );
    *cluster.unwell.lock().unwrap() = Some("n2");
    let members = stdout(&verb(&lab, &["cluster", "members"]).await);
    assert!(members.contains("n2      unhealthy  follower"), "{members}");
    cluster.chainfire.loses("n2");
    let text = stdout(&verb(&lab, &["cluster", "verify"]).await);
    assert!(text.contains("n2 is a member: it reported that it is, and is not listed"), "{text}");
    assert!(text.contains("what to do: boot-server cluster replace n2 --yes"), "{text}");
}

#[tokio::test]
async fn two_clusters_of_one_name_are_told_as_two_and_nothing_is_advised_that_wipes_one() {
    let lab = Lab::open();
    let etcds = Etcds::two_and_one(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    // Whoever answers first.
    for _ in 0..3 {
        let health = lab.verb(&["cluster", "health"]);
        let text = stdout(&health);
        assert!(!health.status.success() && text.contains("SPLIT      E-CLUSTER-SPLIT"), "{health:?}");
        assert!(
            text.contains("they are 2 clusters: by n") && text.contains("by n3 the members are 127.0.77.3"),
            "{text}"
        );
        let verified = stdout(&lab.verb(&["cluster", "verify"]));
        assert!(verified.contains("FAIL  etcd       the members are one cluster: E-CLUSTER-SPLIT"), "{verified}");
        assert!(!verified.contains("replace") && !verified.contains("--yes"), "{verified}");
    }
    let removed = lab.verb(&["cluster", "remove", "n3", "--yes"]);
    assert!(String::from_utf8_lossy(&removed.stderr).contains("E-CLUSTER-SPLIT"), "{removed:?}");
    let backup = lab.verb(&["cluster", "backup", "--out", lab.dir().join("out").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&backup.stderr).contains("E-CLUSTER-SPLIT"), "{backup:?}");
}

#[tokio::test]
async fn a_node_that_reported_a_membership_and_is_not_listed_is_missing() {
    let lab = Lab::open();
    let etcds = Etcds::three(&lab);
    for n in 1..=4 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    let health = lab.verb(&["cluster", "health"]);
    let text = stdout(&health);
    assert!(!health.status.success() && text.contains("DEGRADED   3 of 3 voters healthy"), "{health:?}");
    assert!(text.contains("n4: it reported that it is a member, and is not listed"), "{text}");
}

#[tokio::test]
async fn a_full_etcd_takes_no_writes_and_has_its_quorum() {
    let lab = Lab::open();
    let etcds = Etcds::small(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    let value = "x".repeat(100_000);
    assert!((0..20).any(|n| etcds.ctl(&["put", &format!("big{n}"), &value]).is_none()), "it is full at last");
    let health = lab.verb(&["cluster", "health"]);
    let text = stdout(&health);
    assert!(!health.status.success() && text.contains("NO WRITES  3 of 3 voters voting, 2 needed"), "{health:?}");
    assert!(text.contains("alarm NOSPACE"), "{text}");
    let verified = stdout(&lab.verb(&["cluster", "verify"]));
    assert!(verified.contains("PASS  etcd       there is a quorum: 3 of 3 voters vote"), "{verified}");
    assert!(
        verified.contains("FAIL  etcd       a key is written") && verified.contains("etcdctl alarm disarm"),
        "{verified}"
    );
    assert!(!verified.contains("disaster") && !verified.contains("journalctl"), "{verified}");
    // It may lose a member all the same.
    assert!(lab.says(&["cluster", "remove", "n3", "--yes"]).starts_with("removed from etcd"));
}

#[tokio::test]
async fn members_that_hold_unlike_data_fail_the_check_though_each_says_that_it_is_healthy() {
    let lab = Lab::open();
    let mut etcds = Etcds::three(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    for key in 0..8 {
        etcds.ctl(&["put", &format!("old{key}"), "v"]).unwrap();
    }
    assert!(
        stdout(&lab.verb(&["cluster", "verify"]))
            .contains("PASS  etcd       the members hold the same data: 127.0.77.1 at revision 9")
    );
    // All are powered off; two come back with empty data folders, and found the cluster a second time.
    (1..=3).for_each(|n| etcds.kill(n));
    for n in 2..=3 {
        std::fs::remove_dir_all(etcds.data(n)).unwrap();
        etcds.start(n);
    }
    etcds.wait_until_healthy();
    for key in 0..40 {
        etcds.ctl(&["put", &format!("new{key}"), "v"]).unwrap();
    }
    etcds.start(1);
    etcds.wait_until_healthy();
    let verified = stdout(&lab.verb(&["cluster", "verify"]));
    assert!(verified.contains("FAIL  etcd       the members hold the same data"), "{verified}");
    assert!(verified.contains("a snapshot of each") && !verified.contains("--yes"), "{verified}");
}

#[tokio::test]
async fn an_etcd_with_users_is_said_to_have_them() {
    let lab = Lab::open();
    let etcds = Etcds::three(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    for words in [&["user", "add", "root:x"][..], &["user", "grant-role", "root", "root"], &["auth", "enable"]] {
        etcds.ctl(words).unwrap();
    }
    for words in [&["cluster", "health"][..], &["cluster", "remove", "n3", "--yes"], &["cluster", "verify"]] {
        let said = lab.verb(words);
        let text = stdout(&said) + &String::from_utf8_lossy(&said.stderr);
        assert!(!said.status.success() && text.contains("etcd has users, which is not supported"), "{said:?}");
    }
}

#[test]
fn a_cluster_that_nobody_knows_is_said_so() {
    let lab = Lab::open();
    for words in [["cluster", "verify", "other"], ["cluster", "members", "other"]] {
        let refused = lab.verb(&words);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("E-NOT-FOUND"), "{refused:?}");
    }
}
