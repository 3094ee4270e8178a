//! `cluster remove`, and what `reinstall` does to a member.

use super::{
    etcd::Etcds,
    peer::{self, Cluster},
    site::Site,
};
use crate::{lab::Lab, machine::Machine};
use protocol::{arbiter::Turn, service::Service};
use std::{process::Output, sync::Arc};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn ready(lab: &Lab) -> Etcds {
    let etcds = Etcds::three(lab);
    for n in 1..=3 {
        etcds.site.ready(lab, n, "etcd").await;
    }
    etcds
}

#[tokio::test]
async fn a_member_that_is_installed_anew_is_taken_out_where_the_quorum_holds_and_refused_where_not() {
    let mut lab = Lab::open();
    let mut etcds = ready(&lab).await;
    etcds.kill(3);
    etcds.wait_until_healthy();
    let refused = lab.verb(&["reinstall", "n2", "--yes"]);
    assert!(stderr(&refused).contains("E-QUORUM") && !refused.status.success(), "{refused:?}");
    assert!(stderr(&refused).contains("--force reinstalls n2 all the same"), "{refused:?}");
    assert_eq!(lab.describe("n2")["summary"]["generation"], 1, "nothing was opened");
    assert_eq!(etcds.ctl(&["member", "list"]).unwrap().lines().count(), 3);

    let told = lab.says(&["reinstall", "n3", "--yes"]);
    assert!(told.contains("removed from etcd") && told.contains("generation 2"), "{told}");
    assert_eq!(etcds.ctl(&["member", "list"]).unwrap().lines().count(), 2);
    // The machine that ran is not heard any more.
    assert!(lab.stop());
    lab.serve();
    let node = Machine::new(&Site::mac(3), "run-3-again").admitted(&lab).await;
    node.manifest(&lab).await;
    assert!(node.installed(2).await.0.is_success());
    assert!(matches!(node.turn(Service::Etcd, 2).await, Turn::Join { replaces: true, .. }));

    // A founder that the others began with and that never came is listed as well; what it is told next is to join.
    assert!(lab.says(&["describe", "node", "n3"]).contains("reinstall: removed from etcd"));

    // Nobody answers: there is no quorum to be kept.
    etcds.kill(1);
    etcds.kill(2);
    let told = lab.says(&["reinstall", "n1", "--yes"]);
    assert!(told.contains("nobody of etcd answers"), "{told}");
}

#[tokio::test]
async fn a_founder_that_never_reported_and_is_taken_out_joins_and_founds_no_more() {
    let lab = Lab::open();
    let etcds = Etcds::three(&lab);
    for n in 1..=2 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    lab.apply_spec(&etcds.site.spec(3));
    let node = Machine::new(&Site::mac(3), "run-3").admitted(&lab).await;
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    assert!(lab.says(&["reinstall", "n3", "--yes"]).contains("removed from etcd"));
    node.manifest(&lab).await;
    assert!(node.installed(2).await.0.is_success());
    let turn = node.turn(Service::Etcd, 2).await;
    assert!(matches!(turn, Turn::Join { .. }), "{turn:?}");
}

#[tokio::test]
async fn a_voter_that_no_node_is_goes_by_its_name_or_id_and_a_typing_error_is_told() {
    let lab = Lab::open();
    let etcds = ready(&lab).await;
    for unknown in ["n7", "6f48a26b6dcdefc3"] {
        let refused = lab.verb(&["cluster", "remove", unknown, "--yes"]);
        assert!(stderr(&refused).contains("E-NOT-FOUND") && !refused.status.success(), "{refused:?}");
    }
    // Applied, and never a member.
    lab.apply_spec(&etcds.site.spec(4));
    let never = lab.verb(&["cluster", "remove", "n4", "--yes"]);
    assert!(stderr(&never).contains("it is no member of any service"), "{never:?}");

    // etcd wants some seconds of calm before it changes its members; the verb waits for them as well.
    let id = (0..20).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let added = etcds.ctl(&["member", "add", "x", "--peer-urls=https://127.0.77.9:2380"])?;
        added.split_whitespace().nth(1).map(str::to_owned)
    });
    let id = id.unwrap();
    let shown = lab.says(&["cluster", "members"]);
    let line = shown.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.contains("unstarted"), "{shown}");
    let verified = lab.verb(&["cluster", "verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(said.contains(&format!("boot-server cluster remove {id} --yes")), "{said}");
    let is_node = lab.verb(&["cluster", "remove", "127.0.77.2", "--yes"]);
    assert!(stderr(&is_node).contains("it is node n2"), "{is_node:?}");
    assert_eq!(lab.says(&["cluster", "remove", &id, "--yes"]), "removed from etcd\n");
    assert_eq!(etcds.ctl(&["member", "list"]).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_member_is_removed_though_another_has_just_come_back() {
    let lab = Lab::open();
    let mut etcds = ready(&lab).await;
    etcds.kill(3);
    std::thread::sleep(std::time::Duration::from_secs(2));
    etcds.start(3);
    etcds.wait_until_healthy();
    let told = lab.says(&["cluster", "remove", "n2", "--yes"]);
    assert!(told.starts_with("removed from etcd"), "{told}");
}

#[tokio::test]
async fn a_member_of_chainfire_is_removed_by_who_leads_though_the_list_names_another() {
    let lab = Arc::new(Lab::open());
    let site = Site::new();
    let cluster = Cluster::of(site, &[1, 2, 3]);
    let _peers = [1, 2, 3].map(|n| peer::start(&lab, site, n, cluster.clone()));
    for n in 1..=3 {
        site.ready(&lab, n, "chainfire").await;
    }
    *cluster.refers.lock().unwrap() = Some("n1");
    let shared = lab.clone();
    let told = tokio::task::spawn_blocking(move || shared.says(&["cluster", "remove", "n3", "--yes"])).await.unwrap();
    assert!(told.starts_with("removed from chainfire"), "{told}");
    assert_eq!(cluster.chainfire.members().len(), 2);
}

#[tokio::test]
async fn a_cluster_whose_nodes_have_not_reported_is_found_by_its_specs() {
    let lab = Lab::open();
    let etcds = Etcds::three(&lab);
    lab.apply_spec(&etcds.site.spec(1));
    let health = lab.says(&["cluster", "health"]);
    assert!(health.contains("HEALTHY    3 of 3 voters healthy") && !health.contains("chainfire"), "{health}");
    let members = lab.says(&["cluster", "members"]);
    assert_eq!(members.lines().filter(|line| line.contains("n1")).count(), 1, "{members}");
    assert!(lab.says(&["cluster", "verify"]).contains("PASS  etcd       there is a quorum"));
    let told = lab.says(&["cluster", "remove", "n1", "--yes"]);
    assert!(told.starts_with("removed from etcd"), "{told}");
}
