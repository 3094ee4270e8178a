//! Pushes, collections and checks at the same time.

use super::world::World;
use crate::lab::Lab;
use std::{
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// A push by somebody with a home of their own, whose Nix remembers nothing.
fn push(world: &World, lab: &Lab, home: usize, path: &str) -> Output {
    let url = format!("https://127.0.0.1:{}/cache?compression=zstd&secret-key=$PWD/key.sec", lab.port("https"));
    world.run(&format!(
        "export HOME=$PWD/home-{home}; rm -rf $HOME; \
         nix copy --netrc-file $PWD/netrc --option download-attempts 1 --store $PWD/source --to \"{url}\" {path}"
    ))
}

#[test]
fn two_pushes_of_the_same_closure_at_once_both_succeed() {
    let (lab, world) = (Lab::open(), World::new());
    let [_, _, top] = world.closure();
    world.trust(&lab, Some(&lab.token()));
    thread::scope(|scope| {
        let (world, lab, top) = (&world, &lab, &top);
        let pushes: Vec<_> = (0..3).map(|home| scope.spawn(move || push(world, lab, home, top))).collect();
        for output in pushes {
            let output = output.join().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
    world.fetch(&lab, &top);
}

#[test]
fn collecting_while_closures_are_pushed_never_leaves_a_hole() {
    let (lab, world) = (Lab::open(), World::new());
    let leaf = world.leaf("leaf", 100_000);
    let tops: Vec<String> = (0..3)
        .map(|number| {
            let own = world.leaf(&format!("own-{number}"), 50_000);
            let middle = world.refer(&format!("middle-{number}"), &[&leaf, &own]);
            world.refer(&format!("top-{number}"), &[&middle, &own])
        })
        .collect();
    world.trust(&lab, Some(&lab.token()));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut collected = 0;
            while !over.load(Ordering::Relaxed) {
                let said = lab.says(&["closure", "gc", "--keep-newer", "0"]);
                collected += usize::from(!said.starts_with("0 paths"));
            }
            collected
        });
        let pushers: Vec<_> = tops
            .iter()
            .enumerate()
            .map(|(home, top)| {
                let (world, lab) = (&world, &lab);
                scope.spawn(move || (0..8).map(|_| push(world, lab, home, top)).collect::<Vec<_>>())
            })
            .collect();
        for output in pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()) {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || stderr.contains("E-CLOSURE-MISSING"), "{stderr}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 0, "something was collected in between");
    });
    let checked = lab.verb(&["closure", "verify"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    for top in &tops {
        world.pushed(&lab, "compression=zstd", top);
        world.fetch(&lab, top);
    }
}
