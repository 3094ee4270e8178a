//! `fetch URL LIST CLIENTS PID`: the load of bench/serve.sh. Every client fetches every file of the list (names below
//! the URL, one per line) over one connection that is kept alive, and discards it in the kernel. Prints wall seconds,
//! CPU seconds of the server's process and its children, requests and bytes. Fails where a length is not as the server
//! said or the clients got different bytes.

use std::{
    error::Error,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::AsRawFd,
    sync::Barrier,
    thread,
    time::Instant,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, list, clients, pid] = &arguments[..] else { return Err("usage: fetch URL LIST CLIENTS PID".into()) };
    let address = url.strip_prefix("http://").ok_or("no http URL")?;
    let text = fs::read_to_string(list)?;
    let targets: Vec<String> = text.lines().map(|name| format!("/{name}")).collect();
    let clients: usize = clients.parse()?;
    let start = Barrier::new(clients + 1);
    let (wall, cpu, bytes) = thread::scope(|scope| {
        let client = || scope.spawn(|| fetch_all(address, &targets, &start));
        let running: Vec<_> = (0..clients).map(|_| client()).collect();
        start.wait();
        let (began, cpu) = (Instant::now(), cpu_seconds(pid)?);
        let got: Vec<u64> = running.into_iter().map(|one| one.join().map_err(|_| "panic")?).collect::<Result<_>>()?;
        Ok::<_, Box<dyn Error + Send + Sync>>((began.elapsed().as_secs_f64(), cpu_seconds(pid)? - cpu, got))
    })?;
    if bytes.iter().any(|one| *one != bytes[0]) {
        return Err("the clients got different bytes".into());
    }
    println!("{wall:.4} {cpu:.2} {} {}", clients * targets.len(), bytes.iter().sum::<u64>());
    Ok(())
}

fn fetch_all(address: &str, targets: &[String], start: &Barrier) -> Result<u64> {
    let connected = TcpStream::connect(address);
    start.wait();
    let mut stream = connected?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    targets.iter().map(|target| fetch(&mut stream, target, &mut buffer)).sum()
}

/// Bytes of one body.
fn fetch(stream: &mut TcpStream, target: &str, buffer: &mut [u8]) -> Result<u64> {
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n").as_bytes())?;
    let mut filled = 0;
    let end = loop {
        let read = stream.read(&mut buffer[filled..])?;
        filled += read;
        match buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None if read == 0 => return Err(format!("no head for {target}").into()),
            None => {}
        }
    };
    let length = content_length(std::str::from_utf8(&buffer[..end])?).ok_or("no 200 with a length")?;
    let mut rest = length.checked_sub((filled - end) as u64).ok_or("a body longer than its length")?;
    while rest > 0 {
        rest -= discard(stream, rest)?;
    }
    Ok(length)
}

fn content_length(head: &str) -> Option<u64> {
    let (status, fields) = head.split_once("\r\n")?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    status.contains(" 200 ").then(|| fields.lines().find_map(field))?
}

/// Takes up to `most` bytes off the socket without copying them: the server is measured, not this.
fn discard(stream: &TcpStream, most: u64) -> io::Result<u64> {
    let most = most.min(1 << 20) as usize;
    // SAFETY: with MSG_TRUNC a TCP socket discards (tcp(7)), so nothing is written to the null buffer.
    let got = unsafe { libc::recv(stream.as_raw_fd(), std::ptr::null_mut(), most, libc::MSG_TRUNC) };
    match u64::try_from(got) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(got) => Ok(got),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// User and system time of a process and its children that live.
fn cpu_seconds(pid: &str) -> Result<f64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut ticks = 0.0;
    for pid in std::iter::once(pid).chain(children.split_whitespace()) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
        ticks += fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    }
    Ok(ticks / 100.0)
}
