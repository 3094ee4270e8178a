//! HTTP over real sockets, request by request.

use crate::lab::{Table, context};
use boot_server::{
    base::health::Health,
    domain::boot::Boot,
    netboot::http::{Folders, serve_on},
};
use protocol::{Failure, artefact::Artefact, encoding::Sha256, image::ImageIndex};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::symlink,
    sync::Arc,
};
use tempfile::TempDir;

pub const HASH: &str = "0123456789abcdfghijklmnpqrsvwxyz";

pub struct Lab {
    pub address: SocketAddr,
    pub files: TempDir,
    policy: Arc<Table>,
    health: Health,
    pub leg: tokio::task::AbortHandle,
    _runtime: tokio::runtime::Runtime,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))?;
        Some(line[name.len() + 2..].trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Lab {
    pub fn new(boot: Option<Boot>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let folder = |name: &str| files.path().join(name);
        for name in ["ipxe", "images/blobs", "cache/nar"] {
            fs::create_dir_all(folder(name)).unwrap();
        }
        fs::write(folder("secret"), "secret").unwrap();
        fs::write(folder("ipxe/ipxe.efi"), "MZ").unwrap();
        fs::write(folder("cache/nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        fs::write(folder(&format!("cache/{HASH}.narinfo")), "StorePath: x\n").unwrap();
        fs::write(folder("cache/nar/a.nar.zst"), "0123456789").unwrap();
        fs::write(folder("cache/other"), "not of a cache").unwrap();
        symlink("../../secret", folder("cache/nar/link.nar")).unwrap();
        let policy = Arc::new(Table { boot, ..Table::default() });
        let context = context(&policy, files.path());
        let health = context.health.clone();
        let folders = Folders {
            ipxe: folder("ipxe"),
            images: folder("images"),
            default_profile: "vm".parse().unwrap(),
            cache: boot_server::cache::Cache::open(folder("cache"), 1 << 30),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let leg = runtime.spawn(serve_on(listener, folders, context)).abort_handle();
        let lab = Self { address, files, policy, health, leg, _runtime: runtime };
        lab.deploy("vm", b"a kernel");
        lab
    }

    fn deploy(&self, profile: &str, kernel: &[u8]) {
        let sha256 = Sha256::of(kernel);
        let images = self.files.path().join("images");
        fs::write(images.join(format!("blobs/{sha256}")), kernel).unwrap();
        let artefact = Artefact { sha256, size: kernel.len() as u64 };
        let index = ImageIndex {
            format: 1,
            profile: profile.parse().unwrap(),
            kernel: "6.1".into(),
            agent_version: "0".into(),
            ca_spki_sha256: vec![],
            artefacts: [("bzImage".to_owned(), artefact)].into(),
            overlays: [].into(),
        };
        fs::write(images.join(format!("{profile}.json")), serde_json::to_vec(&index).unwrap()).unwrap();
    }

    pub fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n").unwrap();
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[])
    }
}

#[test]
fn a_download_can_be_resumed_and_is_not_repeated() {
    let lab = Lab::new(None);
    let whole = lab.get("/cache/nar/a.nar.zst");
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-length"), Some("10"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap();

    let rest = lab.ask("GET", "/cache/nar/a.nar.zst", &["Range: bytes=7-", &format!("If-Range: {tag}")]);
    assert_eq!((rest.status, rest.text().as_str()), (206, "789"));
    assert_eq!(rest.header("content-range"), Some("bytes 7-9/10"));
    let had = lab.ask("GET", "/cache/nar/a.nar.zst", &[&format!("If-None-Match: {tag}")]);
    assert_eq!((had.status, had.body.len()), (304, 0));
    let beyond = lab.ask("GET", "/cache/nar/a.nar.zst", &["Range: bytes=10-"]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));
    let head = lab.ask("HEAD", "/cache/nar/a.nar.zst", &[]);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10"), 0));
}

#[test]
fn a_cache_is_served_and_nothing_beside_it() {
    let lab = Lab::new(None);
    assert_eq!(lab.get("/cache/nix-cache-info").header("content-type"), Some("text/x-nix-cache-info"));
    assert_eq!(lab.get(&format!("/cache/{HASH}.narinfo")).status, 200);
    for target in [
        "/cache/other",
        "/cache/",
        "/cache/nar/",
        "/cache/nar/link.nar",
        "/cache/nar/../../secret",
        "/cache/../secret",
        "/cache/nar/%2e%2e/%2e%2e/secret",
        "/cache/nar/..%2f..%2fsecret",
        "/cache/nar/a.nar.zst%00",
        "/cache//nix-cache-info",
        "/cache/zzzz.narinfo",
        "/boot/ipxe/..%2fsecret",
        "/boot/ipxe/../secret",
        "/boot/nixos/..%2f..%2fsecret/bzImage",
        "/boot/nixos/vm/..%2f..%2f..%2fsecret",
        "/boot/nixos/vm/initrd",
        "/",
        "/%ff",
    ] {
        let answer = lab.get(target);
        assert!([400, 404].contains(&answer.status), "{target}: {}", answer.status);
        assert!(!answer.text().contains("secret\n") && answer.text() != "secret", "{target}");
    }
}

#[test]
fn an_image_is_served_by_its_index_which_is_read_anew() {
    let lab = Lab::new(None);
    let first = lab.get("/boot/nixos/vm/bzImage");
    assert_eq!((first.status, first.text().as_str()), (200, "a kernel"));
    assert_eq!(first.header("etag").unwrap(), format!("\"{}\"", Sha256::of(b"a kernel")));
    lab.deploy("vm", b"a newer kernel");
    assert_eq!(lab.get("/boot/nixos/vm/bzImage").text(), "a newer kernel");

    let unknown = lab.get("/boot/nixos/worker/bzImage");
    let failure: Failure = serde_json::from_slice(&unknown.body).unwrap();
    assert_eq!((unknown.status, failure.code.as_str()), (404, "E-NOT-FOUND"));
    assert!(failure.cause.contains("profile worker"), "{failure}");
}

#[test]
fn a_blob_that_does_not_fit_its_index_is_not_served() {
    let lab = Lab::new(None);
    let blob = lab.files.path().join(format!("images/blobs/{}", Sha256::of(b"a kernel")));
    fs::write(&blob, "cut").unwrap();
    let answer = lab.get("/boot/nixos/vm/bzImage");
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, failure.code.as_str()), (500, "E-IMAGE"));
}

#[test]
fn the_script_asks_first_and_then_says_what_to_do() {
    let lab = Lab::new(Some(Boot::Install { profile: "worker".parse().unwrap(), hostname: None }));
    assert!(lab.get("/boot/ipxe/boot.ipxe").text().contains("boot.ipxe?mac=${netX/mac:hexhyp}"));
    assert!(lab.policy.asked.lock().unwrap().is_empty());

    let query =
        "mac=52-54-00-00-00-01&uuid=11223344-5566-7788-99AA-BBCCDDEEFF00&serial=SN%2042&platform=efi&arch=x86_64";
    let script = lab.get(&format!("/boot/ipxe/boot.ipxe?{query}")).text();
    assert!(script.starts_with("#!ipxe\n"));
    assert!(script.contains("set profile worker\nset image vm\n"), "the default image serves it: {script}");
    let asked = lab.policy.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.serial.as_deref(), Some("SN 42"));
    assert_eq!(asked.macs[0].as_str(), "52:54:00:00:00:01");

    lab.deploy("worker", b"its own");
    assert!(lab.get(&format!("/boot/ipxe/boot.ipxe?{query}")).text().contains("set image worker\n"));
}

#[test]
fn strange_queries_are_answered_with_a_script() {
    let lab = Lab::new(None);
    for query in ["mac=zz&uuid=%ff%00&serial=", "mac=a&mac=b", "x", "serial=${reboot}||"] {
        let answer = lab.get(&format!("/boot/ipxe/boot.ipxe?{query}"));
        assert_eq!(answer.status, 200, "{query}");
        assert!(answer.text().starts_with("#!ipxe\n"), "{query}");
    }
}

#[test]
fn health_names_every_leg() {
    let lab = Lab::new(None);
    lab.health.set("dhcp", "running");
    let answer = lab.get("/health");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"status":"healthy","services":{"dhcp":"running","http":"running"}}"#);
    lab.health.set("dhcp", "failed: x");
    assert_eq!(lab.get("/health").status, 503);
}
