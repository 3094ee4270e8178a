//! What etcd makes of the files that nodes keep fresh: keys that were revoked, roots that change.

use super::site::{Site, free_port};
use crate::{
    lab::Lab,
    machine::{Machine, Node, anchors},
};
use host::http::pem;
use protocol::{
    encoding::Sha256,
    enrol::{EnrolReply, EnrolState},
    renewal::{RenewRequest, Renewed},
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
        let etcd = Self { child, dir: dir.to_owned(), url };
        let patience = Instant::now() + Duration::from_secs(60);
        while !etcd.answers(member) {
            assert!(Instant::now() < patience, "{}", fs::read_to_string(dir.join("etcd.log")).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        etcd
    }

    /// As at a restart of the node: on other ports, with the files as they are now.
    fn restart(self, member: &str) -> Self {
        let dir = self.dir.clone();
        drop(self);
        fs::remove_dir_all(dir.join("data")).unwrap();
        Self::start(&dir, member)
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
async fn admitted(lab: &Lab, dir: &Path, n: u8) -> (Machine, Node) {
    let name = format!("n{n}");
    lab.apply(&name, &Site::mac(n));
    let machine = Machine::new(&Site::mac(n), &format!("run-{n}"));
    let reply: EnrolReply = machine.ask(lab, &machine.greet(lab).await).await;
    fs::write(dir.join(format!("{name}.crt")), reply.certificate.as_ref().unwrap()).unwrap();
    fs::write(dir.join(format!("{name}.key")), machine.key.serialize_pem()).unwrap();
    let node = machine.node(lab, &reply);
    node.manifest(lab).await;
    assert!(node.installed(1).await.0.is_success());
    (machine, node)
}

/// What the timer of a node does: asks, and puts the answer in the place of the files. The roots.
async fn keeps_fresh(node: &Node, dir: &Path) -> Vec<Sha256> {
    let nothing = Believed { ca_spki_sha256: vec![], manifest_keys: vec![], issued_under: None, nonce: vec![7; 32] };
    let believe: Believe = node.caller.done("/v1/node/trust", &nothing).await;
    let roots = pem::decode(&believe.roots).unwrap();
    for (name, content) in [("ca.crt", believe.roots), ("ca.crl", believe.revoked)] {
        host::file::write_atomically(&dir.join(name), content.as_bytes(), 0o644).unwrap();
    }
    roots.iter().filter_map(|root| host::certificate::spki(root)).collect()
}

#[tokio::test]
async fn etcd_refuses_a_client_whose_key_was_revoked_and_takes_the_others() {
    let lab = Lab::open();
    let dir = lab.dir().join("members");
    fs::create_dir(&dir).unwrap();
    let ((_, one), _) = (admitted(&lab, &dir, 1).await, admitted(&lab, &dir, 2).await);
    keeps_fresh(&one, &dir).await;
    let etcd = Etcd::start(&dir, "n1");
    assert!(etcd.answers("n2"), "nothing is revoked yet");
    lab.says(&["cluster", "decommission", "n2", "--keep-disks", "--force", "--yes"]);
    keeps_fresh(&one, &dir).await;
    assert!(!etcd.answers("n2"), "its key is revoked");
    assert!(etcd.answers("n1"));
}

/// Tells the server what the node believes: all that images do.
async fn tells(lab: &Lab, node: &Node, issued_under: Sha256) {
    let anchors = anchors(lab);
    let believed = Believed {
        ca_spki_sha256: anchors.ca_spki_sha256,
        manifest_keys: anchors.manifest_keys,
        issued_under: Some(issued_under),
        nonce: vec![7; 32],
    };
    let _: Believe = node.caller.done("/v1/node/trust", &believed).await;
}

#[tokio::test]
async fn etcd_takes_members_of_both_roots_while_the_root_is_rotated() {
    let lab = Lab::open();
    let dir = lab.dir().join("members");
    fs::create_dir(&dir).unwrap();
    let members = [admitted(&lab, &dir, 1).await, admitted(&lab, &dir, 2).await];
    lab.says(&["ca", "rotate"]);
    lab.reload();
    let both = anchors(&lab).ca_spki_sha256;
    while keeps_fresh(&members[0].1, &dir).await != both {}
    let etcd = Etcd::start(&dir, "n1");
    for (_, node) in &members {
        tells(&lab, node, both[0]).await;
    }
    lab.says(&["ca", "rotate", "--finish"]);
    lab.reload();
    while keeps_fresh(&members[0].1, &dir).await != [both[1], both[0]] {}
    let renews = async |n: usize| {
        let (machine, node) = &members[n];
        let renewed: Renewed = node.caller.done("/v1/node/renew", &RenewRequest { csr: machine.csr.clone() }).await;
        fs::write(dir.join(format!("n{}.crt", n + 1)), &renewed.certificate).unwrap();
        let certificate = Some(renewed.certificate);
        machine.node(
            &lab,
            &EnrolReply { state: EnrolState::Approved, missing: vec![], node: None, certificate, tpm: None },
        )
    };
    let one = renews(0).await;
    assert!(etcd.answers("n1") && etcd.answers("n2"), "one of each root");
    let two = renews(1).await;
    for node in [&one, &two] {
        tells(&lab, node, both[1]).await;
    }
    lab.says(&["ca", "rotate", "--finish"]);
    lab.reload();
    while keeps_fresh(&one, &dir).await != [both[1]] {}
    let etcd = etcd.restart("n1");
    assert!(etcd.answers("n1") && etcd.answers("n2"));
}
