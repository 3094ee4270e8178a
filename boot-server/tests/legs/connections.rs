//! HTTP connections: what a client may do with one, and what it must not get away with.

use crate::http::{Answer, HASH, Lab};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    process::Command,
    time::Duration,
};

/// Larger than what the sockets between two ends take up.
const LARGE: usize = 48 << 20;

fn large() -> Vec<u8> {
    (0..LARGE as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

/// A connection that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn new(lab: &Lab) -> Self {
        let stream = TcpStream::connect(lab.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next answer; `body` is false behind a HEAD.
    fn answer(&mut self, body: bool) -> Answer {
        let mut answer = self.head();
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if body && answer.status != 304 {
            answer.body.resize(length, 0);
            self.0.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    fn head(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "the connection ended in {head:?}");
        }
        Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: vec![] }
    }

    fn rest(mut self) -> Vec<u8> {
        let mut rest = vec![];
        // A connection that is reset has ended too.
        let _ = self.0.read_to_end(&mut rest);
        rest
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// What must be the same whichever way an answer was made.
fn essence(answer: &Answer) -> (u16, Vec<Option<&str>>, &[u8]) {
    let names = ["content-length", "content-range", "content-type", "etag", "accept-ranges", "allow"];
    (answer.status, names.iter().map(|name| answer.header(name)).collect(), &answer.body)
}

#[test]
fn plain_and_odd_requests_get_the_same_answers() {
    let lab = Lab::new(None);
    fs::write(lab.files.path().join("cache/nar/large.nar"), vec![7; 100_000]).unwrap();
    let tag = lab.get("/cache/nar/large.nar").header("etag").unwrap().to_owned();
    let none_match = format!("If-None-Match: {tag}");
    let (if_range, of_old) = (format!("If-Range: {tag}\r\nRange: bytes=9-"), "If-Range: \"old\"\r\nRange: bytes=9-");
    let fields = [
        "X: y",
        &none_match,
        &if_range,
        of_old,
        "Range: bytes=0-0",
        "Range: bytes=-5",
        "Range: bytes=40000-90000",
        "Range: bytes=99999-",
        "Range: bytes=100000-",
        "Range: bytes=5-2",
        "Range: bytes=0-1,3-4",
        "If-None-Match: *",
    ];
    let targets = [
        "/cache/nar/large.nar",
        "/cache/nar/a.nar.zst",
        "/cache/nix-cache-info?x",
        "/cache/other",
        "/cache/nar/link.nar",
        "/cache/nar/%61.nar.zst",
        "/boot/nixos/vm/bzImage",
        "/boot/nixos/vm/none",
        "/boot/ipxe/ipxe.efi",
        "/boot/ipxe/none",
        "/boot/ipxe/boot.ipxe",
        "/health",
        "/",
        "//",
        "/cache/../secret",
    ];
    for target in targets {
        for field in fields {
            for method in ["GET", "HEAD"] {
                // An empty body makes a request odd.
                let (plain, odd) =
                    (lab.ask(method, target, &[field]), lab.ask(method, target, &[field, "Content-Length: 0"]));
                assert_eq!(essence(&plain), essence(&odd), "{method} {target} {field}");
                assert!(plain.header("date").is_some(), "{}", plain.head);
            }
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let lab = Lab::new(None);
    let text = [
        get("/cache/nar/a.nar.zst"),
        get("/cache/nar/absent"),
        "HEAD /cache/nar/a.nar.zst HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /cache/nar/a.nar.zst HTTP/1.1\r\nRange: bytes=2-3\r\n\r\n".to_owned(),
        "POST /health HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(),
        get("/cache/nix-cache-info"),
    ]
    .concat();
    for piece in [1, 7, 64, text.len()] {
        let mut connection = Connection::new(&lab);
        for part in text.as_bytes().chunks(piece) {
            connection.send(std::str::from_utf8(part).unwrap());
        }
        let answers: Vec<Answer> = [true, true, false, true, true, true].map(|body| connection.answer(body)).into();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 404, 200, 206, 405, 200], "in pieces of {piece}");
        assert_eq!((answers[0].text().as_str(), answers[3].text().as_str()), ("0123456789", "23"));
        assert!(answers[5].text().starts_with("StoreDir: /nix/store\n"));
    }
}

#[test]
fn nothing_is_smuggled_in_behind_a_request_of_two_meanings() {
    let lab = Lab::new(None);
    let inner = get("/cache/nar/a.nar.zst");
    let length = inner.len();
    for (head, most) in [
        (format!("GET /health HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"), 1),
        (format!("GET /health HTTP/1.1\r\nContent-Length: {length}\r\nContent-Length: 0\r\n\r\n"), 1),
        (format!("GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"), 1),
        (format!("GET /health HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: {length}\r\n\r\n"), 1),
        (format!("GET /health HTTP/1.1\r\nTransfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n"), 1),
        ("GET /health HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\n".to_owned(), 1),
        ("GET  /health HTTP/1.1\r\n\r\n".to_owned(), 1),
        ("GET /health\0 HTTP/1.1\r\n\r\n".to_owned(), 1),
        ("GET /health HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 1),
        ("GET /health HTTP/1.0\r\n\r\n".to_owned(), 1),
        ("\u{16}\u{3}\u{1}".to_owned(), 1),
    ] {
        let mut connection = Connection::new(&lab);
        connection.send(&format!("{head}{inner}"));
        connection.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        let text = String::from_utf8_lossy(&connection.rest()).into_owned();
        assert!(text.matches("HTTP/1.").count() <= most, "{head:?}: {text}");
        assert!(!text.contains("0123456789"), "{head:?}: {text}");
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let lab = Lab::new(None);
    let mut stream = TcpStream::connect(lab.address).unwrap();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(1 << 20)).as_bytes());
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(lab.get("/health").status, 200);
}

#[test]
fn ten_thousand_requests_pass_over_one_connection() {
    let lab = Lab::new(None);
    let mut connection = Connection::new(&lab);
    let requests = [get(&format!("/cache/{HASH}.narinfo")), get("/cache/nar/a.nar.zst")];
    for number in 0..10_000 {
        connection.send(&requests[number % 2]);
        let answer = connection.answer(true);
        assert_eq!((answer.status, answer.body.len()), (200, [13, 10][number % 2]), "request {number}");
    }
}

#[test]
fn readers_that_stop_reading_hold_up_nobody() {
    let lab = Lab::new(None);
    let content = large();
    fs::write(lab.files.path().join("cache/nar/large.nar"), &content).unwrap();
    let mut slow: Vec<Connection> = (0..100).map(|_| Connection::new(&lab)).collect();
    for connection in &mut slow {
        connection.send(&get("/cache/nar/large.nar"));
    }
    let mut quick: Vec<Connection> = (0..400).map(|_| Connection::new(&lab)).collect();
    for connection in &mut quick {
        connection.send(&get("/cache/nar/a.nar.zst"));
    }
    for connection in &mut quick {
        assert_eq!(connection.answer(true).text(), "0123456789");
    }
    let late = slow.first_mut().unwrap().answer(true);
    assert!(late.body == content, "the slow one gets its file whole");
}

#[test]
fn a_file_that_is_replaced_meanwhile_is_sent_as_it_was() {
    let lab = Lab::new(None);
    let (path, content) = (lab.files.path().join("cache/nar/large.nar"), large());
    fs::write(&path, &content).unwrap();
    let mut connection = Connection::new(&lab);
    connection.send(&get("/cache/nar/large.nar"));
    let head = connection.head();
    fs::write(path.with_extension("new"), "another").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let mut body = vec![0; LARGE];
    connection.0.read_exact(&mut body).unwrap();
    assert!(body == content);
    assert_ne!(lab.get("/cache/nar/large.nar").header("etag"), head.header("etag"));
}

#[test]
fn a_file_that_shrinks_meanwhile_breaks_the_connection() {
    let lab = Lab::new(None);
    let path = lab.files.path().join("cache/nar/large.nar");
    fs::write(&path, large()).unwrap();
    let mut connection = Connection::new(&lab);
    connection.send(&[get("/cache/nar/large.nar"), get("/cache/nar/a.nar.zst")].concat());
    assert_eq!(connection.head().header("content-length"), Some(LARGE.to_string().as_str()));
    fs::File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let rest = connection.rest();
    assert!(rest.len() < LARGE && !rest.ends_with(b"0123456789"), "{} bytes", rest.len());
}

#[test]
fn a_file_with_holes_is_sent_whole() {
    let lab = Lab::new(None);
    let file = fs::File::create(lab.files.path().join("cache/nar/holes.nar")).unwrap();
    file.write_all_at(b"end", 5_000_000).unwrap();
    let answer = lab.get("/cache/nar/holes.nar");
    assert_eq!(answer.body.len(), 5_000_003);
    assert!(answer.body.ends_with(b"\0end"));
}

#[test]
fn connections_end_with_the_leg() {
    let lab = Lab::new(None);
    let mut connection = Connection::new(&lab);
    connection.send(&get("/cache/nar/a.nar.zst"));
    assert_eq!(connection.answer(true).status, 200);
    lab.leg.abort();
    assert_eq!(connection.rest(), b"");
}

#[test]
fn curl_resumes_a_download() {
    let lab = Lab::new(None);
    let content = large();
    fs::write(lab.files.path().join("cache/nar/large.nar"), &content).unwrap();
    let part = lab.files.path().join("part");
    for version in ["--http1.1", "--http1.0"] {
        fs::write(&part, &content[..12_345_678]).unwrap();
        let url = format!("http://{}/cache/nar/large.nar", lab.address);
        let status =
            Command::new("curl").args(["-fsS", version, "-C", "-", "-o"]).arg(&part).arg(&url).status().unwrap();
        assert!(status.success(), "{version}");
        assert!(fs::read(&part).unwrap() == content, "{version}");
    }
}
