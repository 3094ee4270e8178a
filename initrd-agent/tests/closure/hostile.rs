//! Archives that are signed, and have the hash that was signed, but that no honest tool would make.

use crate::{
    server::{Answer, Server},
    world::{Forge, World, edge_cases, peak_rss},
};
use qemu_tests::drawn_closure::{Node, file, node, number, string};
use std::path::PathBuf;

fn archive(root: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    string(&mut bytes, b"nix-archive-1").unwrap();
    node(&mut bytes, root).unwrap();
    bytes
}

fn directory(entries: Vec<(&[u8], Node)>) -> Vec<u8> {
    archive(&Node::Directory(entries.into_iter().map(|(name, object)| (name.to_vec(), object)).collect()))
}

/// A world whose toplevel is one forged path.
struct Trap {
    world: World,
    forge: Forge,
}

impl Trap {
    fn new() -> Self {
        Self { world: World::new(&edge_cases()[..1], "none"), forge: Forge::new() }
    }

    fn server(&self, nar: &[u8], announced: u64, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
        let text = self.forge.narinfo(&self.world.toplevel, nar, announced);
        Server::start(&self.world.cache(), move |path, _| match path {
            "nar/x.nar" => answer(),
            "nix-cache-info" => Answer::File,
            _ => Answer::Bytes(text.clone().into_bytes()),
        })
    }

    fn refuses(&self, nar: &[u8]) {
        let bytes = nar.to_vec();
        let server = self.server(nar, nar.len() as u64, move || Answer::Bytes(bytes.clone()));
        self.world.refused(&[&server.url], &self.forge.key(), "E-CLOSURE-CORRUPT");
    }
}

#[test]
fn a_signed_path_of_honest_make_passes() {
    let trap = Trap::new();
    let nar = directory(vec![(b"a", file(b"x"))]);
    let bytes = nar.clone();
    let server = trap.server(&nar, nar.len() as u64, move || Answer::Bytes(bytes.clone()));
    let output = trap.world.agent(&[&server.url], &trap.forge.key()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nothing_is_written_outside_of_the_store_path() {
    let trap = Trap::new();
    let outside: PathBuf = trap.world.path("root/escaped");
    for name in [b"..".as_slice(), b".", b"", b"/", b"../../../../escaped", b"a/../../escaped", b"x\0y"] {
        trap.refuses(&directory(vec![(name, file(b"got out"))]));
    }
    // First a link that leads out, then the same name again as a folder to write through.
    let link = || (b"a".as_slice(), Node::Symlink(b"../../../..".to_vec()));
    let through = (b"a".as_slice(), Node::Directory(vec![(b"escaped".to_vec(), file(b"got out"))]));
    trap.refuses(&directory(vec![link(), through]));
    assert!(!outside.exists() && !trap.world.path("escaped").exists());
}

#[test]
fn an_archive_that_is_not_the_only_one_of_its_tree_is_refused() {
    let trap = Trap::new();
    let good = directory(vec![(b"a", file(b"x")), (b"b", file(b"y"))]);
    let position = |what: &[u8]| good.windows(what.len()).position(|window| window == what).unwrap();
    let (a, b) = (position(b"a\0\0\0\0\0\0\0"), position(b"b\0\0\0\0\0\0\0"));
    for (at, value) in [(a, b'b'), (a, b'c'), (b, b'a'), (a + 1, 1)] {
        let mut bad = good.clone();
        bad[at] = value;
        trap.refuses(&bad);
    }
    trap.refuses(&[good.as_slice(), &[0; 8]].concat());
    trap.refuses(&good[..good.len() - 8]);
}

#[test]
fn huge_length_words_are_refused_without_the_memory_for_them() {
    let trap = Trap::new();
    let good = directory(vec![(b"a", file(b"x"))]);
    for cut in (0..good.len()).step_by(8) {
        let mut bad = good[..cut].to_vec();
        number(&mut bad, u64::MAX - 7).unwrap();
        bad.extend([0; 1024]);
        trap.refuses(&bad);
    }
}

#[test]
fn an_endless_nar_ends_at_its_announced_size() {
    let trap = Trap::new();
    let mut head = archive(&file(b""));
    head.truncate(head.windows(8).position(|window| window == b"contents").unwrap() + 8);
    number(&mut head, 1 << 40).unwrap();
    let announced = head.clone();
    let server = trap.server(&announced, 1 << 20, move || Answer::Endless(head.clone()));
    let cause = trap.world.refused(&[&server.url], &trap.forge.key(), "E-CLOSURE-CORRUPT");
    assert!(cause.contains("longer"), "{cause}");
    let (installed, peak) = peak_rss(&mut trap.world.agent(&[&server.url], &trap.forge.key()));
    assert!(!installed && peak < 64 << 10, "{peak} KiB");
}

#[test]
fn a_tree_deeper_than_the_bound_is_refused() {
    let mut deep = file(b"");
    for _ in 0..1000 {
        deep = Node::Directory(vec![(b"d".to_vec(), deep)]);
    }
    Trap::new().refuses(&archive(&deep));
}
