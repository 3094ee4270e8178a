//! `nix copy --to https://...`

use super::world::{World, hash};
use crate::{
    lab::Lab,
    machine::{Machine, Node},
};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use std::fs;

#[test]
fn a_pushed_closure_is_fetched_by_nix_whatever_the_compression() {
    let (lab, world) = (Lab::open(), World::new());
    let closure = world.closure();
    for query in ["compression=none", "compression=zstd", "compression=xz&parallel-compression=true", "compression=br"]
    {
        let _ = fs::remove_dir_all(lab.dir().join("cache"));
        fs::create_dir_all(lab.dir().join("cache/.incoming")).unwrap();
        fs::create_dir(lab.dir().join("cache/nar")).unwrap();
        world.pushed(&lab, query, &closure[2]);
        world.fetch(&lab, &closure[2]);
        assert_eq!(fs::read_dir(lab.dir().join("cache/.incoming")).unwrap().count(), 0, "{query}");
    }
}

#[test]
fn a_second_push_sends_nothing() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    world.pushed(&lab, "compression=zstd", &top);
    let narinfo = lab.dir().join(format!("cache/{}.narinfo", hash(&leaf)));
    let before = fs::metadata(&narinfo).unwrap().modified().unwrap();
    world.pushed(&lab, "compression=zstd", &top);
    assert_eq!(fs::metadata(&narinfo).unwrap().modified().unwrap(), before);
    assert_eq!(lab.log().matches(": pushed ").count(), 3);
}

#[test]
fn a_nar_that_a_power_cut_damaged_is_sent_again() {
    let (lab, world) = (Lab::open(), World::new());
    let top = world.leaf("leaf", 5000);
    world.pushed(&lab, "compression=zstd", &top);
    fs::remove_file(lab.dir().join(format!("cache/{}.narinfo", hash(&top)))).unwrap();
    let nar = fs::read_dir(lab.dir().join("cache/nar")).unwrap().next().unwrap().unwrap().path();
    fs::write(&nar, vec![0; fs::metadata(&nar).unwrap().len() as usize]).unwrap();
    // Nix sees the name and sends the narinfo alone.
    let refused = world.push(&lab, "compression=zstd", &top);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("E-CLOSURE-CORRUPT"), "{refused:?}");
    world.pushed(&lab, "compression=zstd", &top);
    world.fetch(&lab, &top);
}

#[test]
fn listings_are_refused_with_the_way_out() {
    let (lab, world) = (Lab::open(), World::new());
    let leaf = world.leaf("leaf", 10);
    world.trust(&lab, Some(&lab.token()));
    let output = world.push(&lab, "write-nar-listing=true", &leaf);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("without write-nar-listing"), "{stderr}");
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_way_that_works() {
    let (lab, world) = (Lab::open(), World::new());
    let leaf = world.leaf("leaf", 10);
    world.trust(&lab, Some(&lab.token()));
    for (compression, remedy) in [("lz4", "push with compression=zstd"), ("lzma", "again with compression=zstd")] {
        let output = world.push(&lab, &format!("compression={compression}"), &leaf);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let named = stderr.contains("is not supported") && stderr.contains(remedy);
        assert!(!output.status.success() && named, "{stderr}");
    }
    let put = |path: &str| {
        let url = format!("https://127.0.0.1:{}/cache/{path}", lab.port("https"));
        world.nix(&format!("curl -sS --cacert ca.crt --netrc-file netrc -T {leaf} {url}", leaf = "leaf"))
    };
    for (path, remedy) in
        [("log/x.drv", "build logs"), ("realisations/x.doi", "output paths"), ("debuginfo/x", "index")]
    {
        assert!(put(path).contains(remedy), "{path}: {}", put(path));
    }
    let plain = format!("http://127.0.0.1:{}/cache/nar/x", lab.port("http"));
    assert!(world.nix(&format!("curl -sS -T leaf {plain}")).contains("HTTPS port"));
}

#[test]
fn without_an_admin_s_token_nothing_is_taken() {
    let (lab, world) = (Lab::open(), World::new());
    // Large enough to be refused while it is sent: Nix must hear why all the same.
    let top = world.leaf("large", 5_000_000);
    for token in [None, Some("wrong")] {
        world.trust(&lab, token);
        let output = world.push(&lab, "compression=zstd", &top);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains("401"), "{stderr}");
    }
    assert_eq!(fs::read_dir(lab.dir().join("cache/nar")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_node_s_certificate_opens_nothing_for_writing() {
    let lab = Lab::open();
    lab.apply("n1", "52:54:00:00:00:01");
    let node: Node = Machine::new("52:54:00:00:00:01", "run-1").admitted(&lab).await;
    let path = "/cache/0123456789abcdfghijklmnpqrsvwxyz.narinfo";
    for caller in [node.caller, lab.nobody()] {
        let answer = caller.send(Method::PUT, path, &[], Bytes::from_static(b"StorePath: x")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        assert_eq!(caller.get("/v1/nodes").await.0, StatusCode::FORBIDDEN);
    }
    // The token as a password is for the cache alone.
    let basic = format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{}", lab.token()).as_bytes()));
    let answer = lab.nobody().send(Method::GET, "/v1/nodes", &[("authorization", &basic)], Bytes::new()).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[test]
fn both_ports_serve_what_was_pushed() {
    let (lab, world) = (Lab::open(), World::new());
    let top = world.leaf("leaf", 100);
    world.pushed(&lab, "compression=zstd", &top);
    for url in [format!("https://127.0.0.1:{}", lab.port("https")), format!("http://127.0.0.1:{}", lab.port("http"))] {
        let get = |path: &str| world.nix(&format!("curl -sS --fail --cacert ca.crt {url}/cache/{path}"));
        let info = get("nix-cache-info");
        assert!(info.contains("StoreDir: /nix/store") && info.contains("ClosureIndex: /v1/closure"), "{info}");
        assert!(get(&format!("{}.narinfo", hash(&top))).contains(&top));
        let head = world.nix(&format!("curl -sSI --fail --cacert ca.crt {url}/cache/{}.narinfo", hash(&top)));
        assert!(head.to_lowercase().contains("etag"), "{head}");
    }
}
