//! Uploads that are wrong in some way: each is refused, and leaves nothing.

use super::world::{World, hash};
use crate::lab::{Caller, Lab};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use protocol::encoding::{Sha256, nix_base32_encode};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;

async fn put(caller: &Caller, path: &str, body: &[u8]) -> (StatusCode, Value) {
    let answer = caller.send(Method::PUT, path, &[], Bytes::copy_from_slice(body)).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn nar_name(bytes: &[u8]) -> String {
    format!("{}.nar", nix_base32_encode(&Sha256::of(bytes).0))
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: std::path::PathBuf| match path.is_dir() && !path.is_symlink() {
        true => files(&path),
        false => BTreeSet::from([path.display().to_string()]),
    };
    entries.flat_map(below).collect()
}

#[tokio::test]
async fn what_is_not_what_its_name_says_leaves_nothing() {
    let lab = Lab::open();
    let admin = lab.admin();
    let (status, failure) = put(&admin, &format!("/cache/nar/{}", nar_name(b"one")), b"two").await;
    assert_eq!((status, &failure["code"]), (StatusCode::BAD_REQUEST, &"E-CLOSURE-CORRUPT".into()));
    for name in ["x.nar", "0123.nar.zst", &nar_name(b"two").replace(".nar", ".exe")] {
        assert_eq!(put(&admin, &format!("/cache/nar/{name}"), b"two").await.0, StatusCode::BAD_REQUEST, "{name}");
    }
    let long = [b"StorePath: ".as_slice(), &[b'x'; 2 << 20]].concat();
    let narinfo = "/cache/0123456789abcdfghijklmnpqrsvwxyz.narinfo";
    assert_eq!(put(&admin, narinfo, &long).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put(&admin, narinfo, b"StorePath: x").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put(&admin, narinfo, &[0xff; 10]).await.0, StatusCode::BAD_REQUEST);
    assert!(files(&lab.dir().join("cache")).is_empty());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused() {
    let lab = Lab::open();
    let (admin, before) = (lab.admin(), files(&lab.dir()));
    for path in [
        "/cache/..",
        "/cache/../config.toml",
        "/cache/%2e%2e/config.toml",
        "/cache/nar/..%2f..%2fconfig.toml",
        "/cache/nar/%2e%2e",
        "/cache/.incoming/x",
        "/cache/log/x",
        "/cache/nix-cache-info",
        "/cache/0123456789abcdfghijklmnpqrsvwxyz.ls",
    ] {
        let (status, _) = put(&admin, path, b"two").await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let changes = |name: &&String| !name.ends_with("/log") && !name.contains("state.db");
    assert!(files(&lab.dir()).iter().filter(changes).eq(before.iter().filter(changes)));
}

#[tokio::test]
async fn a_symbolic_link_in_the_folder_is_not_followed_by_a_write() {
    let lab = Lab::open();
    let cache = lab.dir().join("cache");
    let outside = lab.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir(cache.join("nar")).unwrap();
    std::os::unix::fs::symlink(&outside, cache.join("nar")).unwrap();
    let (status, _) = put(&lab.admin(), &format!("/cache/nar/{}", nar_name(b"two")), b"two").await;
    assert!(status.is_server_error(), "{status}");
    assert!(files(&outside).is_empty() && files(&cache.join(".incoming")).is_empty());
    // A link in the place of a file is replaced, and what it points to stays.
    fs::remove_file(cache.join("nar")).unwrap();
    fs::create_dir(cache.join("nar")).unwrap();
    fs::write(outside.join("file"), "precious").unwrap();
    std::os::unix::fs::symlink(outside.join("file"), cache.join("nar").join(nar_name(b"two"))).unwrap();
    assert_eq!(put(&lab.admin(), &format!("/cache/nar/{}", nar_name(b"two")), b"two").await.0, StatusCode::CREATED);
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(cache.join("nar").join(nar_name(b"two"))).unwrap(), "two");
}

#[tokio::test]
async fn a_nar_that_is_too_large_is_refused_before_it_is_sent() {
    let mut lab = Lab::open();
    lab.configure("open-lab", "[cache]\nmax_upload_gib = 0\n");
    assert!(lab.stop());
    lab.serve();
    let (status, failure) = put(&lab.admin(), &format!("/cache/nar/{}", nar_name(b"two")), b"two").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(failure["remedy"].as_str().unwrap().contains("max_upload_gib"), "{failure}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_leaves_nothing() {
    let lab = Lab::open();
    let incoming = lab.dir().join("cache/.incoming");
    for (length, chunked) in [(1000, false), (0, true)] {
        let mut stream = connect(&lab).await;
        let framing =
            if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {length}") };
        let head = format!(
            "PUT /cache/nar/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{framing}\r\n\r\n",
            nar_name(b"two"),
            lab.token()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(if chunked { b"3\r\ntwo\r\n" } else { b"two" }).await.unwrap();
        stream.flush().await.unwrap();
        wait_for(|| !files(&incoming).is_empty()).await;
        drop(stream);
        wait_for(|| files(&incoming).is_empty()).await;
        assert!(files(&lab.dir().join("cache")).is_empty());
    }
}

#[test]
fn a_narinfo_is_refused_while_anything_it_needs_is_missing_or_false() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, middle, _] = world.closure();
    world.nix(&format!("nix copy --store $PWD/source --to \"file://$PWD/own?compression=zstd\" {middle}"));
    world.trust(&lab, None);
    let url = format!("https://127.0.0.1:{}/cache", lab.port("https"));
    let put = |file: &str, name: &str| -> Value {
        let token = lab.token();
        let line = format!("curl -sS --cacert ca.crt -H 'Authorization: Bearer {token}' -T {file} {url}/{name}");
        serde_json::from_str(&world.nix(&line)).unwrap_or(Value::Null)
    };
    let own = |path: &str| fs::read_to_string(world.path("own").join(format!("{}.narinfo", hash(path)))).unwrap();
    let url_of = |path: &str| own(path).lines().find_map(|line| line.strip_prefix("URL: ")).unwrap().to_owned();
    let narinfo = |path: &str| format!("{}.narinfo", hash(path));

    let failure = put(&format!("own/{}", narinfo(&leaf)), &narinfo(&leaf));
    assert_eq!(failure["code"], "E-CLOSURE-MISSING", "no NAR yet: {failure}");
    for path in [&leaf, &middle] {
        assert_eq!(put(&format!("own/{}", url_of(path)), &url_of(path)), Value::Null);
    }
    let failure = put(&format!("own/{}", narinfo(&middle)), &narinfo(&middle));
    assert_eq!(failure["code"], "E-CLOSURE-MISSING");
    assert!(failure["cause"].as_str().unwrap().contains(&leaf), "names it: {failure}");
    let size = |text: &str, field: &str| text.lines().find(|line| line.starts_with(field)).unwrap().to_owned();
    let text = own(&leaf);
    for (good, bad, code) in [
        (size(&text, "NarSize"), "NarSize: 8".to_owned(), "E-CLOSURE-CORRUPT"),
        (size(&text, "FileSize"), "FileSize: 8".to_owned(), "E-CLOSURE-CORRUPT"),
        (size(&text, "NarHash"), size(&text, "FileHash").replace("FileHash", "NarHash"), "E-CLOSURE-CORRUPT"),
        (size(&text, "FileHash"), size(&text, "NarHash").replace("NarHash", "FileHash"), "E-CLOSURE-CORRUPT"),
        (size(&text, "Compression"), "Compression: xz".to_owned(), "E-CLOSURE-CORRUPT"),
        (size(&text, "URL"), "URL: elsewhere/x".to_owned(), "E-INPUT"),
        (size(&text, "StorePath"), format!("StorePath: {middle}"), "E-INPUT"),
        (size(&text, "FileHash") + "\n", String::new(), "E-INPUT"),
    ] {
        fs::write(world.path("bad"), text.replace(&good, &bad)).unwrap();
        assert_eq!(put("bad", &narinfo(&leaf))["code"], code, "{bad}");
    }
    let left = files(&lab.dir().join("cache"));
    assert!(!left.iter().any(|name| name.ends_with(".narinfo")), "{left:?}");
    for path in [&leaf, &middle] {
        assert_eq!(put(&format!("own/{}", narinfo(path)), &narinfo(path)), Value::Null);
    }
}

async fn wait_for(mut condition: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("this does not happen");
}

async fn connect(lab: &Lab) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(lab.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", lab.port("https") as u16)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}
