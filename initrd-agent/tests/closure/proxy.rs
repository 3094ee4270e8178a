//! A forwarding proxy that writes down what it was asked for.

use crate::server::read_head;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A proxy; it ends with the test.
pub struct Proxy {
    /// HOST:PORT.
    pub address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Lets in whoever sends this `Proxy-Authorization`, or everybody.
    pub fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines = Arc::new(Mutex::new(Vec::new()));
        thread::spawn({
            let lines = lines.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let lines = lines.clone();
                    thread::spawn(move || drop(serve(&stream, authorization, &lines)));
                }
            }
        });
        Self { address, lines }
    }

    /// The request lines, in order; forgets them.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

fn serve(mut client: &TcpStream, authorization: Option<&str>, lines: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let head = read_head(&mut reader)?;
    let Some(line) = head.first() else { return Ok(()) };
    lines.lock().unwrap().push(line.clone());
    let expected = authorization.map(|value| format!("proxy-authorization: {value}").to_lowercase());
    if expected.is_some_and(|expected| !head.iter().any(|field| field.to_lowercase() == expected)) {
        return write!(client, "HTTP/1.1 407 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    }
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => tunnel(client, reader, target),
        (Some(method), Some(target)) => forward(client, method, target, &head[1..]),
        _ => Ok(()),
    }
}

fn tunnel(mut client: &TcpStream, mut reader: BufReader<&TcpStream>, target: &str) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    write!(client, "HTTP/1.1 200 x\r\n\r\n")?;
    let (mut back, mut from) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut back));
    io::copy(&mut reader, &mut &server)?;
    server.shutdown(Shutdown::Both)
}

fn forward(mut client: &TcpStream, method: &str, target: &str, fields: &[String]) -> io::Result<()> {
    let (host, path) = target.trim_start_matches("http://").split_once('/').unwrap();
    let mut server = TcpStream::connect(host)?;
    write!(server, "{method} /{path} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"))?;
    server.shutdown(Shutdown::Write)?;
    let mut answer = BufReader::new(server);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    write!(client, "{status}connection: close\r\n")?;
    io::copy(&mut answer, &mut client).map(drop)
}
