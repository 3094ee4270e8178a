//! A binary cache over HTTP that lies, breaks off or dawdles as the test says.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What the server does with a request.
pub enum Answer {
    /// The file, or the part of it that is asked for, or 404.
    File,
    /// The file with these bytes instead of its own.
    Bytes(Vec<u8>),
    /// This status and no body.
    Status(u16),
    /// This status and where to go instead.
    Redirect(u16, String),
    /// The head, half of the file, and the end of the connection. Never a part of it.
    Half,
    /// As for `File`, but the connection ends after so many bytes of the body.
    Break(usize),
    /// These bytes, then zeros without end.
    Endless(Vec<u8>),
    /// The file, after a wait.
    Late(Duration),
    /// The head and no byte of the body, until the client goes.
    Silence,
    /// The head, and then a kilobyte every now and then.
    Trickle,
    /// These bytes from the status line on, and the end of the connection.
    Raw(Vec<u8>),
}

/// A request.
#[derive(Clone)]
pub struct Ask {
    /// The target, without its first slash.
    pub path: String,
    /// How often it was asked for before.
    pub before: usize,
    head: Vec<String>,
}

impl Ask {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The first byte that is asked for.
    fn begin(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

type Rule = dyn Fn(&Ask) -> Answer + Send + Sync;

/// A server; it ends with the test.
pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<Ask>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Serves `folder`; `rule` gets the path (without its slash) and how often it was asked for before.
    pub fn start(folder: &Path, rule: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::scripted(folder, move |ask| rule(&ask.path, ask.before))
    }

    /// As [`Server::start`], for rules that look at the headers.
    pub fn scripted(folder: &Path, rule: impl Fn(&Ask) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", folder, rule)
    }

    /// As [`Server::scripted`], at this address.
    pub fn at(address: &str, folder: &Path, rule: impl Fn(&Ask) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (folder, rule): (PathBuf, Arc<Rule>) = (folder.to_owned(), Arc::new(rule));
        std::thread::spawn({
            let (log, connections) = (log.clone(), connections.clone());
            move || {
                for stream in listener.incoming().flatten() {
                    connections.fetch_add(1, Ordering::Relaxed);
                    let (folder, rule, log) = (folder.clone(), rule.clone(), log.clone());
                    // A client that goes away is none of the server's business.
                    std::thread::spawn(move || drop(serve(&stream, &folder, &*rule, &log)));
                }
            }
        });
        Self { url, log, connections }
    }

    /// Connections that were made, ever.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// An honest server.
    pub fn honest(folder: &Path) -> Self {
        Self::start(folder, |_, _| Answer::File)
    }

    /// All paths that were asked for, in order; forgets them.
    pub fn take_log(&self) -> Vec<String> {
        self.take_asks().into_iter().map(|ask| ask.path).collect()
    }

    /// All requests, in order; forgets them.
    pub fn take_asks(&self) -> Vec<Ask> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

/// The lines of a request's head; none at the end of the connection.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            return Ok(lines);
        }
        lines.push(line.trim_end().to_owned());
    }
}

fn serve(stream: &TcpStream, folder: &Path, rule: &Rule, log: &Mutex<Vec<Ask>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let head = read_head(&mut reader)?;
        let Some(target) = head.first().and_then(|line| line.split(' ').nth(1)) else { return Ok(()) };
        let path = target.trim_start_matches('/').to_owned();
        let ask = {
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|other| other.path == path).count();
            log.push(Ask { path, before, head });
            log.last().unwrap().clone()
        };
        answer(stream, &folder.join(&ask.path), &ask, rule(&ask))?;
    }
}

fn answer(mut stream: &TcpStream, file: &Path, ask: &Ask, answer: Answer) -> io::Result<()> {
    let aborted = || Err(io::ErrorKind::ConnectionAborted.into());
    let file = || fs::read(file).ok();
    let bytes = match answer {
        Answer::Status(status) => return write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"),
        Answer::Redirect(status, location) => {
            return write!(stream, "HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        }
        Answer::Raw(bytes) => {
            stream.write_all(&bytes)?;
            return aborted();
        }
        Answer::Half => {
            let bytes = file().unwrap_or_default();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes[..bytes.len() / 2])?;
            return aborted();
        }
        Answer::Break(count) => {
            let body = part(stream, ask, &file().unwrap_or_default())?;
            stream.write_all(&body[..count.min(body.len())])?;
            return aborted();
        }
        Answer::Endless(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            stream.write_all(&bytes)?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        }
        Answer::Silence => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", file().unwrap_or_default().len())?;
            return BufReader::new(stream).read_line(&mut String::new()).map(drop);
        }
        Answer::Trickle => {
            let bytes = part(stream, ask, &file().unwrap_or_default())?;
            for piece in bytes.chunks(1000) {
                stream.write_all(piece)?;
                std::thread::sleep(Duration::from_millis(100));
            }
            return aborted();
        }
        Answer::Late(wait) => {
            std::thread::sleep(wait);
            file()
        }
        Answer::Bytes(bytes) => Some(bytes),
        Answer::File => file(),
    };
    let Some(bytes) = bytes else { return write!(stream, "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n") };
    let body = part(stream, ask, &bytes)?;
    stream.write_all(&body)
}

/// Writes the head and returns the body for what was asked for, the whole file or its end.
fn part(mut stream: &TcpStream, ask: &Ask, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (etag, size) = ("\"the-file\"", bytes.len());
    let begin = ask.begin().filter(|_| ask.header("if-range").is_none_or(|tag| tag == etag));
    let body = bytes.get(begin.unwrap_or(0)..).unwrap_or_default().to_vec();
    match begin {
        Some(begin) => write!(stream, "HTTP/1.1 206 x\r\ncontent-range: bytes {begin}-{}/{size}\r\n", size - 1)?,
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
    }
    write!(stream, "etag: {etag}\r\ncontent-length: {}\r\n\r\n", body.len())?;
    Ok(body)
}
