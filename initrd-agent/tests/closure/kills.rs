//! kill -9 at random points: what is registered stays, is whole, and is not fetched again; each restart ends in the
//! store that Nix makes.

use crate::{
    server::{Answer, Server},
    world::{World, listing, registered, rows},
};
use qemu_tests::drawn_closure::{self, Draw};
use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Roots that are installed into side by side; an agent mostly waits for its cache.
const ROOTS: u64 = 8;
/// Kills in each of them.
const KILLS: u64 = 26;

/// What the end must be.
struct Reference {
    listing: BTreeSet<String>,
    rows: BTreeSet<String>,
}

impl Reference {
    /// Every object of every registered path is as it should be.
    fn has_whole(&self, root: &Path, registered: &BTreeSet<String>) {
        // A kill may come before there is a store.
        if registered.is_empty() {
            return;
        }
        let objects = listing(root);
        for line in &self.listing {
            let path = line.split([' ', '/']).take(3).collect::<Vec<_>>().join("/");
            assert!(!registered.contains(&format!("/{path}")) || objects.contains(line), "{line} is missing");
        }
    }
}

/// Slow enough that a run registers several batches.
fn slow_server(world: &World) -> Server {
    Server::start(&world.cache(), |path, _| match path.starts_with("nar/") {
        true => Answer::Late(Duration::from_millis(200)),
        false => Answer::File,
    })
}

/// One root: kills one run after the other, and every few lets one come to its end.
fn torment(world: &World, root: &str, seed: u64, whole_run: Duration, reference: &Reference) -> u64 {
    let (mut draw, server) = (Draw(seed), slow_server(world));
    let (place, mut resumed, mut span) = (world.path(root), 0, whole_run);
    for kill in 1..=KILLS {
        let before = registered(&place);
        resumed += u64::from(!before.is_empty());
        server.take_log();
        let mut agent = world.agent_into(root, &[&server.url], &world.key).spawn().unwrap();
        thread::sleep(Duration::from_millis(draw.below(span.as_millis() as u64)));
        agent.kill().unwrap();
        agent.wait().unwrap();
        let after = registered(&place);
        assert!(before.is_subset(&after));
        // On a machine that has become slower, later and later until a run comes to register something.
        span = if after.is_empty() { span + whole_run / 4 } else { whole_run };
        reference.has_whole(&place, &after);
        let log = server.take_log();
        // A NAR is only fetched after its narinfo.
        let asked = |path: &&String| log.contains(&format!("{}.narinfo", &path["/nix/store/".len()..][..32]));
        assert_eq!(before.iter().find(asked), None, "it was registered before");
        if kill % 4 == 0 || kill == KILLS {
            finish(world, root, &server, reference);
        }
    }
    resumed
}

fn finish(world: &World, root: &str, server: &Server, reference: &Reference) {
    let output = world.agent_into(root, &[&server.url], &world.key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let place = world.path(root);
    assert_eq!(listing(&place), reference.listing);
    assert_eq!(rows(&place), reference.rows);
    world.nix(&format!("nix-store --store $PWD/{root} --verify --check-contents"));
    world.nix(&format!("chmod -R u+w {root}; rm -r {root}"));
    assert!(!place.exists());
}

#[test]
fn after_208_kills_at_random_points_each_restart_ends_in_the_store_that_nix_makes() {
    let world = World::new(&drawn_closure::system(150, 4 << 20, 7), "zstd");
    let reference = world.reference();
    let reference = Reference { listing: listing(&reference), rows: rows(&reference) };
    let begin = Instant::now();
    finish(&world, "root", &slow_server(&world), &reference);
    let whole_run = begin.elapsed();
    let resumed: u64 = thread::scope(|scope| {
        let seed = u64::from(std::process::id());
        let one = |number| {
            let (world, reference) = (&world, &reference);
            move || torment(world, &format!("root-{number}"), seed * ROOTS + number, whole_run, reference)
        };
        let all: Vec<_> = (0..ROOTS).map(|number| scope.spawn(one(number))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(resumed > 0, "no run found something registered");
    eprintln!("{} kills, {resumed} runs resumed, a whole run takes {whole_run:?}", ROOTS * KILLS);
}
