//! What is installed.

use crate::{
    server::{Answer, Server},
    world::{World, edge_cases, listing, registered, rows},
};
use std::time::Duration;

fn nars(log: &[String]) -> usize {
    log.iter().filter(|path| path.starts_with("nar/")).count()
}

#[test]
fn the_store_equals_what_nix_copy_makes_for_every_compression() {
    for compression in ["none", "zstd", "xz", "bzip2", "gzip", "br"] {
        let world = World::new(&edge_cases(), compression);
        let server = Server::honest(&world.cache());
        let summary = world.install(&[&server.url]);
        assert_eq!((&summary["paths_fetched"], &summary["paths_total"]), (&6.into(), &6.into()));
        // The -wal is in the main file, also for whoever copies just that.
        assert!(!world.path("root/nix/var/nix/db/db.sqlite-wal").exists());
        let reference = world.reference();
        assert_eq!(listing(&world.path("root")), listing(&reference), "{compression}");
        assert_eq!(rows(&world.path("root")), rows(&reference), "{compression}");
        world.verify();
    }
}

#[test]
fn a_content_addressed_path_keeps_its_claim_only_where_it_is_true() {
    let mut world = World::new(&edge_cases()[..1], "zstd");
    let push = "path=$(nix-store --store $PWD/source --add-fixed sha256 conf/nix.conf)
        nix copy --store $PWD/source --to \"file://$PWD/cache?secret-key=$PWD/key.sec\" $path; echo $path";
    world.toplevel = String::from_utf8(world.nix(push).stdout).unwrap().trim().to_owned();
    let cache = world.cache();
    let lying = Server::start(&world.cache(), move |path, _| match std::fs::read_to_string(cache.join(path)) {
        Ok(text) if path.ends_with(".narinfo") => {
            Answer::Bytes(text.replace("CA: fixed:", "CA: fixed:r:").into_bytes())
        }
        _ => Answer::File,
    });
    world.refused(&[&lying.url], &world.key, "E-CLOSURE-CORRUPT");
    world.install(&[&Server::honest(&world.cache()).url]);
    assert_eq!(rows(&world.path("root")), rows(&world.reference()));
}

#[test]
fn what_is_registered_is_not_asked_for_again_and_what_was_lost_is() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::honest(&world.cache());
    world.install(&[&server.url]);
    server.take_log();
    let summary = world.install(&[&server.url]);
    assert_eq!((&summary["paths_fetched"], &summary["paths_present"]), (&0.into(), &6.into()));
    assert_eq!(server.take_log(), ["nix-cache-info"]);
    let lost = registered(&world.path("root")).into_iter().find(|path| path.ends_with("plain-file")).unwrap();
    std::fs::remove_file(world.path("root").join(&lost[1..])).unwrap();
    world.install(&[&server.url]);
    assert_eq!(nars(&server.take_log()), 1);
    world.verify();
}

#[test]
fn the_profile_is_what_the_garbage_collector_keeps() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::honest(&world.cache());
    let output = world.agent(&[&server.url], &world.key).arg("--profile").output().unwrap();
    assert!(output.status.success());
    let link = std::fs::read_link(world.path("root/nix/var/nix/profiles/system-1-link")).unwrap();
    assert_eq!(link.to_str(), Some(world.toplevel.as_str()));
    let dead = world.nix("nix-store --store $PWD/root --gc --print-dead");
    assert_eq!(String::from_utf8(dead.stdout).unwrap(), "");
}

#[test]
fn two_installations_into_one_root_do_not_meet() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::start(&world.cache(), |_, _| Answer::Late(Duration::from_millis(20)));
    let agents: Vec<_> = (0..2).map(|_| world.agent(&[&server.url], &world.key).spawn().unwrap()).collect();
    for mut agent in agents {
        assert!(agent.wait().unwrap().success());
    }
    assert_eq!(nars(&server.take_log()), 6);
    world.verify();
}
