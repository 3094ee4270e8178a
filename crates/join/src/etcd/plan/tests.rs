//! Tests of the decisions about an etcd cluster.

use super::*;
use hyper::StatusCode;
use proptest::prelude::*;
use protocol::parse;
use std::slice::from_ref;

fn config(change: impl FnOnce(&mut serde_json::Value)) -> ClusterConfig {
    let mut value = serde_json::json!({"node_id": "node02", "node_role": "worker", "bootstrap": true,
        "cluster_name": "prod", "leader_url": "https://node01:2379", "raft_addr": "10.0.0.2:2380",
        "initial_peers": ["node01:2380", "node02:2380", "node03.example.com:2380"]});
    change(&mut value);
    parse::json("config", value.to_string().as_bytes()).unwrap()
}

fn us() -> Identity {
    Identity { name: "node04".into(), peer_url: "https://10.0.0.4:2380".into(), token: "prod".into() }
}

fn member(id: u64, name: &str, url: &str, is_learner: bool) -> Member {
    Member { id, name: name.into(), peer_urls: vec![url.into()], client_urls: Vec::new(), is_learner }
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Result<(), Refusal> {
    Err(Refusal { status, code: Some(code), message: message.into() })
}

#[test]
fn a_founder_is_who_the_list_says_and_every_founder_says_the_same_list() {
    let by_name = config(|_| ());
    assert_eq!(identity(&by_name, Way::Bootstrap).unwrap().name, "node02");
    assert_eq!(identity(&by_name, Way::Bootstrap).unwrap().peer_url, "https://node02:2380");
    assert_eq!(
        founders(&by_name.initial_peers),
        "node01=https://node01:2380,node02=https://node02:2380,node03.example.com=https://node03.example.com:2380"
    );
    let by_fqdn = config(|value| {
        value["node_id"] = "node03".into();
        value["node_fqdn"] = "node03.example.com".into();
    });
    assert_eq!(identity(&by_fqdn, Way::Bootstrap).unwrap().name, "node03.example.com");
    let by_address = config(|value| value["initial_peers"] = serde_json::json!(["10.0.0.2:2380", "10.0.0.2:2390"]));
    assert_eq!(identity(&by_address, Way::Bootstrap).unwrap().name, "10.0.0.2:2380");
}

#[test]
fn a_founder_that_is_not_on_its_own_list_is_refused_with_the_key() {
    for peers in [["node01:2380"].as_slice(), &["node02:2381"], &["node02:2380", "node02:2390"]] {
        let failure =
            identity(&config(|value| value["initial_peers"] = serde_json::json!(peers)), Way::Bootstrap).unwrap_err();
        assert_eq!(failure.code, Code::Config);
        assert!(failure.cause.contains("initial_peers"), "{failure}");
    }
}

#[test]
fn a_joiner_lists_everybody_and_itself_by_its_own_name() {
    let members = [
        member(1, "m1", "https://a:1", false),
        member(2, "", &us().peer_url, true),
        member(255, "", "https://c:1", true),
    ];
    let listed = existing(&members, &us()).unwrap();
    assert_eq!(listed, "m1=https://a:1,node04=https://10.0.0.4:2380,member-ff=https://c:1");
}

#[test]
fn what_a_member_says_of_itself_sets_no_variable_of_the_service() {
    let named = |name: &str| existing(&[member(10, name, "https://a:1", false)], &us()).unwrap();
    for name in ["x\"\nLD_PRELOAD=\"/var/lib/evil.so", "x\"y$HOME", "a=b,c", "db one", "`id`", "\u{e4}"] {
        assert_eq!(named(name), "member-a=https://a:1", "{name}");
    }
    assert_eq!(named("10.0.0.1:2380"), "10.0.0.1:2380=https://a:1");
    for url in ["https://a:1\"\nX=\"", "https://a:1,x=https://b:1", "https://a:1/$HOME", "a:1", "http://a:1", ""] {
        let failure = existing(&[member(10, "m1", url, false)], &us()).unwrap_err();
        assert!(
            failure.code == Code::ClusterJoin && failure.cause.contains("member a is listed at"),
            "{url}: {failure}"
        );
    }
}

#[test]
fn the_member_list_and_the_data_folder_say_what_to_do() {
    let other = member(1, "m1", "https://a:1", false);
    let promised = [other.clone(), member(2, "", &us().peer_url, true)];
    let started = [other.clone(), member(2, "node04", &us().peer_url, true)];
    let named = [member(1, "node04", "https://a:1", false)];
    let judge = |members: &[Member], data| standing(members, &us(), data, Path::new("/var/lib/etcd"));
    let code = |result: Result<Standing>| result.unwrap_err().code;
    assert_eq!(judge(from_ref(&other), Data::None), Ok(Standing::Absent));
    assert_eq!(judge(&promised, Data::None), Ok(Standing::Promised));
    assert_eq!(judge(&promised, Data::Ours), Ok(Standing::Promised));
    assert_eq!(judge(&started, Data::Ours), Ok(Standing::Started));
    for data in [Data::Ours, Data::Foreign] {
        assert_eq!(code(judge(from_ref(&other), data)), Code::ClusterLeftover, "removed, or of another cluster");
    }
    assert_eq!(code(judge(&started, Data::Foreign)), Code::ClusterLeftover);
    assert!(judge(&started, Data::None).unwrap_err().remedy.contains("member remove 2"));
    assert_eq!(code(judge(&named, Data::None)), Code::ClusterJoin);
}

#[test]
fn a_duplicate_add_carries_on_and_an_unhealthy_cluster_is_asked_again() {
    let precondition = StatusCode::PRECONDITION_FAILED;
    for message in ["etcdserver: Peer URLs already exists", "etcdserver: member ID already exist"] {
        assert!(matches!(after_add(refusal(precondition, 9, message)), Attempt::Done(())));
    }
    let learners = refusal(precondition, 9, "etcdserver: too many learner members in cluster");
    assert!(matches!(after_add(learners), Attempt::Again(_)));
    let unhealthy = refusal(StatusCode::SERVICE_UNAVAILABLE, 14, "etcdserver: unhealthy cluster");
    assert!(matches!(after_add(unhealthy), Attempt::Again(_)));
    let denied = refusal(StatusCode::FORBIDDEN, 7, "etcdserver: permission denied");
    assert!(matches!(after_add(denied), Attempt::Never(_)));
}

#[test]
fn an_older_release_than_the_clusters_is_refused_before_it_is_added() {
    let failure = fits(Some("3.4.23"), Some("3.5.0")).unwrap_err();
    assert_eq!(failure.code, Code::Preflight);
    assert!(failure.cause.ends_with("this node has 3.4.23, and the cluster speaks 3.5.0"), "{failure}");
    for (own, cluster) in [
        (Some("3.5.30"), Some("3.4.0")),
        (Some("3.4.1"), Some("3.4.0")),
        (None, Some("3.5.0")),
        (Some("3.4.0"), None),
        (Some("nonsense"), Some("3.5.0")),
        (Some("3.10.0"), Some("3.9.0")),
    ] {
        assert_eq!(fits(own, cluster), Ok(()), "{own:?} {cluster:?}");
    }
}

#[test]
fn who_is_in_the_way_is_named_and_the_node_itself_is_not() {
    let members = [
        member(1, "m1", "https://a:1", false),
        member(2, "m2", "https://b:1", false),
        member(0x5f, "", "https://c:1", true),
        member(0x6f, "", "https://d:1", false),
        member(7, "", &us().peer_url, true),
    ];
    assert_eq!(
        in_the_way(&members, &us(), &[2, 7]),
        [
            "m2 (id 2) at https://b:1 does not answer",
            "a member (id 5f) at https://c:1 is a learner that has not started",
            "a member (id 6f) at https://d:1 has not started",
        ]
    );
    assert!(in_the_way(&members[..2], &us(), &[]).is_empty());
    assert_eq!(unstarted(&members, &us()), Some(7));
    assert_eq!(unstarted(&[member(7, "node04", &us().peer_url, true)], &us()), None, "it has started");
    assert_eq!(unstarted(&[member(7, "", &us().peer_url, false)], &us()), None, "it has a vote");
}

#[test]
fn a_learner_is_promoted_once_it_is_in_sync() {
    let behind = "etcdserver: can only promote a learner member which is in sync with leader";
    assert!(matches!(after_promote(refusal(StatusCode::PRECONDITION_FAILED, 9, behind)), Attempt::Again(_)));
    // Newer gateways give the same code another status.
    assert!(matches!(after_promote(refusal(StatusCode::BAD_REQUEST, 9, behind)), Attempt::Again(_)));
    let gone = refusal(StatusCode::NOT_FOUND, 5, "etcdserver: member not found");
    assert!(matches!(after_promote(gone), Attempt::Never(_)));
}

#[test]
fn only_a_started_voter_under_a_leader_is_a_member() {
    let status = |leader| Status { version: "3.4.23".into(), leader, ..Status::default() };
    let with = |name: &str, learner| [member(1, "m1", "https://a:1", false), member(2, name, &us().peer_url, learner)];
    let good = membership(&with("node04", false), &us(), &status(1)).unwrap();
    assert_eq!(good.members, ["m1", "node04"]);
    assert_eq!((good.leader.as_deref(), good.version.as_deref()), (Some("m1"), Some("3.4.23")));
    for (members, leader, part) in [
        (with("node04", false), 0, "no leader"),
        (with("node04", true), 1, "learner"),
        (with("", false), 1, "not started"),
        ([member(1, "m1", "https://a:1", false), member(3, "x", "https://b:1", false)], 1, "not in the member list"),
    ] {
        assert!(membership(&members, &us(), &status(leader)).unwrap_err().cause.contains(part), "{part}");
    }
}

fn any_member() -> impl Strategy<Value = Member> {
    let url = prop_oneof![Just(us().peer_url), "https://[a-c]:1"];
    let name = prop_oneof![Just(String::new()), Just(us().name), "m[1-3]"];
    (any::<u64>(), name, proptest::collection::vec(url, 0..3), any::<bool>()).prop_map(
        |(id, name, peer_urls, is_learner)| Member { id, name, peer_urls, client_urls: Vec::new(), is_learner },
    )
}

proptest! {
    #[test]
    fn foreign_data_is_never_started_on(members in proptest::collection::vec(any_member(), 0..6)) {
        prop_assert!(standing(&members, &us(), Data::Foreign, Path::new("/d")).is_err());
    }

    #[test]
    fn nobody_is_added_who_is_on_the_list_already(members in proptest::collection::vec(any_member(), 0..6)) {
        let listed = members.iter().any(|member| member.peer_urls.contains(&us().peer_url));
        let verdict = standing(&members, &us(), Data::None, Path::new("/d"));
        prop_assert!(!(listed && verdict == Ok(Standing::Absent)));
        prop_assert!(listed || verdict != Ok(Standing::Promised));
    }

    #[test]
    fn no_name_of_the_initial_cluster_takes_the_url_of_another_member(members in proptest::collection::vec(any_member(), 0..6)) {
        let listed = members.iter().filter(|member| member.peer_urls.contains(&us().peer_url)).count() == 1;
        prop_assume!(listed);
        let text = existing(&members, &us()).unwrap();
        let ours: Vec<_> = text.split(',').filter(|entry| entry.starts_with("node04=")).collect();
        let own = members.iter().find(|member| member.peer_urls.contains(&us().peer_url)).map(|member| member.peer_urls.len());
        prop_assert_eq!(Some(ours.len()), own);
    }
}
