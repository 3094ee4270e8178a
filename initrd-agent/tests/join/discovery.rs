//! A leader that is gone: its cluster is found all the same.

use crate::node::{Node, free_port};
use qemu_tests::certificates::{Ca, OTHER};
use qemu_tests::cluster_peer::{
    Peer,
    documented::{Documented, Service, member},
};
use serde_json::json;
use std::{fs, net::UdpSocket, thread};

/// One attempt at each source.
const QUICK: [&str; 4] = ["--retry-base", "20", "--attempts", "1"];

fn cluster(ca: &Ca) -> Peer {
    ca.plays(Documented::new(Service::Chainfire, vec![member("n1", format!("{OTHER}:1"), "leader")]))
}

fn joiner(ca: &Ca, cluster: &Peer) -> Node {
    let mut node = Node::joiner(ca, "n2", free_port());
    node.port = cluster.port;
    node.config["raft_addr"] = json!("127.0.0.1:2380");
    node
}

/// Answers every question with these SRV records: priority, port; all at localhost.
fn name_server(records: Vec<(u16, u16)>) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            // Header of 12 bytes, the name, its type and class; what follows is EDNS and not repeated.
            let name_end = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap() + 1;
            assert!(question[12..name_end].starts_with(b"\x0a_chainfire\x04_tcp\x03lab\x04test\0"));
            let count = records.len() as u8;
            let mut answer = vec![question[0], question[1], 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
            answer.extend(&question[12..name_end + 4]);
            for (priority, port) in &records {
                answer.extend(b"\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x11");
                answer.extend(priority.to_be_bytes());
                answer.extend(b"\0\0");
                answer.extend(port.to_be_bytes());
                answer.extend(b"\x09localhost\0");
            }
            drop(socket.send_to(&answer, client));
        }
    });
    port
}

#[test]
fn the_members_that_dns_names_are_asked_in_their_order() {
    let ca = Ca::new("cluster");
    let cluster = cluster(&ca);
    let mut node = joiner(&ca, &cluster);
    node.config["node_fqdn"] = json!("n2.lab.test");
    let port = name_server(vec![(20, cluster.port), (10, free_port())]);
    let resolv_conf = node.path("resolv.conf");
    fs::write(&resolv_conf, format!("nameserver 127.0.0.1:{port}\n")).unwrap();
    let resolv_conf = resolv_conf.display().to_string();
    let run = node.join("chainfire", &[&QUICK[..], &["--resolv-conf", &resolv_conf]].concat());
    assert_eq!(run.code, Some(0));
    assert!(run.says("INFO", &format!("https://localhost:{} answers, which is known from DNS", cluster.port)));
    assert_eq!(cluster.requests("POST /admin/member/add").len(), 1);
}

#[test]
fn the_members_that_were_known_before_are_asked_when_nobody_else_answers() {
    let ca = Ca::new("cluster");
    let cluster = cluster(&ca);
    let node = joiner(&ca, &cluster);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(1));
    let list = node.path("state/members-chainfire.json");
    fs::create_dir_all(node.path("state")).unwrap();
    for broken in ["", "[", r#"["http://x"]"#] {
        fs::write(&list, broken).unwrap();
        let run = node.join("chainfire", &QUICK);
        assert!(run.failure().starts_with("E-CLUSTER-UNREACHABLE reaching the leader"), "{}", run.failure());
    }
    fs::write(&list, json!([format!("https://{OTHER}:{}", cluster.port)]).to_string()).unwrap();
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(0));
    assert!(run.says("INFO", "known from an earlier look"));
    // What the member list says now, for the next time: its Raft address, with the port of leader_url.
    let kept = fs::read_to_string(&list).unwrap();
    let port = node.config["leader_url"].as_str().unwrap().rsplit(':').next().unwrap();
    assert_eq!(kept, json!([format!("https://{OTHER}:{port}"), format!("https://127.0.0.1:{port}")]).to_string());
}
