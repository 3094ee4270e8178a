//! Who may administrate, and bad input.

use super::{
    lab::{BINARY, Lab, path, spec},
    machine::Machine,
};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt, process::Command};

const MAC: &str = "52:54:00:00:00:01";

#[tokio::test]
async fn neither_nobody_nor_a_node_nor_a_wrong_token_may_administrate() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    let wrong = lab.caller(None, Some("wrong".to_owned()));
    for caller in [lab.nobody(), node.caller, wrong] {
        for path in ["/v1/nodes", "/v1/nodes/n1", "/v1/nodes/n1/logs", "/v1/nodes/n1/stream", "/v1/events"] {
            assert_eq!(caller.get(path).await.0, StatusCode::FORBIDDEN, "{path}");
        }
        let posts = [
            ("/v1/nodes", json!({"nodes": []})),
            ("/v1/approve", json!({"code": "AAAA-AAAA"})),
            ("/v1/nodes/n1/plan/approve", json!({})),
        ];
        for (path, body) in posts {
            assert_eq!(caller.post(path, &body).await.0, StatusCode::FORBIDDEN, "{path}");
        }
    }
    assert!(lab.admin().get("/v1/nodes").await.0.is_success());
}

#[tokio::test]
async fn only_the_hash_of_the_token_is_in_the_state() {
    let lab = Lab::open();
    let needle = lab.token();
    for file in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(lab.dir().join(file)).unwrap();
        assert!(!bytes.windows(needle.len()).any(|part| part == needle.as_bytes()), "{file}");
    }
}

#[tokio::test]
async fn the_page_s_cookie_opens_the_api_from_the_page_alone() {
    let lab = Lab::open();
    let caller = lab.nobody();
    let json = ("content-type", "application/json");
    let login = |token: String| Bytes::from(json!({"token": token}).to_string());
    let wrong = caller.send(Method::POST, "/v1/login", &[json], login("x".into())).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    let right = caller.send(Method::POST, "/v1/login", &[json], login(lab.token())).await;
    let cookie = right.headers()["set-cookie"].to_str().unwrap().to_owned();
    for word in ["HttpOnly", "Secure", "SameSite=Strict", "__Host-"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(!cookie.contains(&lab.token()), "the cookie is not the token");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = ("cookie", pair.as_str());
    let get = caller.send(Method::GET, "/v1/nodes", &[with], Bytes::new()).await;
    assert_eq!(get.status(), StatusCode::OK);
    let body = || Bytes::from(json!({"nodes": []}).to_string());
    let foreign = caller.send(Method::POST, "/v1/nodes", &[with, json, ("sec-fetch-site", "cross-site")], body()).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let own = caller.send(Method::POST, "/v1/nodes", &[with, json, ("sec-fetch-site", "same-origin")], body()).await;
    assert_eq!(own.status(), StatusCode::OK);
    caller.send(Method::DELETE, "/v1/login", &[with], Bytes::new()).await;
    let gone = caller.send(Method::GET, "/v1/nodes", &[with], Bytes::new()).await;
    assert_eq!(gone.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy_and_nothing_from_elsewhere() {
    let lab = Lab::open();
    for path in ["/", "/app.js", "/view.js", "/style.css", "/icon.svg"] {
        let answer = lab.nobody().send(Method::GET, path, &[], Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_not_found() {
    let lab = Lab::open();
    for path in ["/v1/nothing", "/v1/nodes/none", "/../etc/passwd", "/v1/nodes/%2e%2e"] {
        let caller = lab.admin();
        let (status, failure) = caller.get(path).await;
        assert_eq!((status, failure["code"].as_str()), (StatusCode::NOT_FOUND, Some("E-NOT-FOUND")), "{path}");
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_path_of_the_key() {
    let lab = Lab::open();
    let cases: [(&str, Value, &str); 5] = [
        ("/disks/devicez", json!({}), "nodes[0].disks"),
        ("/match/macs/0", json!("nonsense"), "nodes[0].match.macs[0]"),
        ("/system/toplevel", json!("/tmp/x"), "nodes[0].system.toplevel"),
        ("/name", json!("Ä"), "nodes[0].name"),
        ("/cluster/raft_addr", json!(5), "nodes[0].cluster.raft_addr"),
    ];
    for (pointer, value, path) in cases {
        let mut wrong = spec("n1", MAC);
        match wrong.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => wrong["disks"]["devicez"] = value,
        }
        let (status, failure) = lab.admin().post("/v1/nodes", &json!({"nodes": [wrong]})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(failure["cause"].as_str().unwrap().contains(path), "{path}: {failure}");
    }
    assert_eq!(lab.says(&["get", "nodes", "-o", "name"]), "");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_not_json_is_refused() {
    let lab = Lab::open();
    let large = vec![b' '; 5 << 20];
    let answer = lab.admin().send(Method::POST, "/v1/nodes", &[], large.into()).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let answer = lab.admin().send(Method::POST, "/v1/nodes", &[], Bytes::from_static(b"\xff\xfe")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn apply_refuses_the_whole_file_where_one_node_is_wrong() {
    let lab = Lab::open();
    let mut wrong = spec("n2", "52:54:00:00:00:02");
    wrong["files"] = json!([{"path": "/etc/../x", "content": ""}]);
    let file = lab.file("nodes.json", &json!([spec("n1", MAC), wrong]).to_string());
    let refused = lab.verb(&["apply", "-f", path(&file)]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains("node n2 at files[0].path"), "{stderr}");
    assert_eq!(lab.says(&["get", "nodes", "-o", "name"]), "");
}

#[test]
fn apply_warns_of_an_address_that_two_nodes_are_to_have() {
    let lab = Lab::open();
    let file = |name: &str, nodes: Value| lab.file(name, &nodes.to_string());
    let warned =
        |file: &std::path::Path| lab.says(&["apply", "-f", path(file)]).contains("as well: one of them gets another");
    assert!(!warned(&file("one.json", json!([spec("n1", MAC)]))));
    assert!(!warned(&file("again.json", json!([spec("n1", MAC)]))), "the same node again");
    let mut other = spec("n2", "52:54:00:00:00:02");
    assert!(warned(&file("other.json", json!([other.clone()]))));
    other["cluster"]["node_ip"] = json!("10.0.0.3");
    assert!(!warned(&file("mended.json", json!([other]))));
}

#[test]
fn a_server_whose_keys_others_may_read_says_so_and_dumps_no_core() {
    let mut lab = Lab::open();
    assert!(!lab.log().contains("chmod 0600"), "{}", lab.log());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", lab.process())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert!(lab.stop());
    for name in ["ca.key", "state.db"] {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(lab.dir().join(name), open).unwrap();
    }
    lab.serve();
    for name in ["ca.key", "state.db"] {
        assert!(lab.log().contains(&format!("chmod 0600 {}", lab.dir().join(name).display())), "{}", lab.log());
    }
}

#[test]
fn a_reader_that_goes_is_no_failure_of_the_verb() {
    let lab = Lab::open();
    let nodes: Vec<Value> = (0..200).map(|n| spec(&format!("n{n}"), &format!("52:54:00:00:01:{n:02x}"))).collect();
    let file = lab.file("nodes.json", &json!(nodes).to_string());
    lab.says(&["apply", "-f", path(&file)]);
    let dir = lab.dir().display().to_string();
    for verb in ["get nodes", "get nodes -o json", "describe node n1", "apply -f $1"] {
        let line =
            format!("set -o pipefail; {BINARY} {verb} --dir $0 2>&1 >/dev/full | cat; {BINARY} {verb} --dir $0 | true");
        let output = Command::new("bash").args(["-c", &line, &dir, path(&file)]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("panicked"), "{verb}: {said}");
    }
}

#[tokio::test]
async fn what_a_leg_noticed_is_told_to_the_admin() {
    use boot_server::{config::Config, netboot::policy::Policy, server};
    let mut lab = Lab::open();
    assert!(lab.stop());
    let config = Config::load(&lab.dir().join("config.toml")).unwrap();
    let services = server::open(config).await.unwrap();
    services.boots.event("another DHCP server answers on this network: 10.0.0.9");
    while services.state.noticed().await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    services.state.close().await;
    lab.serve();
    let (_, events) = lab.admin().get("/v1/events").await;
    assert!(events[0]["text"].as_str().unwrap().contains("10.0.0.9"), "{events}");
}

#[tokio::test]
async fn an_address_that_a_spec_fixes_is_given_to_no_other_card() {
    use boot_server::{config::Config, netboot::policy::Policy, server};
    let mut lab = Lab::open();
    let (own, other) = ("52:54:00:00:00:01", "52:54:00:00:00:99");
    lab.apply("n1", own);
    assert!(lab.stop());
    let services = server::open(Config::load(&lab.dir().join("config.toml")).unwrap()).await.unwrap();
    let (fixed, address) = (services.boots.addresses(), [10, 0, 0, 2].into());
    assert_eq!(fixed.of_card(&own.parse().unwrap()), Some(address));
    assert!(fixed.is_anothers(address, Some(&other.parse().unwrap())));
    assert!(!fixed.is_anothers(address, Some(&own.parse().unwrap())));
    services.state.close().await;
}
