//! A binary cache over HTTP that lies, breaks off or dawdles as the test says.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the server does with a request.
pub enum Answer {
    /// The file, or 404.
    File,
    /// The file with these bytes instead of its own.
    Bytes(Vec<u8>),
    /// This status and no body.
    Status(u16),
    /// The head, half of the file, and the end of the connection.
    Half,
    /// These bytes, then zeros without end.
    Endless(Vec<u8>),
    /// The file, after a wait.
    Late(Duration),
    /// The head and no byte of the body, until the client goes.
    Silence,
}

type Rule = dyn Fn(&str, usize) -> Answer + Send + Sync;

/// A server; it ends with the test.
pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves `folder`; `rule` gets the path (without its slash) and how often it was asked for before.
    pub fn start(folder: &Path, rule: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (folder, rule): (PathBuf, Arc<Rule>) = (folder.to_owned(), Arc::new(rule));
        std::thread::spawn({
            let log = log.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let (folder, rule, log) = (folder.clone(), rule.clone(), log.clone());
                    // A client that goes away is none of the server's business.
                    std::thread::spawn(move || drop(serve(&stream, &folder, &*rule, &log)));
                }
            }
        });
        Self { url, log }
    }

    /// An honest server.
    pub fn honest(folder: &Path) -> Self {
        Self::start(folder, |_, _| Answer::File)
    }

    /// All paths that were asked for, in order; forgets them.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn serve(stream: &TcpStream, folder: &Path, rule: &Rule, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
        let before = {
            let mut log = log.lock().unwrap();
            log.push(path.clone());
            log.iter().filter(|other| **other == path).count() - 1
        };
        answer(stream, &folder.join(&path), rule(&path, before))?;
    }
}

fn answer(mut stream: &TcpStream, file: &Path, answer: Answer) -> io::Result<()> {
    let file = || fs::read(file).ok();
    let bytes = match answer {
        Answer::Status(status) => return write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"),
        Answer::Half => {
            let bytes = file().unwrap_or_default();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Answer::Endless(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
            stream.write_all(&bytes)?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        }
        Answer::Silence => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n")?;
            return BufReader::new(stream).read_line(&mut String::new()).map(drop);
        }
        Answer::Late(wait) => {
            std::thread::sleep(wait);
            file()
        }
        Answer::Bytes(bytes) => Some(bytes),
        Answer::File => file(),
    };
    let Some(bytes) = bytes else { return write!(stream, "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n") };
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
    stream.write_all(&bytes)
}
