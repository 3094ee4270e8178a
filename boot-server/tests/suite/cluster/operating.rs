//! `cluster remove`, `replace` and `decommission`.

use super::{
    etcd::Etcds,
    peer::{self, Cluster},
    site::Site,
};
use crate::{
    lab::{Lab, path},
    machine::Machine,
};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use protocol::{
    arbiter::Turn,
    enrol::EnrolState,
    manifest::Purpose,
    report::{PlanReport, WipedReport},
    service::Service,
};
use serde_json::json;
use std::{os::unix::fs::PermissionsExt, process::Output, sync::Arc, time::Duration};

/// A hook that notes how it was called, and fails while a file `broken` stands beside it.
fn hook(lab: &Lab) -> std::path::PathBuf {
    let folder = lab.dir().display().to_string();
    let text = format!(
        "#!/bin/sh\necho \"$@ $CENTRA_NODE $CENTRA_MACS\" >>{folder}/hooked\n\
         test -e {folder}/broken && {{ echo no route to the BMC >&2; exit 3; }}\necho done\n"
    );
    let hook = lab.file("hook", &text);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    hook
}

fn hooked(lab: &Lab) -> String {
    std::fs::read_to_string(lab.dir().join("hooked")).unwrap_or_default()
}

fn restart(lab: &mut Lab, admission: &str, more: &str) {
    assert!(lab.stop());
    lab.configure(admission, more);
    lab.serve();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn verb(lab: &Arc<Lab>, words: &'static [&'static str]) -> (bool, String) {
    let lab = lab.clone();
    let output = tokio::task::spawn_blocking(move || lab.verb(words)).await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output))
}

#[tokio::test]
async fn a_dead_founder_is_replaced_by_another_machine_and_a_verb_that_broke_off_goes_on() {
    let mut lab = Lab::open();
    let mut etcds = Etcds::three(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    let power = hook(&lab);
    restart(&mut lab, "approval", &format!("[power]\ncommand = '{}'\n", path(&power)));
    etcds.kill(3);
    etcds.wait_until_healthy();

    let refused = lab.verb(&["cluster", "remove", "n2", "--yes"]);
    assert!(stderr(&refused).contains("E-QUORUM") && !refused.status.success(), "{refused:?}");
    assert!(stderr(&lab.verb(&["cluster", "replace", "n3"])).contains("add --yes"));
    std::fs::write(lab.dir().join("broken"), "").unwrap();
    let broken = lab.verb(&["cluster", "replace", "n3", "--yes"]);
    let told = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(told.contains("removed from etcd\nrevoked the key") && told.contains("opened generation 2"), "{broken:?}");
    assert!(stderr(&broken).contains("no route to the BMC"), "{broken:?}");
    std::fs::remove_file(lab.dir().join("broken")).unwrap();
    lab.kill();
    lab.serve();
    let told = lab.says(&["cluster", "replace", "n3", "--yes"]);
    assert!(
        told.contains("its next generation is open already") && told.contains("power hook: network-boot"),
        "{told}"
    );
    assert_eq!(hooked(&lab).matches("network-boot n3 n3 52:54:00:00:00:03").count(), 2);
    assert_eq!(etcds.ctl(&["member", "list"]).unwrap().lines().count(), 2);
    assert_eq!(lab.describe("n3")["summary"]["generation"], 2);

    let new = Machine::new(&Site::mac(3), "run-3-new").admitted(&lab).await;
    assert_eq!(new.manifest(&lab).await.generation, 2);
    let again = Machine::new(&Site::mac(3), "run-3-other");
    let greeted = again.greet(&lab).await;
    assert_eq!(again.ask(&lab, &greeted).await.state, EnrolState::Conflict, "the window was for one machine");
    assert!(new.installed(2).await.0.is_success());
    let turn = new.turn(Service::Etcd, 2).await;
    assert!(matches!(turn, Turn::Join { replaces: true, .. }), "{turn:?}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_everywhere_and_does_not_come_back() {
    let lab = Lab::open();
    lab.apply("n1", &Site::mac(1));
    let machine = Machine::new(&Site::mac(1), "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    let node = machine.node(&lab, &reply);
    node.manifest(&lab).await;
    node.installed(1).await;
    let new = Machine::new(&Site::mac(1), "run-2");
    let asked = new.greet(&lab).await;
    assert_eq!(new.ask(&lab, &asked).await.state, EnrolState::Conflict);
    lab.says(&["cluster", "replace", "n1", "--yes"]);
    assert_eq!(new.ask(&lab, &asked).await.state, EnrolState::Approved, "it asked before the verb was run");
    for address in ["/v1/node/ready", "/v1/node/turn", "/v1/telemetry", "/v1/enrol/hello"] {
        assert_eq!(node.caller.post(address, &json!({})).await.0, StatusCode::FORBIDDEN, "{address}");
    }
    assert_eq!(node.caller.get("/health").await.0, StatusCode::FORBIDDEN);
    let greeted = machine.greet(&lab).await;
    let (_, failure) = lab.nobody().post("/v1/enrol", &machine.request(&greeted.session)).await;
    assert_eq!(failure["code"], "E-ENROL-REJECTED", "{failure}");
    assert!(lab.says(&["describe", "node", "n1"]).contains("revoked the key"));
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_a_connection_that_is_open_and_that_ends() {
    let lab = Arc::new(Lab::open());
    lab.apply("n1", &Site::mac(1));
    let machine = Machine::new(&Site::mac(1), "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    let node = machine.node(&lab, &reply);
    node.manifest(&lab).await;
    node.installed(1).await;
    let stream = TokioIo::new(lab.connection("h2", Some(machine.identity(&reply))).await);
    let (mut sender, open) = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    let open = tokio::spawn(open);
    let mut ask = async || {
        let request = Request::get("https://127.0.0.1/health").body(Empty::new()).unwrap();
        sender.send_request(request).await.map(|answer| answer.status())
    };
    assert_eq!(ask().await.unwrap(), StatusCode::OK);
    let its = lab.clone();
    let replaced = tokio::spawn(async move { verb(&its, &["cluster", "replace", "n1", "--yes"]).await });
    let refused = loop {
        match ask().await {
            Ok(StatusCode::OK) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(refused, StatusCode::FORBIDDEN);
    // A node that asks nothing is left 90 seconds.
    let ended = tokio::time::timeout(Duration::from_secs(20), open).await;
    assert!(ended.is_ok(), "it is still open");
    assert!(ask().await.is_err());
    assert!(replaced.await.unwrap().0);
}

#[tokio::test]
async fn a_node_is_drained_removed_wiped_and_retired() {
    let mut lab = Lab::open();
    let hook = hook(&lab);
    let config = format!("[power]\ncommand = '{0}'\n[cluster]\ndrain = '{0}'\n", path(&hook));
    restart(&mut lab, "open-lab", &config);
    let lab = Arc::new(lab);
    let site = Site::new();
    let cluster = Cluster::of(site, &[1, 2]);
    let _peers = (peer::start(&lab, site, 1, cluster.clone()), peer::start(&lab, site, 2, cluster.clone()));
    site.ready(&lab, 1, "chainfire").await;
    let node = site.ready(&lab, 2, "chainfire").await;

    let (done, told) = verb(&lab, &["cluster", "decommission", "n2", "--yes"]).await;
    assert!(done && told.starts_with("drained by the hook\nremoved from chainfire\nopened generation 2"), "{told}");
    assert_eq!(hooked(&lab), "n2 n2 52:54:00:00:00:02\nnetwork-boot n2 n2 52:54:00:00:00:02\n");
    assert_eq!(cluster.chainfire.members().len(), 1);
    let (_, told) = verb(&lab, &["cluster", "replace", "n2", "--yes"]).await;
    assert!(told.contains("E-WRONG-STATE") && told.contains("it is being decommissioned"), "{told}");

    let wiped = WipedReport { run: node.run.clone(), generation: 2 };
    assert_eq!(node.caller.post("/v1/node/wiped", &wiped).await.0, StatusCode::CONFLICT, "no run has begun");
    let (_, told) = verb(&lab, &["power", "n2", "cycle"]).await;
    assert_eq!(told, "power hook: cycle\n");
    let manifest = node.manifest(&lab).await;
    assert_eq!((manifest.purpose, manifest.generation), (Purpose::Wipe, 2));
    let plan = PlanReport {
        run: node.run.clone(),
        generation: 2,
        lines: vec!["wipe vda".into()],
        resumes: false,
        hold: false,
        disks: None,
    };
    assert!(node.caller.post("/v1/node/plan", &plan).await.0.is_success());
    assert_eq!(node.caller.get("/v1/node/secrets?generation=2").await.0, StatusCode::CONFLICT);
    assert_eq!(node.installed(2).await.0, StatusCode::CONFLICT);
    for _ in 0..2 {
        assert!(node.caller.post("/v1/node/wiped", &wiped).await.0.is_success(), "the first answer may be lost");
    }
    assert_eq!(node.caller.post("/v1/node/plan", &plan).await.0, StatusCode::FORBIDDEN);
    let (retired, _) = verb(&lab, &["wait", "n2", "--for", "retired", "--timeout", "1"]).await;
    assert!(retired);
    let (_, told) = verb(&lab, &["reinstall", "n2", "--yes"]).await;
    assert!(told.contains("E-WRONG-STATE"), "{told}");

    // The last member goes only by force, and its disks stay.
    let (done, told) = verb(&lab, &["cluster", "decommission", "n1", "--yes", "--keep-disks"]).await;
    assert!(!done && told.contains("E-QUORUM"), "{told}");
    let (done, told) = verb(&lab, &["cluster", "decommission", "n1", "--yes", "--keep-disks", "--force"]).await;
    assert!(done && told.contains("not removed from chainfire, as --force allows"), "{told}");
    assert!(told.ends_with("node n1 is retired: it boots nothing\n"), "{told}");
    assert!(hooked(&lab).ends_with("off n1 n1 52:54:00:00:00:01\n"), "{}", hooked(&lab));
}

#[tokio::test]
async fn a_decommission_that_was_taken_back_while_its_hook_ran_wipes_nothing() {
    let mut lab = Lab::open();
    let folder = lab.dir().display().to_string();
    let text = format!("#!/bin/sh\ntouch {folder}/draining\nwhile ! test -e {folder}/go; do sleep 0.05; done\n");
    let hook = lab.file("hook", &text);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    restart(&mut lab, "open-lab", &format!("[cluster]\ndrain = '{}'\n", path(&hook)));
    let lab = Arc::new(lab);
    lab.apply("n1", &Site::mac(1));
    let node = Machine::new(&Site::mac(1), "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    node.installed(1).await;
    let waiting = lab.clone();
    let decommission = tokio::spawn(async move { verb(&waiting, &["cluster", "decommission", "n1", "--yes"]).await });
    while !lab.dir().join("draining").exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lab.says(&["reinstall", "n1", "--yes"]);
    std::fs::write(lab.dir().join("go"), "").unwrap();
    let (done, told) = decommission.await.unwrap();
    assert!(!done && told.contains("E-WRONG-STATE"), "{told}");
    let manifest = node.manifest(&lab).await;
    assert_eq!((manifest.purpose, manifest.generation), (Purpose::Install, 2));
}
