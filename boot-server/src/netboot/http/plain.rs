//! Plain requests, which are nearly all: answered in a loop, files by sendfile(2).
//!
//! What a request means is decided by the routes, as for hyper, which takes over the connection when something else
//! than a plain request arrives. Here is only how an answer gets onto the wire.

use super::{
    Routes,
    head::{self, Head},
    reply::FilePart,
};
use crate::netboot::page_cache;
use axum::{
    http::{Method, StatusCode, header, response::Parts},
    response::Response,
};
use http_body_util::BodyExt;
use nix::sys::{
    sendfile::sendfile64,
    socket::{MsgFlags, send},
};
use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::{fd::AsRawFd, unix::fs::FileExt},
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
    time::{Instant, sleep},
};

/// A longer head is hyper's.
const MAX_HEAD: usize = 8 << 10;
/// Bytes that one read may bring.
const READ: usize = 2 << 10;
/// Up to here copying a part behind its head costs less than sending both.
const SMALL: u64 = 32 << 10;
/// Bytes of a file before it is another connection's turn.
const TURN: u64 = 2 << 20;

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// Either side has no more to say.
    Closed,
    /// These bytes, read already, begin what is not plain.
    Other(Vec<u8>),
}

/// Answers plain requests. `patience` is between connecting, or an answer, and the end of the next head.
///
/// # Errors
/// Where the connection breaks, and where it must because a file cannot be sent to its end.
pub async fn serve(stream: &mut TcpStream, routes: &Routes, patience: Duration) -> io::Result<End> {
    let mut bytes = Vec::new();
    // One timer that is put off: a new one for each request would cost as much as reading it.
    let mut silence = pin!(sleep(patience));
    loop {
        silence.as_mut().reset(Instant::now() + patience);
        let head = tokio::select! {
            biased;
            head = next_head(stream, &mut bytes) => head?,
            () = &mut silence => return Err(io::ErrorKind::TimedOut.into()),
        };
        let plain = match head {
            Some(Head::Plain(plain)) => plain,
            Some(_) => return Ok(End::Other(bytes)),
            None => return Ok(End::Closed),
        };
        bytes.drain(..plain.length);
        let (get, keep_alive) = (plain.request.method() == Method::GET, plain.keep_alive);
        answer(stream, routes.answer_plain(plain.request).await, get, keep_alive).await?;
        if !keep_alive {
            stream.shutdown().await?;
            return Ok(End::Closed);
        }
    }
}

/// None where the client has ended.
async fn next_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Head>> {
    loop {
        match head::read(bytes) {
            Head::Partial if bytes.len() < MAX_HEAD => {}
            head => return Ok(Some(head)),
        }
        bytes.reserve(READ);
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

async fn answer(stream: &mut TcpStream, response: Response, get: bool, keep_alive: bool) -> io::Result<()> {
    let (mut parts, body) = response.into_parts();
    if let Some(FilePart { file, part }) = parts.extensions.remove() {
        let head = head_of(&parts, keep_alive);
        return send_file(stream, head, &file, if get { part } else { 0..0 }).await;
    }
    // What is no file is small: a script, a failure.
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if parts.status != StatusCode::NOT_MODIFIED {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(body.len().into());
    }
    let body = if get { &body[..] } else { &[] };
    stream.write_all(&[&head_of(&parts, keep_alive), body].concat()).await
}

fn head_of(parts: &Parts, keep_alive: bool) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let date = httpdate::fmt_http_date(SystemTime::now());
    // Writing to memory does not fail.
    let _ = write!(head, "HTTP/1.1 {}\r\nDate: {date}\r\n", parts.status);
    for (name, value) in &parts.headers {
        for text in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(text);
        }
    }
    head.extend_from_slice(if keep_alive { b"\r\n" } else { b"Connection: close\r\n\r\n" });
    head
}

async fn send_file(stream: &mut TcpStream, mut head: Vec<u8>, file: &Arc<File>, part: Range<u64>) -> io::Result<()> {
    if part.end - part.start <= SMALL {
        if !page_cache::read(file, &part, &mut head) {
            head.extend(load(file, part).await?);
        }
        return stream.write_all(&head).await;
    }
    send_more(stream, &head).await?;
    let mut at = part.start;
    while at < part.end {
        let turn = at..part.end.min(at + TURN);
        if !page_cache::holds(file, &turn) {
            load(file, turn.clone()).await?;
        }
        at = turn.end;
        send_turn(stream, file, turn).await?;
        if at < part.end {
            // However fast this client takes it, the others have their turn.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Reads a part from a cold disk, so that it is in the page cache too.
async fn load(file: &Arc<File>, part: Range<u64>) -> io::Result<Vec<u8>> {
    let file = file.clone();
    let read = move || {
        let mut bytes = vec![0; (part.end - part.start) as usize];
        file.read_exact_at(&mut bytes, part.start).map(|()| bytes)
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other).flatten()
}

/// Sends the head so that it waits for the first bytes of the file and shares a packet with them.
async fn send_more(stream: &TcpStream, mut head: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::from_bits_retain(libc::MSG_MORE) | MsgFlags::MSG_NOSIGNAL;
    while !head.is_empty() {
        let sent = stream.async_io(Interest::WRITABLE, || Ok(send(stream.as_raw_fd(), head, flags)?)).await?;
        head = &head[sent..];
    }
    Ok(())
}

async fn send_turn(stream: &TcpStream, file: &File, turn: Range<u64>) -> io::Result<()> {
    let end = i64::try_from(turn.end).map_err(io::Error::other)?;
    let mut at = i64::try_from(turn.start).map_err(io::Error::other)?;
    while at < end {
        let rest = (end - at) as usize;
        let send = || Ok(sendfile64(stream, file, Some(&mut at), rest)?);
        if stream.async_io(Interest::WRITABLE, send).await? == 0 {
            // The file has shrunk: the connection must break, or the client takes it for whole.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
