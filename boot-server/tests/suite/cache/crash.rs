//! kill -9 of the server in the middle of a push.

use super::world::World;
use crate::lab::Lab;
use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

const ROUNDS: u32 = 24;

#[test]
fn a_server_that_is_killed_during_pushes_serves_only_whole_paths_and_the_next_push_completes() {
    let (mut lab, world) = (Lab::open(), World::new());
    let leaves: Vec<String> = (0..12).map(|number| world.leaf(&format!("leaf-{number}"), 150_000)).collect();
    let middle = world.refer("middle", &leaves[..6].iter().map(String::as_str).collect::<Vec<_>>());
    let all: Vec<&str> = leaves.iter().chain([&middle]).map(String::as_str).collect();
    let top = world.refer("top", &all);
    world.pushed(&lab, "compression=zstd", &top);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        if there(&lab) >= all.len() {
            lab.says(&["closure", "gc", "--keep-newer", "0"]);
        }
        let begun = there(&lab);
        let url = format!("https://127.0.0.1:{}/cache?compression=zstd&secret-key=$PWD/key.sec", lab.port("https"));
        let line = format!(
            "rm -rf home; exec nix copy --option netrc-file $PWD/netrc --option download-attempts 1 \
             --store $PWD/source --to \"{url}\" {top}"
        );
        let mut push = Command::new("bash")
            .args(["-euc", &line])
            .current_dir(world.path("."))
            .env("HOME", world.path("home"))
            .env("NIX_CONF_DIR", world.path("conf"))
            .env("NIX_SSL_CERT_FILE", world.path("ca.crt"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some begin to arrive; where exactly in them it is killed is up to the machine.
        while there(&lab) <= begun + round as usize % 5 && push.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        lab.kill();
        interrupted += u32::from(!push.wait().unwrap().success());
        lab.serve();
        assert_eq!(fs::read_dir(lab.dir().join("cache/.incoming")).unwrap().count(), 0, "leftovers are removed");
        let checked = lab.verb(&["closure", "verify"]);
        assert!(checked.status.success(), "round {round}: {}", String::from_utf8_lossy(&checked.stdout));
    }
    assert!(interrupted >= ROUNDS / 2, "only {interrupted} of {ROUNDS} pushes were interrupted");
    world.pushed(&lab, "compression=zstd", &top);
    world.fetch(&lab, &top);
}

/// Archives that have arrived or are arriving.
fn there(lab: &Lab) -> usize {
    let in_folder = |name: &str| fs::read_dir(lab.dir().join("cache").join(name)).map_or(0, Iterator::count);
    in_folder("nar") + in_folder(".incoming")
}
