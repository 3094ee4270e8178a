//! The way to a cache: TLS, HTTP/2, and proxies.

use crate::{
    proxy::Proxy,
    server::Server,
    tls::TlsServer,
    world::{World, edge_cases},
};
use qemu_tests::certificates::Ca;
use qemu_tests::drawn_closure::{Contents, Draw, Made, Node};
use std::process::Command;

const NO_CUT: usize = usize::MAX;
const PROTOCOLS: &[&str] = &["h2", "http/1.1"];

/// A closure of many large paths, not compressed.
fn many_large() -> World {
    let mut draw = Draw(8);
    let mut closure: Vec<Made> = Vec::new();
    for seed in 0..24 {
        let root = Node::File { executable: false, contents: Contents::Drawn { size: 2 << 20, seed } };
        let references = closure.iter().map(|made| made.base.clone()).collect();
        closure.push(Made { base: draw.base("large"), references, root });
    }
    World::new(&closure, "none")
}

/// The agent with this CA.
fn agent(world: &World, url: &str, ca: &Ca) -> Command {
    std::fs::write(world.path("ca.pem"), &ca.pem).unwrap();
    let mut agent = world.agent(&[url], &world.key);
    agent.arg("--ca").arg(world.path("ca.pem"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        agent.env_remove(name);
    }
    agent
}

fn succeeds(agent: &mut Command) {
    let output = agent.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fails(agent: &mut Command) -> String {
    let output = agent.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn http_2_and_http_1_1_are_spoken_over_tls_and_many_streams_do_not_hold_each_other_up() {
    let (world, ca) = (many_large(), Ca::new("a"));
    for (protocols, version) in [(PROTOCOLS, "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")] {
        let server = TlsServer::start(&world.cache(), &ca, protocols, NO_CUT);
        succeeds(&mut agent(&world, &server.url, &ca));
        let log = server.take_log();
        assert!(log.len() == 49 && log.iter().all(|line| line.starts_with(version)), "{log:?}");
        world.verify();
        world.nix("chmod -R u+w root; rm -r root");
    }
}

#[test]
fn connections_are_kept_for_the_next_request() {
    let world = many_large();
    let server = Server::honest(&world.cache());
    world.install(&[&server.url]);
    // At most 32 narinfos, and then 16 NARs, are under way at the same time.
    let (requests, connections) = (server.take_log().len(), server.connections());
    assert!(requests == 49 && connections <= 32, "{connections}");
}

#[test]
fn a_stream_that_is_reset_goes_on_where_it_was() {
    let (world, ca) = (many_large(), Ca::new("a"));
    for protocols in [PROTOCOLS, &["http/1.1"]] {
        let server = TlsServer::start(&world.cache(), &ca, protocols, 900_000);
        succeeds(&mut agent(&world, &server.url, &ca));
        assert!(server.take_log().len() > 24 * 3);
        world.verify();
        world.nix("chmod -R u+w root; rm -r root");
    }
}

#[test]
fn a_certificate_of_an_unknown_ca_is_refused_with_a_way_out() {
    let (world, ca) = (World::new(&edge_cases(), "zstd"), Ca::new("a"));
    let server = TlsServer::start(&world.cache(), &ca, PROTOCOLS, NO_CUT);
    let text = fails(&mut agent(&world, &server.url, &Ca::new("b")));
    assert!(text.contains("\nE-TLS") && text.contains("--ca") && text.contains("http://"), "{text}");
    // The CAs of the system.
    let text = fails(&mut world.agent(&[&server.url], &world.key));
    assert!(text.contains("\nE-TLS"), "{text}");
    // Another cache takes over.
    let second = Server::honest(&world.cache());
    succeeds(agent(&world, &server.url, &Ca::new("b")).args(["--from", &second.url]));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let (world, ca) = (World::new(&edge_cases()[..1], "zstd"), Ca::new("a"));
    // The kernel takes the connections, and nobody the requests.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let text = fails(&mut agent(&world, &url, &ca));
    assert!(text.contains("E-CACHE-UNREACHABLE") && text.contains("no answer in time"), "{text}");
}

#[test]
fn http_goes_through_a_proxy_as_a_whole_url_and_https_through_a_tunnel() {
    let (world, ca) = (World::new(&edge_cases(), "zstd"), Ca::new("a"));
    let (plain, secure) = (Server::honest(&world.cache()), TlsServer::start(&world.cache(), &ca, PROTOCOLS, NO_CUT));
    // ann:p@ss
    let proxy = Proxy::start(Some("Basic YW5uOnBAc3M="));
    let url = format!("http://ann:p%40ss@{}", proxy.address);
    for (server, begin) in [(&plain.url, format!("GET {}/", plain.url)), (&secure.url, "CONNECT 127.0.0.1:".into())] {
        succeeds(agent(&world, server, &ca).args(["--proxy", &url]));
        let lines = proxy.take_lines();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with(&begin)), "{lines:?}");
        world.verify();
        world.nix("chmod -R u+w root; rm -r root");
    }
    assert!(secure.take_log().iter().all(|line| line.starts_with("HTTP/2")));
    for server in [&plain.url, &secure.url] {
        let text = fails(agent(&world, server, &ca).args(["--proxy", &url.replace("p%40ss", "secret")]));
        assert!(text.contains("E-CACHE-UNREACHABLE") && text.contains("the proxy's user name"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn the_environment_names_proxies_and_exceptions_from_them() {
    let (world, ca) = (World::new(&edge_cases(), "zstd"), Ca::new("a"));
    let (plain, proxy) = (Server::honest(&world.cache()), Proxy::start(None));
    let nobody = "http://127.0.0.1:9";
    let cases: [(&[(&str, &str)], bool); 5] = [
        (&[("http_proxy", &proxy.address)], true),
        (&[("all_proxy", &proxy.address), ("https_proxy", nobody)], true),
        (&[("HTTP_PROXY", nobody)], false),
        (&[("http_proxy", nobody), ("no_proxy", "127.0.0.1")], false),
        (&[("ALL_PROXY", nobody), ("NO_PROXY", "127.0.0.0/8")], false),
    ];
    for (variables, proxied) in cases {
        succeeds(agent(&world, &plain.url, &ca).envs(variables.iter().copied()));
        assert_eq!(!proxy.take_lines().is_empty(), proxied, "{variables:?}");
        world.nix("chmod -R u+w root; rm -r root");
    }
    let text = fails(agent(&world, &plain.url, &ca).args(["--proxy", "socks5://127.0.0.1:9"]));
    assert!(text.contains("E-CONFIG"), "{text}");
}
