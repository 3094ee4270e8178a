//! Floods of the ports that machines boot from: TFTP and plain HTTP.

use super::Held;
use crate::network::HOST;
use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(2);
/// More than one address is given of each.
const READERS: usize = 300;
const TRANSFERS: usize = 100;

/// Connections that hardly read.
#[derive(Default)]
pub struct Readers(VecDeque<TcpStream>);

/// Transfers that stall.
#[derive(Default)]
pub struct Transfers(VecDeque<UdpSocket>);

fn dial() -> Result<TcpStream> {
    let address: SocketAddr = format!("{HOST}:8080").parse().context("an address")?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One more reader of the initrd; every other reads a byte.
pub fn read_slowly(held: &mut Held) -> Result<Duration> {
    for stream in &mut held.readers.0 {
        let _ = stream.read(&mut [0]);
    }
    let mut stream = dial()?;
    setsockopt(&stream, RcvBuf, &2048)?;
    write!(stream, "GET /boot/nixos/vm/initrd HTTP/1.1\r\nHost: {HOST}\r\n\r\n")?;
    stream.set_nonblocking(true)?;
    held.readers.0.push_back(stream);
    if held.readers.0.len() > READERS {
        held.readers.0.pop_front();
    }
    Ok(Duration::from_millis(50))
}

/// One more transfer that wants all the time that TFTP can give, and acknowledges nothing.
pub fn stall(held: &mut Held) -> Result<Duration> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.send_to(b"\0\x01undionly.kpxe\0octet\0timeout\x00255\0", (HOST, 69))?;
    held.transfers.0.push_back(socket);
    if held.transfers.0.len() > TRANSFERS {
        held.transfers.0.pop_front();
    }
    Ok(Duration::from_millis(30))
}

/// A hundred scripts for machines that nobody knows, on one connection.
pub fn ask_for_scripts(held: &mut Held) -> Result<Duration> {
    const SCRIPTS: usize = 100;
    let mut stream = dial()?;
    let count = held.count;
    let requests: String = (0..SCRIPTS)
        .map(|n| {
            let last = if n + 1 == SCRIPTS { "Connection: close\r\n" } else { "" };
            format!("GET /boot/ipxe/boot.ipxe?serial=FLOOD-{count}-{n} HTTP/1.1\r\nHost: {HOST}\r\n{last}\r\n")
        })
        .collect();
    stream.write_all(requests.as_bytes())?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(Duration::from_millis(250))
}
