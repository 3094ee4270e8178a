//! What the agent leaves of its memory.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    time::{Duration, Instant},
};

const NOBODY: u32 = 65_534;

#[test]
fn the_agent_leaves_no_core_dump_and_shows_its_memory_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (agent, layout) = (dir.path().join("initrd-agent"), dir.path().join("layout.json"));
    // Its own account may not reach where it was built.
    fs::copy(env!("CARGO_BIN_EXE_initrd-agent"), &agent).unwrap();
    nix::unistd::mkfifo(&layout, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    // Nobody writes into the pipe: the agent waits there.
    let mut waits = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .arg(&agent)
        .args(["disk", "plan", "--layout"])
        .arg(&layout)
        .spawn()
        .unwrap();
    let of = |name: &str| format!("/proc/{}/{name}", waits.id());
    let patience = Instant::now() + Duration::from_secs(60);
    let has_begun = || {
        let is_agent = fs::read_link(of("exe")).is_ok_and(|exe| exe == agent);
        let status = fs::read_to_string(of("status")).unwrap_or_default();
        is_agent && status.lines().any(|line| line == format!("Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}"))
    };
    while !(has_begun() && fs::metadata(of("environ")).unwrap().uid() == 0) {
        assert!(Instant::now() < patience, "another process of its account reads its memory");
        std::thread::sleep(Duration::from_millis(10));
    }
    let limits = fs::read_to_string(of("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    waits.kill().unwrap();
    waits.wait().unwrap();
}
