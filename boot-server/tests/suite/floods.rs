//! What a stranger makes of HTTP itself, once TLS stands: frames and heads without end.

use super::lab::Lab;
use hyper::StatusCode;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Why a connection ends: its peer does too much.
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];
/// `GET /health`, in words of HPACK's table and two literals.
const GET_HEALTH: &[u8] = b"\x82\x87\x04\x07/health\x01\x09localhost";
/// Below every time after which the server ends a connection that does nothing.
const PATIENCE: Duration = Duration::from_secs(15);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn begun(lab: &Lab) -> TlsStream<TcpStream> {
    let mut stream = lab.connection("h2", None).await;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// How a connection ended.
#[derive(Debug)]
struct Ended {
    /// The highest stream that the server has looked at, and why it ends; none where it just cut the connection.
    told: Option<(u32, [u8; 4])>,
    answers: usize,
}

/// Reads until the server ends the connection.
async fn ended(mut stream: TlsStream<TcpStream>) -> Ended {
    let mut all = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    assert!(end.is_ok(), "the server does not end it");
    let (mut told, mut answers) = (None, 0);
    let mut rest = all.as_slice();
    while let [a, b, c, kind, _, _, _, _, _, tail @ ..] = rest {
        let (payload, next) = tail.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        match *kind {
            GOAWAY => {
                let number = |at: usize| <[u8; 4]>::try_from(&payload[at..at + 4]).unwrap();
                told = Some((u32::from_be_bytes(number(0)), number(4)));
            }
            HEADERS => answers += 1,
            _ => {}
        }
        rest = next;
    }
    Ended { told, answers }
}

async fn is_answered(lab: &Lab) {
    let asked = tokio::time::timeout(PATIENCE, lab.nobody().get("/health")).await;
    assert_eq!(asked.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_in_a_row_end_their_connection_and_fill_no_log() {
    const CONNECTIONS: usize = 50;
    const STREAMS: u32 = 2000;
    let lab = Lab::strict();
    let cancel = [0, 0, 0, 8];
    let resets: Vec<u8> = (0..STREAMS)
        .flat_map(|n| {
            let id = 2 * n + 1;
            [frame(HEADERS, END_STREAM | END_HEADERS, id, GET_HEALTH), frame(RST_STREAM, 0, id, &cancel)].concat()
        })
        .collect();
    is_answered(&lab).await;
    let before = lab.log().lines().count();
    for _ in 0..CONNECTIONS {
        let mut stream = begun(&lab).await;
        // It is cut off while this is being sent.
        let _ = stream.write_all(&resets).await;
        is_answered(&lab).await;
        let ended = ended(stream).await;
        if let Some((last, why)) = ended.told {
            assert!(last < STREAMS && why == ENHANCE_YOUR_CALM, "{ended:?}");
        }
        assert!(ended.answers < 100, "{ended:?}");
    }
    let log = lab.log();
    let grown = log.lines().count() - before;
    assert!(grown < CONNECTIONS / 10, "{grown} lines of {CONNECTIONS} connections: {log}");
}

#[tokio::test]
async fn acknowledgements_of_pings_that_nobody_sent_fill_no_log() {
    const ACKNOWLEDGEMENTS: usize = 200;
    let lab = Lab::strict();
    let before = lab.log().lines().count();
    let mut stream = begun(&lab).await;
    stream.write_all(&frame(PING, 1, 0, b"nobody's").repeat(ACKNOWLEDGEMENTS)).await.unwrap();
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET_HEALTH)).await.unwrap();
    stream.write_all(&frame(GOAWAY, 0, 0, &[0; 8])).await.unwrap();
    assert_eq!(ended(stream).await.answers, 1);
    let grown = lab.log().lines().count() - before;
    assert!(grown < ACKNOWLEDGEMENTS / 10, "{grown} lines: {}", lab.log());
}

#[tokio::test]
async fn a_head_that_goes_on_in_frames_without_end_ends_its_connection() {
    let lab = Lab::strict();
    // Nothing, a name of two megabytes of which one byte after the other comes, and fields that are complete.
    let field = [b"\x00\x01a\x7f\x81\x7e", [b'v'; 16_256].as_slice()].concat();
    for (begins, part, most) in [(&b""[..], &b""[..], 1000), (b"\x00\x7f\x80\xff\x7f", b"v", 1000), (b"", &field, 64)] {
        let mut stream = begun(&lab).await;
        let head = frame(HEADERS, END_STREAM, 1, &[GET_HEALTH, begins].concat());
        stream.write_all(&head).await.unwrap();
        let _ = stream.write_all(&frame(CONTINUATION, 0, 1, part).repeat(most)).await;
        is_answered(&lab).await;
        let ended = ended(stream).await;
        assert!(ended.answers == 0 && ended.told.is_none_or(|(_, why)| why != [0; 4]), "{ended:?}");
    }
}

#[tokio::test]
async fn a_head_of_http_1_is_refused_at_64_kib() {
    let lab = Lab::strict();
    let mut stream = lab.connection("http/1.1", None).await;
    // One record of TLS each, the last of which goes beyond the bound: nothing that is unread resets the connection.
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: ").await.unwrap();
    for _ in 0..5 {
        stream.write_all(&[b'v'; 14 << 10]).await.unwrap();
        stream.flush().await.unwrap();
    }
    is_answered(&lab).await;
    let mut answer = String::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    assert!(end.is_ok() && answer.starts_with("HTTP/1.1 431 "), "{end:?} {answer}");

    let mut stream = lab.connection("http/1.1", None).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx: ").await.unwrap();
    stream.write_all(&[[b'v'; 32 << 10].as_slice(), b"\r\n\r\n"].concat()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn more_silent_peers_than_there_are_places_displace_themselves_and_others_are_answered() {
    // The places of boot HTTP, and of this host on the HTTPS port.
    const HTTP: usize = 4096;
    const HTTPS: usize = 512;
    let mut lab = Lab::made("", &[]);
    // Started with the usual limit of open files, which the server raises to what it may have.
    lab.serve_by(&["sh", "-c", "ulimit -S -n 1024; exec \"$@\"", "sh"].map(str::to_owned));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let files = || std::fs::read_dir(format!("/proc/{}/fd", lab.process())).unwrap().count();
    let before = files();
    let mut silent = Vec::new();
    for (port, count) in [("http", HTTP + 404), ("https", HTTPS + 288)] {
        for _ in 0..count {
            let address = ("127.0.0.1", lab.port(port) as u16);
            silent.push(TcpStream::connect(address).await.unwrap());
        }
    }
    is_answered(&lab).await;
    let health = format!("http://127.0.0.1:{}/health", lab.port("http"));
    let asked = tokio::process::Command::new("curl").args(["-sf", &health]).output().await.unwrap();
    assert!(asked.status.success(), "{asked:?}");
    let mut first = [0];
    let end = tokio::time::timeout(PATIENCE, silent[0].read(&mut first)).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "who is silent for longest gives way: {end:?}");
    let held = files() - before;
    assert!(HTTP / 2 < held && held < HTTP + HTTPS + 300, "{held} files");
}
