//! What one source can take of the boot ports, and that others are served meanwhile.

use crate::lab::{Namespace, SERVER, Table, context};
use boot_server::netboot::{
    http::{Folders, serve_on},
    tftp::{self, Config},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn host(network: &Namespace, number: u8) -> Namespace {
    let host = network.plug_in(&format!("52:54:00:00:01:{number:02x}"));
    host.run(&["ip", "addr", "add", &format!("10.77.0.{number}/24"), "dev", "eth0"]);
    host
}

/// The status line of `/health`.
fn health() -> String {
    let mut stream = TcpStream::connect((SERVER, 8080)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn one_source_has_256_connections_of_boot_http_and_its_oldest_give_way() {
    let network = Namespace::with_bridge();
    let files = tempfile::tempdir().unwrap();
    let policy = Arc::new(Table::default());
    let folder = |name: &str| files.path().join(name);
    let folders = Folders {
        ipxe: folder("ipxe"),
        images: folder("images"),
        default_profile: "vm".parse().unwrap(),
        cache: boot_server::cache::Cache::open(folder("cache"), 1 << 30),
    };
    let _serving = network.serve("http", &context(&policy, files.path()), async move |context| {
        serve_on(tokio::net::TcpListener::bind((SERVER, 8080)).await.unwrap(), folders, context).await
    });
    let (stranger, honest) = (host(&network, 2), host(&network, 3));
    let open = stranger.inside(|| {
        let mut held: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect((SERVER, 8080)).unwrap()).collect();
        // The newest is served: all of them have been accepted when it is.
        assert_eq!(health(), "HTTP/1.1 200 OK");
        for stream in &mut held {
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        }
        let is_open = |stream: &mut TcpStream| {
            let read = stream.read(&mut [0]);
            read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
        };
        held.iter_mut().map(is_open).collect::<Vec<bool>>()
    });
    let open = open.join().unwrap();
    let left = open.iter().filter(|open| **open).count();
    assert!((200..=256).contains(&left), "{left} of 300 are left");
    assert!(open[300 - 200..].iter().all(|open| *open), "those that were idle for longest go: {open:?}");
    assert_eq!(honest.inside(health).join().unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn one_source_has_16_transfers_of_tftp_and_another_is_served() {
    let network = Namespace::with_bridge();
    let files = tempfile::tempdir().unwrap();
    let folder = files.path().join("ipxe");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ipxe.efi"), vec![7; 300_000]).unwrap();
    let policy = Arc::new(Table::default());
    let context = context(&policy, files.path());
    let _serving = network.serve("tftp", &context, move |context| async move {
        tftp::serve(tftp::bind(&Config::default(), SERVER)?, folder, context).await
    });
    let (stranger, honest) = (host(&network, 2), host(&network, 3));
    let answered = stranger.inside(|| {
        let sockets: Vec<UdpSocket> = (0..700).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect();
        for socket in &sockets {
            socket.send_to(b"\0\x01ipxe.efi\0octet\0timeout\x00255\0", (SERVER, 69)).unwrap();
        }
        sockets[0].set_read_timeout(Some(PATIENCE)).unwrap();
        sockets[0].recv(&mut [0; 600]).unwrap();
        // Whoever was given a place is answered at once; without acknowledgement nobody moves.
        std::thread::sleep(Duration::from_millis(500));
        let answered = |socket: &&UdpSocket| {
            socket.set_nonblocking(true).unwrap();
            socket.recv(&mut [0; 600]).is_ok()
        };
        (1 + sockets[1..].iter().filter(answered).count(), sockets)
    });
    let (answered, _held) = answered.join().unwrap();
    assert!((1..=16).contains(&answered), "{answered} of 700 have a place");
    let target = files.path().join("got");
    let output = honest.output(&[
        "busybox",
        "tftp",
        "-g",
        "-b",
        "1468",
        "-r",
        "ipxe.efi",
        "-l",
        target.to_str().unwrap(),
        &SERVER.to_string(),
    ]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(target).unwrap(), vec![7; 300_000]);
}

#[test]
fn what_nobody_serves_is_refused_every_time_and_fills_no_log() {
    const ASKED: usize = 2000;
    let network = Namespace::with_bridge();
    let files = tempfile::tempdir().unwrap();
    let (policy, lines) = (Arc::new(Table::default()), Arc::new(AtomicUsize::new(0)));
    let (folder, written) = (files.path().join("ipxe"), lines.clone());
    let _serving = network.serve("tftp", &context(&policy, files.path()), move |context| async move {
        let log = tracing_subscriber::fmt().with_writer(move || {
            written.fetch_add(1, Ordering::Relaxed);
            std::io::sink()
        });
        let _log = tracing::subscriber::set_default(log.finish());
        tftp::serve(tftp::bind(&Config::default(), SERVER)?, folder, context).await
    });
    let begun = Instant::now();
    let asked = host(&network, 2).inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..ASKED {
            socket.send_to(b"\0\x02ipxe.efi\0octet\0", (SERVER, 69)).unwrap();
            assert!(socket.recv(&mut [0; 600]).unwrap() > 4);
        }
    });
    asked.join().unwrap();
    let (lines, seconds) = (lines.load(Ordering::Relaxed), begun.elapsed().as_secs() as usize);
    assert!((1..=50 * (seconds + 2)).contains(&lines), "{lines} lines in {seconds} s");
}
