//! Caches that are down, slow, broken off, wrong, or lack something; and disks that are full.

use crate::{
    server::{Answer, Server},
    world::{Forge, World, edge_cases, registered},
};
use std::{fs, process::Command};

#[test]
fn a_cache_that_stumbles_is_asked_again() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::start(&world.cache(), |path, before| match (path.starts_with("nar/"), before) {
        (_, 0) => Answer::Status(503),
        (true, 1) => Answer::Half,
        _ => Answer::File,
    });
    world.install(&[&server.url]);
    world.verify();
}

#[test]
fn a_cache_that_stays_down_breaks_off_or_falls_silent_is_unreachable() {
    let world = World::new(&edge_cases(), "zstd");
    let rules: [fn() -> Answer; 3] = [|| Answer::Status(500), || Answer::Half, || Answer::Silence];
    for rule in rules {
        let is_nar = |path: &str| path.starts_with("nar/");
        let server = Server::start(&world.cache(), move |path, _| if is_nar(path) { rule() } else { Answer::File });
        let cause = world.refused(&[&server.url], &world.key, "E-CACHE-UNREACHABLE");
        assert!(cause.contains("/nar/") && cause.contains("tried 3 times"), "{cause}");
    }
    let nobody = "http://127.0.0.1:9";
    let output = world.agent(&[nobody], &world.key).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("\nE-CACHE-UNREACHABLE"));
}

#[test]
fn another_cache_takes_over_where_the_first_is_down_lacks_or_damages_a_path() {
    let world = World::new(&edge_cases(), "zstd");
    let rules: [fn(&str) -> Answer; 4] = [
        |_| Answer::Status(500),
        |path| if path.starts_with("nar/") { Answer::Status(500) } else { Answer::File },
        |path| if path == "nix-cache-info" { Answer::File } else { Answer::Status(404) },
        |path| if path.starts_with("nar/") { Answer::Bytes(b"nonsense".to_vec()) } else { Answer::File },
    ];
    for rule in rules {
        let (first, second) =
            (Server::start(&world.cache(), move |path, _| rule(path)), Server::honest(&world.cache()));
        world.install(&[&first.url, &second.url]);
        world.verify();
        Command::new("rm").arg("-r").arg(world.path("root")).status().unwrap();
    }
}

#[test]
fn a_path_that_no_cache_has_is_missing() {
    let world = World::new(&edge_cases(), "zstd");
    let hash = world.toplevel["/nix/store/".len()..][..32].to_owned();
    fs::remove_file(world.cache().join(format!("{hash}.narinfo"))).unwrap();
    let server = Server::honest(&world.cache());
    let cause = world.refused(&[&server.url], &world.key, "E-CLOSURE-MISSING");
    assert!(cause.contains(&hash), "{cause}");
}

#[test]
fn without_a_good_signature_of_a_trusted_key_no_nar_is_fetched() {
    let world = World::new(&edge_cases(), "zstd");
    let changed = |text: &str, from: &str, to: &str| text.replace(from, to).into_bytes();
    let (cache, toplevel) = (world.cache(), world.toplevel["/nix/store/".len()..][..32].to_owned());
    let server = Server::start(&world.cache(), move |path, _| match path.starts_with(&toplevel) {
        true => {
            let text = fs::read_to_string(cache.join(path)).unwrap();
            Answer::Bytes(changed(&text, "NarSize: ", "NarSize: 1"))
        }
        false => Answer::File,
    });
    world.refused(&[&server.url], &world.key, "E-CLOSURE-SIGNATURE");
    let honest = Server::honest(&world.cache());
    world.refused(&[&honest.url], &Forge::new().key(), "E-CLOSURE-SIGNATURE");
    for server in [server, honest] {
        assert!(!server.take_log().iter().any(|path| path.starts_with("nar/")));
    }
    assert!(registered(&world.path("root")).is_empty());
}

#[test]
fn a_damaged_nar_is_refused_wherever_the_damage_is() {
    let world = World::new(&edge_cases(), "none");
    let largest = fs::read_dir(world.path("cache/nar")).unwrap().map(Result::unwrap);
    let largest = largest.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    let (name, bytes) = (largest.file_name().into_string().unwrap(), fs::read(largest.path()).unwrap());
    for position in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        let (name, mut damaged) = (format!("nar/{name}"), bytes.clone());
        damaged[position] ^= 0x20;
        let server = Server::start(&world.cache(), move |path, _| match path == name {
            true => Answer::Bytes(damaged.clone()),
            false => Answer::File,
        });
        world.refused(&[&server.url], &world.key, "E-CLOSURE-CORRUPT");
    }
}

#[test]
fn a_cache_of_another_store_is_refused() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::start(&world.cache(), |path, _| match path {
        "nix-cache-info" => Answer::Bytes(b"StoreDir: /gnu/store\n".to_vec()),
        _ => Answer::File,
    });
    let output = world.agent(&[&server.url], &world.key).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("\nE-CONFIG"));
}

#[test]
fn a_closure_that_cannot_fit_is_refused_before_the_first_nar() {
    let world = World::new(&edge_cases(), "zstd");
    let forge = Forge::new();
    let text = forge.narinfo(&world.toplevel, b"", 1 << 60);
    let server = Server::start(&world.cache(), move |path, _| match path.ends_with(".narinfo") {
        true => Answer::Bytes(text.clone().into_bytes()),
        false => Answer::File,
    });
    world.refused(&[&server.url], &forge.key(), "E-NO-SPACE");
    assert!(!server.take_log().iter().any(|path| path.starts_with("nar/")));
}

/// Runs the agent after `prepare` has mounted something of its own at the root, and copies the result out of that
/// private mount for Nix to look at.
fn on_a_mount(world: &World, prepare: &str) -> String {
    let server = Server::honest(&world.cache());
    let agent = world.agent(&[&server.url], &world.key);
    let words = std::iter::once(agent.get_program()).chain(agent.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let root = world.path("root");
    fs::create_dir_all(&root).unwrap();
    let script = format!(
        "{prepare}; {line} && exit 9; rm -f {root}/nix/var/nix/db/big-lock; cp -a {root} {root}.copy; umount {root}",
        line = line.join(" "),
        root = root.display()
    );
    let output = Command::new("unshare").args(["--mount", "bash", "-c", &script]).output().unwrap();
    assert_ne!(output.status.code(), Some(9), "it was installed");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_read_only_file_system_is_named_and_nothing_is_asked_for() {
    let world = World::new(&edge_cases(), "zstd");
    let root = world.path("root").display().to_string();
    let error = on_a_mount(&world, &format!("mount -t tmpfs -o ro tmpfs {root}"));
    assert!(error.contains("E-DISK-IO") && error.contains("mount it writable"), "{error}");
}

#[test]
fn a_disk_that_fails_while_it_is_written_has_its_code_and_what_was_registered_is_whole() {
    let world = World::new(&edge_cases(), "zstd");
    let root = world.path("root").display().to_string();
    // A disk that promises 300 MB, and fails beyond the few that are behind it.
    let back = world.path("back").display().to_string();
    let error = on_a_mount(
        &world,
        &format!(
            "mkdir {back}; mount -t tmpfs -o size=6m tmpfs {back}; truncate -s 300M {back}/disk;
             mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1 {back}/disk; mount -o loop {back}/disk {root}"
        ),
    );
    assert!(error.contains("E-DISK-IO") || error.contains("E-NO-SPACE"), "{error}");
    let copy = world.path("root.copy");
    assert!(!registered(&copy).contains(&world.toplevel));
    world.nix(
        "test ! -e root.copy/nix/var/nix/db/db.sqlite || nix-store --store $PWD/root.copy --verify --check-contents",
    );
}

#[test]
fn a_disk_that_fills_up_has_its_code_and_what_was_registered_is_whole() {
    let world = World::new(&edge_cases(), "zstd");
    // Room enough for the bytes, but not for the 600 files: only writing shows it.
    let root = world.path("root").display().to_string();
    let error = on_a_mount(&world, &format!("mount -t tmpfs -o size=80m,nr_inodes=200 tmpfs {root}"));
    assert!(error.contains("E-NO-SPACE"), "{error}");
    fs::rename(world.path("root.copy"), world.path("copy")).unwrap();
    let store: Vec<String> = fs::read_dir(world.path("copy/nix/store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!store.iter().any(|name| name.starts_with('.')), "{store:?}");
    world.nix("nix-store --store $PWD/copy --verify --check-contents");
    assert!(!registered(&world.path("copy")).contains(&world.toplevel));
}
