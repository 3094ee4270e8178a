//! One file on its way: broken off and gone on with, redirected, encoded, and of another length than it says.

use crate::{
    server::{Answer, Ask, Server},
    world::{World, edge_cases},
};
use qemu_tests::drawn_closure::{Contents, Draw, Made, Node};
use std::{
    io::Write,
    process::{Command, Stdio},
};

const SIZE: u64 = 3 << 20;

/// A closure of one path with one file of 3 MiB, not compressed.
fn large() -> World {
    let root = Node::File { executable: false, contents: Contents::Drawn { size: SIZE, seed: 5 } };
    World::new(&[Made { base: Draw(4).base("large"), references: vec![], root }], "none")
}

fn is_nar(ask: &Ask) -> bool {
    ask.path.starts_with("nar/")
}

fn nar_asks(server: &Server) -> Vec<Ask> {
    server.take_asks().into_iter().filter(is_nar).collect()
}

/// A head with these header lines, and this body.
fn raw(status: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\n{headers}\r\n");
    Answer::Raw([head.as_bytes(), body].concat())
}

fn nar_of(world: &World) -> Vec<u8> {
    let entry = std::fs::read_dir(world.path("cache/nar")).unwrap().next().unwrap().unwrap();
    std::fs::read(entry.path()).unwrap()
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke_also_more_often_than_attempts() {
    let world = large();
    let server =
        Server::scripted(&world.cache(), |ask| if is_nar(ask) { Answer::Break(500_000) } else { Answer::File });
    world.install(&[&server.url]);
    let asks = nar_asks(&server);
    assert!(asks.len() > 6, "{}", asks.len());
    for (number, ask) in asks.iter().enumerate().skip(1) {
        // The last bytes before a break may be lost with it, so the place is known only up to there.
        let begin: u64 = ask.header("range").unwrap()[6..].trim_end_matches('-').parse().unwrap();
        assert!(begin > 0 && begin <= 500_000 * number as u64, "{begin}");
        assert_eq!(ask.header("if-range"), Some("\"the-file\""));
    }
    world.verify();
}

#[test]
fn a_server_that_gives_the_whole_file_again_is_read_from_where_it_broke() {
    let world = large();
    // Not asked to say which file it is, and asked, but meaning another one.
    for etag in ["", "etag: W/\"x\"\r\n", "etag: \"x\"\r\n"] {
        let nar = nar_of(&world);
        let server = Server::scripted(&world.cache(), move |ask| {
            let length = if ask.before == 0 { nar.len() / 2 } else { nar.len() };
            let headers = format!("{etag}content-length: {}\r\n", nar.len());
            if is_nar(ask) { raw("200 x", &headers, &nar[..length]) } else { Answer::File }
        });
        world.install(&[&server.url]);
        let asks = nar_asks(&server);
        assert_eq!(asks.len(), 2);
        assert!(asks[1].header("range").is_some());
        assert_eq!(asks[1].header("if-range"), Some("\"x\"").filter(|_| etag.contains(" \"")));
        world.verify();
        world.nix("chmod -R u+w root; rm -r root");
    }
}

#[test]
fn another_range_than_was_asked_for_is_not_taken() {
    let world = large();
    let nar = nar_of(&world);
    for range in ["bytes 7-100/3146000", "bytes 0-1/2", "nonsense", "bytes 9-8/10"] {
        let nar = nar.clone();
        let server = Server::scripted(&world.cache(), move |ask| match (is_nar(ask), ask.header("range")) {
            (true, Some(_)) => raw("206 x", &format!("content-range: {range}\r\n"), b"some bytes"),
            (true, None) if ask.before == 0 => {
                raw("200 x", &format!("content-length: {}\r\n", nar.len()), &nar[..nar.len() / 2])
            }
            _ => Answer::File,
        });
        world.install(&[&server.url]);
        world.verify();
        world.nix("chmod -R u+w root; rm -r root");
    }
}

#[test]
fn parts_of_different_files_are_found_by_the_hash_and_fetched_from_the_beginning() {
    let world = large();
    let nar = nar_of(&world);
    let server = Server::scripted(&world.cache(), move |ask| match (is_nar(ask), ask.before) {
        (true, 0) => Answer::Break(1 << 20),
        // The rest is of a file that is as long, but another one.
        (true, 1) => {
            let begin: usize = ask.header("range").unwrap()[6..].trim_end_matches('-').parse().unwrap();
            let (end, size) = (nar.len() - 1, nar.len());
            let headers = format!("content-range: bytes {begin}-{end}/{size}\r\n");
            raw("206 x", &headers, &vec![0; size - begin])
        }
        _ => Answer::File,
    });
    world.install(&[&server.url]);
    let asks = nar_asks(&server);
    assert_eq!((asks.len(), asks[2].header("range")), (3, None));
    world.verify();
}

#[test]
fn another_cache_takes_over_in_the_middle_of_a_nar_with_another_compression() {
    let world = World::new(&edge_cases(), "xz");
    let to = "file://$PWD/other?compression=zstd&secret-key=$PWD/key.sec";
    world.nix(&format!("nix copy --store $PWD/source --to \"{to}\" {}", world.toplevel));
    let first = Server::scripted(&world.cache(), |ask| match (is_nar(ask), ask.before) {
        (true, 0) => Answer::Half,
        (true, _) => Answer::Status(503),
        _ => Answer::File,
    });
    let second = Server::honest(&world.path("other"));
    world.install(&[&first.url, &second.url]);
    assert!(nar_asks(&second).iter().all(|ask| ask.path.ends_with(".zst") && ask.header("range").is_none()));
    world.verify();
}

#[test]
fn a_nar_of_another_length_than_announced_is_refused_before_it_is_read() {
    let world = large();
    for length in [SIZE / 2, SIZE * 2, 1 << 60] {
        let server = Server::scripted(&world.cache(), move |ask| match is_nar(ask) {
            // No byte of the body ever comes: who reads it stalls.
            true => raw("200 x", &format!("content-length: {length}\r\n"), b""),
            false => Answer::File,
        });
        let cause = world.refused(&[&server.url], &world.key, "E-CLOSURE-CORRUPT");
        assert!(cause.contains(&length.to_string()), "{cause}");
    }
}

#[test]
fn a_body_that_is_shorter_or_longer_than_its_head_says_is_no_whole_file() {
    let world = large();
    let nar = nar_of(&world);
    // Chunked: nothing says how long it will be.
    let chunked = |bytes: &[u8]| {
        let head = format!("{:x}\r\n", bytes.len());
        raw("200 x", "transfer-encoding: chunked\r\n", &[head.as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat())
    };
    let (short, long) = (nar[..nar.len() - 8].to_vec(), [nar.as_slice(), &[0; 8]].concat());
    for (bytes, code) in [(short, "E-CACHE-UNREACHABLE"), (long, "E-CLOSURE-CORRUPT")] {
        let server = Server::scripted(&world.cache(), move |ask| match (is_nar(ask), ask.header("range")) {
            (true, None) => chunked(&bytes),
            (true, Some(_)) => Answer::Status(416),
            _ => Answer::File,
        });
        world.refused(&[&server.url], &world.key, code);
    }
}

#[test]
fn redirects_are_followed_and_credentials_stay_with_their_host() {
    let world = World::new(&edge_cases(), "zstd");
    let store = Server::honest(&world.cache());
    let other = store.url.clone();
    let front = Server::scripted(&world.cache(), move |ask| match ask.path.rsplit_once("/moved/") {
        _ if ask.path.starts_with("moved/") => Answer::File,
        _ if ask.path.ends_with(".narinfo") => Answer::Redirect(307, format!("{other}/{}", ask.path)),
        _ if is_nar(ask) => Answer::Redirect(302, format!("../moved/{}", ask.path)),
        _ => Answer::Redirect(301, format!("/moved/{}", ask.path)),
    });
    std::os::unix::fs::symlink(world.cache(), world.cache().join("moved")).unwrap();
    world.install(&[&front.url.replace("http://", "http://ann:secret@")]);
    world.verify();
    assert!(front.take_asks().iter().all(|ask| ask.header("authorization") == Some("Basic YW5uOnNlY3JldA==")));
    let asks = store.take_asks();
    assert!(!asks.is_empty() && asks.iter().all(|ask| ask.header("authorization").is_none()));
}

#[test]
fn redirects_without_end_to_files_or_to_nowhere_are_refused() {
    let world = World::new(&edge_cases(), "zstd");
    let file = format!("file://{}/nix-cache-info", world.cache().display());
    for location in ["/nix-cache-info".to_owned(), file, "http://".to_owned(), String::new()] {
        let server = Server::scripted(&world.cache(), move |_| Answer::Redirect(302, location.clone()));
        let output = world.agent(&[&server.url], &world.key).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains("E-CACHE-UNREACHABLE") && text.contains("redirect"),
            "{text}"
        );
        assert!(server.take_log().len() <= 6);
    }
}

fn packed(program: &str, text: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn an_encoded_narinfo_is_decoded_and_an_encoded_nar_is_refused() {
    let world = World::new(&edge_cases(), "zstd");
    for (encoding, program) in [("gzip", "gzip"), ("br", "brotli"), ("zstd", "zstd"), ("xz", "xz")] {
        let cache = world.cache();
        let server = Server::scripted(&world.cache(), move |ask| {
            let bytes = std::fs::read(cache.join(&ask.path)).unwrap();
            assert_eq!(ask.header("accept-encoding"), Some("identity"));
            let packed = if is_nar(ask) { bytes } else { packed(program, &bytes) };
            let headers = format!("content-encoding: {encoding}\r\ncontent-length: {}\r\n", packed.len());
            raw("200 x", &headers, &packed)
        });
        let cause = world.refused(&[&server.url], &world.key, "E-CLOSURE-CORRUPT");
        assert!(cause.contains("/nar/") && cause.contains("Content-Encoding"), "{cause}");
    }
    let bomb = packed("gzip", &vec![b'a'; 200 << 20]);
    let server = Server::scripted(&world.cache(), move |ask| match ask.path.ends_with(".narinfo") {
        true => raw("200 x", "content-encoding: gzip\r\n", &bomb),
        false => Answer::File,
    });
    let cause = world.refused(&[&server.url], &world.key, "E-CLOSURE-CORRUPT");
    assert!(cause.contains("longer than"), "{cause}");
}

#[test]
fn a_trickle_is_given_up_by_the_least_rate() {
    let world = large();
    let server = Server::scripted(&world.cache(), |ask| if is_nar(ask) { Answer::Trickle } else { Answer::File });
    let output = world.agent(&[&server.url], &world.key).args(["--min-rate", "1000000"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("E-CACHE-UNREACHABLE") && text.contains("too slow"), "{text}");
}
