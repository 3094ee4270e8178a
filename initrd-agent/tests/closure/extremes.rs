//! Closures that are larger, or made otherwise, than most.

use crate::{
    server::Server,
    world::{Forge, World, edge_cases, listing, peak_rss, registered, rows},
};
use qemu_tests::drawn_closure::{self, Contents, Draw, Made, Node, file};
use std::fs;

/// What an installation may take of a machine's memory (docs/design.md section 12), KiB.
const BOUND: u64 = 64 << 10;

#[test]
fn a_file_of_2_gib_is_installed_in_bounded_memory() {
    let contents = Contents::Zeros((2 << 30) + 1);
    let mut draw = Draw(11);
    let large = Made { base: draw.base("large"), references: vec![], root: Node::File { executable: true, contents } };
    let world = World::new(&[large], "zstd");
    world.nix("chmod -R u+w source; rm -r source");
    let server = Server::honest(&world.cache());
    let (installed, peak) = peak_rss(&mut world.agent(&[&server.url], &world.key));
    assert!(installed && peak < BOUND, "installed: {installed}, {peak} KiB");
    let path = world.path("root").join(&world.toplevel[1..]);
    assert_eq!(path.metadata().unwrap().len(), (2 << 30) + 1);
    world.nix("nix-store --store $PWD/root --verify --check-contents");
}

#[test]
fn a_closure_of_10_000_tiny_paths_is_installed_in_bounded_memory() {
    let world = World::new(&edge_cases()[..1], "none");
    let (forge, mut draw) = (Forge::new(), Draw(5));
    let mut nar = Vec::new();
    drawn_closure::string(&mut nar, b"nix-archive-1").unwrap();
    drawn_closure::node(&mut nar, &file(b"tiny")).unwrap();
    fs::write(world.cache().join("nar/tiny.nar"), &nar).unwrap();
    let mut bases: Vec<String> = Vec::new();
    for number in 0..10_000u64 {
        let base = draw.base("tiny");
        // Each refers to the one before, and to two others.
        let mut references: Vec<String> = bases.last().cloned().into_iter().collect();
        references.extend((0..2.min(number)).map(|_| bases[draw.below(number) as usize].clone()));
        references.sort();
        references.dedup();
        let path = format!("/nix/store/{base}");
        let text = forge.narinfo_with(&path, "tiny.nar", &nar, nar.len() as u64, &references);
        fs::write(world.cache().join(format!("{}.narinfo", &base[..32])), text).unwrap();
        bases.push(base);
    }
    let mut world = world;
    world.toplevel = format!("/nix/store/{}", bases[9_999]);
    // A chain: without an index each narinfo would have to wait for the one before.
    let url = format!("file://{}", world.cache().display());
    let (installed, peak) = peak_rss(&mut world.agent(&[&url], &forge.key()));
    assert!(installed && peak < BOUND, "installed: {installed}, {peak} KiB");
    assert_eq!(registered(&world.path("root")).len(), 10_000);
    world.nix("nix-store --store $PWD/root --verify --check-contents");
}

#[test]
fn hard_links_of_the_source_become_files_of_their_own() {
    let mut world = World::new(&edge_cases()[..1], "zstd");
    let push = "mkdir linked; echo same > linked/a; ln linked/a linked/b; ln linked/a linked/c
        path=$(nix-store --store $PWD/source --add linked)
        nix copy --store $PWD/source --to \"file://$PWD/cache?secret-key=$PWD/key.sec\" $path; echo $path";
    world.toplevel = String::from_utf8(world.nix(push).stdout).unwrap().trim().to_owned();
    world.install(&[&Server::honest(&world.cache()).url]);
    let reference = world.reference();
    assert_eq!(listing(&world.path("root")), listing(&reference));
    assert_eq!(rows(&world.path("root")), rows(&reference));
    world.verify();
}
