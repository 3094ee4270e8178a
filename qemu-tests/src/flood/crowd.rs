//! More silent connections than all strangers together may have of a port, from as many addresses as that takes.

use super::Held;
use crate::network::{CROWD, HOST};
use anyhow::{Context, Result};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt::SendTimeout},
    time::{TimeVal, TimeValLike},
};
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

/// Of either port, whose bounds are 4096 and 2048 in all, 256 and 64 of one source.
const HELD: [(u16, usize); 2] = [(8080, 4200), (8443, 2100)];
const ADDRESSES: usize = 70;
/// So many at once: all of them are there within half of the time that a silent one is left.
const AT_ONCE: usize = 45;

/// The connections that are held.
#[derive(Default)]
pub struct Crowd([VecDeque<OwnedFd>; HELD.len()]);

/// More connections that say nothing.
pub fn gather(held: &mut Held) -> Result<Duration> {
    let address: Ipv4Addr = HOST.parse().context("an address")?;
    for n in 0..AT_ONCE {
        let number = held.count * AT_ONCE + n;
        // Two of three are of the port that takes twice as many.
        let which = usize::from(number % 3 == 2);
        let (port, most) = HELD[which];
        let connection = silent(number / 3 % ADDRESSES, SocketAddrV4::new(address, port))?;
        held.crowd.0[which].push_back(connection);
        if held.crowd.0[which].len() > most {
            held.crowd.0[which].pop_front();
        }
    }
    Ok(Duration::from_millis(50))
}

/// A connection from an address of the crowd.
fn silent(number: usize, to: SocketAddrV4) -> Result<OwnedFd> {
    let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).context("a socket")?;
    setsockopt(&stream, SendTimeout, &TimeVal::seconds(2))?;
    let [a, b, c, _] = CROWD.octets();
    let from = SocketAddrV4::new(Ipv4Addr::new(a, b, c, u8::try_from(number + 1)?), 0);
    bind(stream.as_raw_fd(), &SockaddrIn::from(from)).context("an address of the crowd")?;
    connect(stream.as_raw_fd(), &SockaddrIn::from(to)).context("connecting")?;
    Ok(stream)
}
