//! Which cache is asked, who is let in, whose keys count, and what a cache may say in one go.

use crate::{
    server::{Answer, Ask, Server},
    world::{Forge, World, edge_cases, peak_rss, registered},
};
use std::{fs, process::Command};

fn info(lines: &str) -> Answer {
    Answer::Bytes(format!("StoreDir: /nix/store\n{lines}").into_bytes())
}

/// A cache whose nix-cache-info has these lines more.
fn with_info(world: &World, lines: &'static str) -> Server {
    Server::start(&world.cache(), move |path, _| match path {
        "nix-cache-info" => info(lines),
        _ => Answer::File,
    })
}

fn remove_root(world: &World) {
    world.nix("chmod -R u+w root; rm -r root");
}

#[test]
fn the_cache_with_the_lowest_priority_is_asked_and_equal_ones_in_their_order() {
    let world = World::new(&edge_cases(), "zstd");
    let servers = [
        with_info(&world, "Priority: 40\nWantMassQuery: 1\n"),
        with_info(&world, "Priority: 30\n"),
        with_info(&world, "Priority: 30\n"),
        with_info(&world, ""),
    ];
    let [first, second, third, usual] = servers.each_ref().map(|server| server.url.as_str());
    let own = |url: &str, priority: u32| format!("{url}/?priority={priority}&compression=zstd");
    for (urls, asked) in [
        ([first.to_owned(), second.into(), third.into(), usual.into()], second),
        ([usual.to_owned(), third.into(), second.into(), first.into()], third),
        ([usual.to_owned(), own(first, 1), second.into(), third.into()], first),
        ([own(usual, 0), own(first, 1), second.into(), third.into()], usual),
        ([usual.to_owned(), own(first, 51), own(second, 51), own(third, 51)], usual),
    ] {
        world.install(&urls.each_ref().map(String::as_str));
        for server in &servers {
            assert_eq!(server.take_log().len() > 1, server.url == asked, "{urls:?}");
        }
        remove_root(&world);
    }
}

#[test]
fn a_folder_is_a_cache_as_good_as_a_server_and_takes_over_from_one() {
    let world = World::new(&edge_cases(), "zstd");
    let folder = format!("file://{}", world.cache().display());
    let broken = Server::start(&world.cache(), |path, _| match path.starts_with("nar/") {
        true => Answer::Status(404),
        false => Answer::File,
    });
    for urls in [vec![folder.as_str()], vec![&broken.url, &folder]] {
        world.install(&urls);
        world.verify();
        remove_root(&world);
    }
    let narinfo = world.cache().join(format!("{}.narinfo", &world.toplevel["/nix/store/".len()..][..32]));
    let text = fs::read_to_string(&narinfo).unwrap();
    let nar = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    let nar_path = world.cache().join(nar);
    fs::write(&nar_path, "short").unwrap();
    world.refused(&[&folder], &world.key, "E-CLOSURE-CORRUPT");
    fs::remove_file(&nar_path).unwrap();
    assert!(Command::new("mkfifo").arg(&nar_path).status().unwrap().success());
    world.refused(&[&folder], &world.key, "E-CACHE-UNREACHABLE");
    fs::remove_file(&nar_path).unwrap();
    world.refused(&[&folder], &world.key, "E-CLOSURE-MISSING");
    fs::write(&narinfo, text.replace(nar, "../../secret")).unwrap();
    world.refused(&[&folder], &world.key, "E-CLOSURE-CORRUPT");
}

#[test]
fn only_a_caches_own_keys_count_for_its_paths() {
    let world = World::new(&edge_cases(), "zstd");
    let (server, other) = (Server::honest(&world.cache()), Forge::new().key());
    let with_key = |key: &str| {
        let encoded = key.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("{}?trusted-key={encoded}", server.url)
    };
    world.refused(&[&with_key(&other)], &world.key, "E-CLOSURE-SIGNATURE");
    world.install(&[&format!("{}&trusted-key={}", with_key(&other), world.key)]);
    remove_root(&world);
    // No key for the others is needed then.
    let mut agent = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
    agent.args(["closure", "install", "--from", &with_key(&world.key), "--root"]);
    assert!(agent.arg(world.path("root")).arg(&world.toplevel).output().unwrap().status.success());
    let mut agent = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
    agent.args(["closure", "install", "--from", &server.url, "--root"]);
    let output = agent.arg(world.path("other")).arg(&world.toplevel).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("E-CONFIG"));
}

/// A cache that only lets in whoever knows the password.
fn guarded(world: &World) -> Server {
    Server::scripted(&world.cache(), |ask: &Ask| match ask.header("authorization") {
        Some("Basic YW5uOnAgOi9zZWNyZXQ=") => Answer::File,
        _ => Answer::Status(401),
    })
}

#[test]
fn a_password_from_the_url_or_a_netrc_file_is_sent_with_every_request_and_never_shown() {
    let world = World::new(&edge_cases(), "zstd");
    let server = guarded(&world);
    let url = server.url.replace("http://", "http://ann:p%20:%2Fsecret@");
    world.install(&[&url]);
    remove_root(&world);
    fs::write(
        world.path("netrc"),
        "machine elsewhere login x password y\nmachine 127.0.0.1\n login ann\n password \"p :/secret\"\n",
    )
    .unwrap();
    let netrc = world.path("netrc").display().to_string();
    let output = world.agent(&[&server.url], &world.key).args(["--netrc-file", &netrc]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Nobody had to be asked for it.
    assert!(server.take_asks().iter().all(|ask| ask.header("authorization").is_some()));

    for urls in [server.url.clone(), url.replace("secret", "secret2")] {
        let output = world.agent(&[&urls], &world.key).env("RUST_LOG", "trace").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(text.contains("401") && text.contains("--netrc-file"), "{text}");
        assert!(!text.contains("secret") && !text.contains("YW5u"), "{text}");
    }
    fs::write(&netrc, "machine 127.0.0.1\nlogin ann\npasswort secret\n").unwrap();
    let output = world.agent(&[&server.url], &world.key).args(["--netrc-file", &netrc]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // curl and Nix pass over such a word, too; here it is told, and never quoted.
    assert!(text.contains("line 3") && text.contains("401") && !text.contains("secret"), "{text}");
}

#[test]
fn an_address_may_be_of_ipv6_or_a_name() {
    let world = World::new(&edge_cases(), "zstd");
    let server = Server::at("[::1]:0", &world.cache(), |_| Answer::File);
    world.install(&[&server.url]);
    remove_root(&world);
    let server = Server::honest(&world.cache());
    world.install(&[&server.url.replace("127.0.0.1", "localhost")]);
}

/// All narinfos of the cache, the toplevel's first.
fn bundle(world: &World) -> String {
    let mut texts: Vec<String> = fs::read_dir(world.cache())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "narinfo"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    texts.sort_by_key(|text| !text.contains(&format!("StorePath: {}\n", world.toplevel)));
    texts.join("\n")
}

/// A cache that offers the narinfos of a closure in one go.
fn indexed(world: &World, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    let hash = world.toplevel["/nix/store/".len()..][..32].to_owned();
    Server::start(&world.cache(), move |path, _| match path {
        "nix-cache-info" => info("ClosureIndex: /v1/closure\n"),
        path if path == format!("v1/closure/{hash}") => answer(),
        _ => Answer::File,
    })
}

fn narinfos(server: &Server) -> usize {
    server.take_log().iter().filter(|path| path.ends_with(".narinfo")).count()
}

#[test]
fn a_closure_index_spares_the_requests_for_narinfos() {
    let world = World::new(&edge_cases(), "zstd");
    let text = bundle(&world);
    let server = indexed(&world, move || Answer::Bytes(text.clone().into_bytes()));
    world.install(&[&server.url]);
    assert_eq!(narinfos(&server), 0);
    world.verify();
}

#[test]
fn whatever_is_odd_in_a_closure_index_only_costs_its_advantage() {
    let world = World::new(&edge_cases(), "zstd");
    let text = bundle(&world);
    let first = text.find("\n\n").unwrap() + 2;
    let repeated = format!("HTTP/1.1 200 x\r\n\r\n{}", text[..first].repeat(1000));
    let answers: Vec<(Box<dyn Fn() -> Answer + Send + Sync>, usize)> = vec![
        (Box::new(|| Answer::Status(404)), 6),
        (Box::new(|| Answer::Status(500)), 6),
        (Box::new(|| Answer::Silence), 6),
        (Box::new(|| Answer::Bytes(b"\xff\n\n".to_vec())), 6),
        (Box::new(|| Answer::Endless(vec![])), 6),
        (Box::new(move || Answer::Raw(repeated.clone().into_bytes())), 5),
        (Box::new(|| Answer::Endless(b"StorePath: ".to_vec())), 6),
        (Box::new(|| Answer::Redirect(302, "file:///etc/passwd".into())), 6),
        (
            Box::new({
                let text = text[..first].to_owned();
                move || Answer::Bytes(text.clone().into_bytes())
            }),
            5,
        ),
        (
            Box::new({
                let text = text.replace("NarSize: ", "NarSize: 1");
                move || Answer::Bytes(text.clone().into_bytes())
            }),
            6,
        ),
        (
            Box::new({
                let text = text.into_bytes();
                let head = format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n", text.len());
                move || Answer::Raw([head.as_bytes(), &text[..first + 10]].concat())
            }),
            5,
        ),
    ];
    for (answer, asked) in answers {
        let server = indexed(&world, answer);
        world.install(&[&server.url]);
        assert_eq!(narinfos(&server), asked);
        world.verify();
        remove_root(&world);
    }
}

#[test]
fn a_closure_index_of_another_origin_is_not_asked() {
    let world = World::new(&edge_cases(), "zstd");
    let other = Server::honest(&world.cache());
    let url = other.url.clone();
    let server = Server::start(&world.cache(), move |path, _| match path {
        "nix-cache-info" => info(&format!("ClosureIndex: {url}/v1/closure\n")),
        _ => Answer::File,
    });
    world.install(&[&server.url]);
    assert_eq!((narinfos(&server), other.take_log().len()), (6, 0));
}

#[test]
fn texts_without_end_are_cut_off_at_a_bound_of_memory() {
    let world = World::new(&edge_cases(), "zstd");
    let head = b"StorePath: /nix/store/x\nSig: ".to_vec();
    for endless in ["nix-cache-info", ".narinfo", "v1/closure/"] {
        let head = head.clone();
        let server = Server::start(&world.cache(), move |path, _| match path {
            path if path.contains(endless) => Answer::Endless(head.clone()),
            "nix-cache-info" => info("ClosureIndex: /v1/closure\n"),
            // Nothing else, so that it fails, and was not fetched.
            _ => Answer::Status(404),
        });
        let (installed, peak) = peak_rss(&mut world.agent(&[&server.url], &world.key));
        assert!(!installed && peak < 64 << 10, "{endless}: {peak} KiB");
    }
    assert!(registered(&world.path("root")).is_empty());
}

#[test]
fn a_large_window_is_granted_to_one_nar_alone_unless_a_bound_is_given_whose_error_says_what_would_do() {
    let world = World::new(&edge_cases()[..1], "xz");
    // As xz -9 makes it, whatever the size.
    world.nix(
        "cd cache; old=$(ls nar/*); xz -dc $old | xz -9 > new.xz; mv new.xz $old
         sed -i -e '/^FileHash/d' -e '/^FileSize/d' *.narinfo",
    );
    let server = Server::honest(&world.cache());
    let output = world.agent(&[&server.url], &world.key).args(["--memory", "32"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let needed = text.split("--memory ").nth(1).unwrap_or_else(|| panic!("{text}")).split_whitespace().next().unwrap();
    let output = world.agent(&[&server.url], &world.key).args(["--memory", needed]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.verify();
    let output = world.agent_into("elsewhere", &[&server.url], &world.key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
