//! `boot-server closure import`

use super::world::{World, hash};
use crate::lab::{BINARY, Lab, path};
use serde_json::Value;
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

/// A signed cache of the closure, as a folder.
fn folder(world: &World, compression: &str, top: &str) -> String {
    let url = format!("file://$PWD/own?compression={compression}&secret-key=$PWD/key.sec");
    world.nix(&format!("nix copy --store $PWD/source --to \"{url}\" {top}"));
    path(&world.path("own")).to_owned()
}

fn import(lab: &Lab, from: &str, words: &[&str]) -> Output {
    lab.verb(&[&["closure", "import", "--from", from, "-o", "json"], words].concat())
}

fn imported(lab: &Lab, from: &str, words: &[&str]) -> Value {
    let output = import(lab, from, words);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), lab.log());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn narinfo(lab: &Lab, path: &str) -> String {
    fs::read_to_string(lab.dir().join(format!("cache/{}.narinfo", hash(path)))).unwrap()
}

fn refused(output: &Output, code: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains(code), "{stderr}");
}

#[test]
fn a_folder_is_imported_as_it_is_and_only_once() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    let from = folder(&world, "xz", &top);
    let done = imported(&lab, &from, &[&top]);
    assert_eq!((done["imported"].as_u64(), done["present"].as_u64()), (Some(3), Some(0)), "{done}");
    assert!(narinfo(&lab, &leaf).contains("Compression: xz"));
    world.fetch(&lab, &top);
    let again = imported(&lab, &format!("file://{from}"), &[&top]);
    assert_eq!((again["imported"].as_u64(), again["sent_bytes"].as_u64()), (Some(0), Some(0)), "{again}");
}

#[test]
fn a_cache_on_the_web_is_compressed_anew_and_its_signatures_stay_good() {
    let (source, lab, world) = (Lab::open(), Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    world.pushed(&source, "compression=xz", &top);
    let from = format!("http://127.0.0.1:{}/cache/", source.port("http"));
    let done = imported(&lab, &from, &["--recompress", "zstd:3", "--trusted-key", &world.key, &top]);
    assert_eq!(done["imported"], 3);
    let text = narinfo(&lab, &leaf);
    let sig = |text: &str| text.lines().find(|line| line.starts_with("Sig:")).unwrap().to_owned();
    assert!(text.contains("Compression: zstd") && text.contains(".nar.zst"), "{text}");
    assert_eq!(sig(&text), sig(&narinfo(&source, &leaf)));
    world.fetch(&lab, &top);
    assert!(lab.says(&["closure", "verify"]).contains("3 paths checked, 0 wrong"));
}

/// Serves a folder; whatever is asked for is refused once with this status.
fn reluctant(folder: String, status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut asked = HashSet::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            BufReader::new(&stream).read_line(&mut head).unwrap();
            let path = head.split_whitespace().nth(1).unwrap().to_owned();
            let (status, body) = match asked.insert(path.clone()) {
                true => (status, Vec::new()),
                false => ("200 OK", fs::read(format!("{folder}{path}")).unwrap()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    url
}

#[test]
fn a_source_that_refuses_for_a_moment_is_asked_again() {
    let (lab, world) = (Lab::open(), World::new());
    let top = world.leaf("leaf", 300);
    let from = folder(&world, "none", &top);
    for status in ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"] {
        let _ = fs::remove_file(lab.dir().join(format!("cache/{}.narinfo", hash(&top))));
        assert_eq!(imported(&lab, &reluctant(from.clone(), status), &[&top])["imported"], 1, "{status}");
    }
}

#[test]
fn what_nobody_trusted_has_signed_is_refused_before_anything_is_sent() {
    let (lab, world) = (Lab::open(), World::new());
    let [_, _, top] = world.closure();
    let from = folder(&world, "zstd", &top);
    // Paths whose name follows from their content need nobody's signature; most paths of a system are not such.
    for entry in fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|ending| ending == "narinfo") {
            let text = fs::read_to_string(&entry).unwrap();
            let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("CA:")).collect();
            fs::write(&entry, without.join("\n") + "\n").unwrap();
        }
    }
    let other = "test-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    refused(&import(&lab, &from, &["--trusted-key", other, &top]), "E-CLOSURE-SIGNATURE");
    assert_eq!(fs::read_dir(lab.dir().join("cache/nar")).unwrap().count(), 0);
    imported(&lab, &from, &["--trusted-key", other, "--trusted-key", &world.key, &top]);
}

#[test]
fn a_damaged_or_incomplete_source_is_named_and_nothing_of_it_appears() {
    for recompress in [&[][..], &["--recompress", "zstd"]] {
        let (lab, world) = (Lab::open(), World::new());
        let [leaf, middle, top] = world.closure();
        let from = folder(&world, "xz", &top);
        let text = fs::read_to_string(format!("{from}/{}.narinfo", hash(&leaf))).unwrap();
        let nar = format!("{from}/{}", text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap());
        let whole = fs::read(&nar).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        for bytes in [&damaged, &whole[..whole.len() - 9].to_vec()] {
            fs::write(&nar, bytes).unwrap();
            refused(&import(&lab, &from, &[recompress, &[&top]].concat()), "E-CLOSURE-CORRUPT");
        }
        fs::remove_file(&nar).unwrap();
        refused(&import(&lab, &from, &[recompress, &[&top]].concat()), "E-CLOSURE-MISSING");
        fs::write(&nar, &whole).unwrap();
        let kept = fs::read(format!("{from}/{}.narinfo", hash(&middle))).unwrap();
        fs::remove_file(format!("{from}/{}.narinfo", hash(&middle))).unwrap();
        refused(&import(&lab, &from, &[recompress, &[&top]].concat()), "E-CLOSURE-MISSING");
        assert_eq!(lab.says(&["closure", "list", "-o", "json"]).matches("nar_bytes").count(), 0);
        fs::write(format!("{from}/{}.narinfo", hash(&middle)), kept).unwrap();
        imported(&lab, &from, &[recompress, &[&top]].concat());
        world.fetch(&lab, &top);
    }
}

#[test]
fn an_import_that_is_killed_leaves_a_whole_cache_and_the_next_goes_on() {
    let (lab, world) = (Lab::open(), World::new());
    let leaves: Vec<String> = (0..10).map(|number| world.leaf(&format!("leaf-{number}"), 200_000)).collect();
    let top = world.refer("top", &leaves.iter().map(String::as_str).collect::<Vec<_>>());
    let from = folder(&world, "xz", &top);
    for round in 1..=12 {
        let mut child = Command::new(BINARY)
            .args(["closure", "import", "--from", &from, "--recompress", "zstd:19", &top, "--dir"])
            .arg(lab.dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(25 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        lab.says(&["closure", "verify"]);
    }
    let done = imported(&lab, &from, &["--recompress", "zstd:19", &top]);
    assert_eq!(done["imported"].as_u64().unwrap() + done["present"].as_u64().unwrap(), 11, "{done}");
    world.fetch(&lab, &top);
}

#[test]
fn what_is_imported_again_counts_as_new() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, middle, top] = world.closure();
    let from = folder(&world, "zstd", &top);
    imported(&lab, &from, &[&top]);
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
    for path in [&leaf, &middle, &top] {
        let file = lab.dir().join(format!("cache/{}.narinfo", hash(path)));
        File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    let would = || lab.says(&["closure", "gc", "--dry-run"]);
    assert!(would().contains(&top));
    imported(&lab, &from, &[&top]);
    assert!(would().starts_with("0 paths and 0 files would be removed"), "{}", would());
}
