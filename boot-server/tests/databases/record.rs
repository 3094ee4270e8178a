//! What a release writes into its state, for `record.sh`: put into the suite of that release, and nowhere else.
//! A line that begins with `//N:` is for releases that have migration N.

use super::{
    lab::Lab,
    machine::{Machine, event, line},
};
use protocol::{step::Step, telemetry::EventKind};

#[tokio::test]
async fn record() {
    let out = std::path::PathBuf::from(std::env::var("CENTRA_RECORD").unwrap());
    let mut lab = Lab::open();
    for (name, mac) in [("member", 1), ("installing", 2), ("expected", 3)] {
        lab.apply(name, &format!("52:54:00:00:00:{mac:02}"));
    }
    let events = || {
        let done = EventKind::Finished { duration_ms: 7, detail: "made 2 partitions".into() };
        vec![event(1, Step::Disk, EventKind::Started), event(2, Step::Disk, done)]
    };
    let machine = Machine::new("52:54:00:00:00:01", "run-of-member");
    //8: let chip_dir = tempfile::tempdir().unwrap();
    //8: let with_tpm = Machine { run: "run-of-tpm".parse().unwrap(), ..machine };
    //8: super::tpm::proven(&lab, &with_tpm, &mut super::tpm::Chip::new(chip_dir.path())).await;
    //8: let machine = Machine { run: "run-of-member".parse().unwrap(), ..with_tpm };
    let member = machine.admitted(&lab).await;
    member.manifest(&lab).await;
    member.tell(events(), vec![line(1, "a line of the member's log")]).await;
    assert!(member.installed(1).await.0.is_success());
    assert!(member.ready(1).await.0.is_success());
    //4: assert!(member.health(1, true).await.0.is_success());

    let installing = Machine::new("52:54:00:00:00:02", "run-of-installing").admitted(&lab).await;
    installing.manifest(&lab).await;
    installing.tell(vec![event(1, Step::Closure, EventKind::Started)], vec![]).await;

    lab.kill();
    lab.configure("approval", "");
    //5: lab.configure("approval", "[cluster]\ndrain = '/bin/true'\n");
    lab.serve();
    let stranger = Machine::new("52:54:00:00:00:04", "run-of-stranger");
    let greeted = stranger.greet(&lab).await;
    stranger.ask(&lab, &greeted).await;
    //5: // Drained, and not removed: nobody answers. The operation stays under way.
    //5: eprintln!("{:?}", lab.verb(&["cluster", "decommission", "member", "--yes"]));
    //5: eprintln!("{:?}", lab.verb(&["cluster", "replace", "installing", "--yes"]));
    assert!(lab.stop(), "what is in the write-ahead log goes into the file at the end");
    //7: std::fs::copy(lab.dir().join("secrets.key"), out.with_extension("key")).unwrap();
    std::fs::copy(lab.dir().join("state.db"), &out).unwrap();
}
