//! A key that was revoked: etcd hears of it by the list that nodes keep fresh.

use super::site::{Site, free_port};
use crate::{
    lab::Lab,
    machine::{Machine, Node},
};
use host::http::pem;
use protocol::{
    enrol::EnrolReply,
    trust::{Believe, Believed},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// An etcd that has the certificate of a node.
struct Etcd {
    child: Child,
    dir: PathBuf,
    url: String,
}

impl Etcd {
    fn start(dir: &Path, member: &str) -> Self {
        let (url, peer) = (format!("https://127.0.0.1:{}", free_port()), format!("https://127.0.0.1:{}", free_port()));
        let mut command = Command::new("etcd");
        command
            .args(["--name", "one", "--initial-cluster", &format!("one={peer}"), "--data-dir"])
            .arg(dir.join("data"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url, "--logger", "zap"]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--log-level", "warn"]);
        for (of, list) in [("", "client-crl-file"), ("peer-", "peer-crl-file")] {
            command.arg(format!("--{of}cert-file")).arg(dir.join(format!("{member}.crt")));
            command.arg(format!("--{of}key-file")).arg(dir.join(format!("{member}.key")));
            command.arg(format!("--{of}trusted-ca-file")).arg(dir.join("ca.crt"));
            command.arg(format!("--{of}client-cert-auth")).arg(format!("--{list}")).arg(dir.join("ca.crl"));
        }
        let log = fs::File::create(dir.join("etcd.log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, dir: dir.to_owned(), url }
    }

    /// Whether etcd answers a client with the certificate of this node.
    fn answers(&self, node: &str) -> bool {
        let mut ctl = Command::new("etcdctl");
        ctl.env("ETCDCTL_API", "3").args(["--dial-timeout", "2s", "--command-timeout", "2s", "--endpoints", &self.url]);
        ctl.arg("--cacert").arg(self.dir.join("ca.crt")).arg("--cert").arg(self.dir.join(format!("{node}.crt")));
        let output = ctl.arg("--key").arg(self.dir.join(format!("{node}.key"))).args(["get", "x"]).output().unwrap();
        output.status.success()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A node of the server, with its pair as files.
async fn admitted(lab: &Lab, dir: &Path, n: u8) -> Node {
    let name = format!("n{n}");
    lab.apply(&name, &Site::mac(n));
    let machine = Machine::new(&Site::mac(n), &format!("run-{n}"));
    let reply: EnrolReply = machine.ask(lab, &machine.greet(lab).await).await;
    fs::write(dir.join(format!("{name}.crt")), reply.certificate.as_ref().unwrap()).unwrap();
    fs::write(dir.join(format!("{name}.key")), machine.key.serialize_pem()).unwrap();
    let node = machine.node(lab, &reply);
    node.manifest(lab).await;
    assert!(node.installed(1).await.0.is_success());
    node
}

/// What the timer of a node does: asks, and puts the answer in the place of the files.
async fn keeps_fresh(node: &Node, dir: &Path) {
    let nothing = Believed { ca_spki_sha256: vec![], manifest_keys: vec![], issued_under: None };
    let believe: Believe = node.caller.done("/v1/node/trust", &nothing).await;
    assert!(pem::decode(&believe.roots).is_ok());
    for (name, content) in [("ca.crt", believe.roots), ("ca.crl", believe.revoked)] {
        host::file::write_atomically(&dir.join(name), content.as_bytes(), 0o644).unwrap();
    }
}

#[tokio::test]
async fn etcd_refuses_a_client_whose_key_was_revoked_and_takes_the_others() {
    let lab = Lab::open();
    let dir = lab.dir().join("members");
    fs::create_dir(&dir).unwrap();
    let (one, _) = (admitted(&lab, &dir, 1).await, admitted(&lab, &dir, 2).await);
    keeps_fresh(&one, &dir).await;
    let etcd = Etcd::start(&dir, "n1");
    let patience = Instant::now() + Duration::from_secs(60);
    while !etcd.answers("n1") {
        assert!(Instant::now() < patience, "{}", fs::read_to_string(dir.join("etcd.log")).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(etcd.answers("n2"), "nothing is revoked yet");
    lab.says(&["cluster", "decommission", "n2", "--keep-disks", "--force", "--yes"]);
    keeps_fresh(&one, &dir).await;
    assert!(!etcd.answers("n2"), "its key is revoked");
    assert!(etcd.answers("n1"));
}
