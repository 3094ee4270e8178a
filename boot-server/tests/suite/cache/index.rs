//! `/v1/closure/HASH`

use super::world::{World, hash};
use crate::lab::Lab;
use std::{collections::BTreeSet, fs};

fn ask(world: &World, lab: &Lab, leg: &str, path: &str) -> (String, String) {
    let scheme = leg;
    let url = format!("{scheme}://127.0.0.1:{}/v1/closure/{}", lab.port(leg), hash(path));
    let code = world.nix(&format!("curl -sS --cacert ca.crt -D head -o body -w '%{{http_code}}' {url}"));
    (code, fs::read_to_string(world.path("body")).unwrap())
}

#[test]
fn the_index_is_every_narinfo_of_the_closure_and_the_asked_one_first() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, middle, top] = world.closure();
    world.pushed(&lab, "compression=zstd", &top);
    let other = world.leaf("other", 10);
    world.pushed(&lab, "compression=zstd", &other);
    let own = |path: &str| fs::read_to_string(lab.dir().join(format!("cache/{}.narinfo", hash(path)))).unwrap();
    for leg in ["http", "https"] {
        let (code, text) = ask(&world, &lab, leg, &top);
        assert_eq!(code, "200");
        let parts: Vec<String> = text.split("\n\n").map(|part| format!("{}\n", part.trim_end())).collect();
        assert_eq!(parts[0], own(&top));
        let walked: BTreeSet<String> = [&leaf, &middle, &top].map(|path| own(path)).into();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.into_iter().collect::<BTreeSet<_>>(), walked);
    }
    let head = fs::read_to_string(world.path("head")).unwrap().to_lowercase();
    assert!(head.contains("content-type: text/x-nix-narinfo"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let url = format!("http://127.0.0.1:{}/v1/closure/{}", lab.port("http"), hash(&top));
    let again = world.nix(&format!("curl -sS -o body -w '%{{http_code}}' -H 'If-None-Match: {tag}' {url}"));
    assert_eq!(again, "304");
}

#[test]
fn a_closure_with_a_hole_has_no_index_even_after_it_had_one() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    assert_eq!(ask(world_of(&world, &lab), &lab, "http", &top).0, "404");
    world.pushed(&lab, "compression=zstd", &top);
    // So that the folder has settled, and the index is kept in memory.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    for _ in 0..2 {
        assert_eq!(ask(&world, &lab, "http", &top).0, "200");
    }
    fs::remove_file(lab.dir().join(format!("cache/{}.narinfo", hash(&leaf)))).unwrap();
    let (code, body) = ask(&world, &lab, "http", &top);
    assert!(code == "404" && body.contains("E-CLOSURE-MISSING") && body.contains(hash(&leaf)), "{body}");
    assert_eq!(ask(&world, &lab, "http", "/nix/store/../../../../etc/passwd-and-more-of-it").0, "404");
}

fn world_of<'a>(world: &'a World, lab: &Lab) -> &'a World {
    world.trust(lab, None);
    world
}
