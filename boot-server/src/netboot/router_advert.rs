//! IPv6 router advertisements that offer nothing: no route, no prefix, no address.
//!
//! iPXE sets up IPv6 beside IPv4 and waits 13 seconds for a router where none speaks. One that says
//! "there is no router here" (lifetime 0) ends the wait, and changes nothing on any other machine.

use super::interface;
use nix::{
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt},
};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{
    ffi::OsString,
    io,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket as StdSocket},
    pin::pin,
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    time::{MissedTickBehavior, interval},
};

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// RFC 4861 wants no less than 3 s between multicasts.
const INTERVAL: Duration = Duration::from_secs(3);
/// What has come through a router has a lower limit and is forged (RFC 4861, 6.1).
const HOP_LIMIT: i32 = 255;

/// ICMPv6 type 134, hop limit unspecified, no flags, lifetimes and timers 0, no options. The kernel
/// fills in the checksum.
const NOTHING_HERE: [u8; 16] = [ROUTER_ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Sends them every few seconds and to whoever asks, until dropped; where the interface is made anew, on the new one.
///
/// # Errors
/// Where the interface or the right to open a raw socket is missing.
pub async fn serve(interface_name: &str) -> Result<()> {
    loop {
        serve_interface(interface_name).await?;
        interface::appears(interface_name).await;
    }
}

/// Whether this host is a router of that network: its own advertisements say where the route is, and a word that there is
/// none, from the same address, would take it away from everybody.
fn is_router(interface_name: &str) -> bool {
    let path = format!("/proc/sys/net/ipv6/conf/{interface_name}/forwarding");
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
}

/// Until the interface is gone.
async fn serve_interface(interface_name: &str) -> Result<()> {
    let activity = || format!("sending router advertisements on {interface_name}");
    let (socket, index) = open(interface_name).or_fail(Code::System, activity)?;
    let everybody = SocketAddrV6::new(ALL_NODES, 0, 0, index);
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut failing, mut routes) = (false, false);
    let mut buffer = [0; 128];
    let mut gone = pin!(interface::is_gone(interface_name, index));
    loop {
        tokio::select! {
            () = &mut gone => return Ok(()),
            _ = ticks.tick() => {}
            received = socket.recv(&mut buffer) => {
                let length = received.or_fail(Code::System, activity)?;
                if !is_solicitation(&buffer[..length]) { continue }
            }
        }
        let is_router = is_router(interface_name);
        if is_router && !routes {
            tracing::info!("{interface_name} is a router's interface: no router advertisements are sent there");
        }
        routes = is_router;
        if is_router {
            continue;
        }
        // A bridge that nobody is plugged into has no address to send from: that mends itself.
        let sent = socket.send_to(&NOTHING_HERE, everybody).await;
        if let (Err(error), false) = (&sent, failing) {
            tracing::debug!("{}: {error}", activity());
        }
        failing = sent.is_err();
    }
}

fn is_solicitation(message: &[u8]) -> bool {
    message.len() >= 8 && message[..2] == [ROUTER_SOLICITATION, 0]
}

/// A raw ICMPv6 socket in the guise of a UDP one: addresses, sending and receiving are the same.
fn open(interface_name: &str) -> io::Result<(UdpSocket, u32)> {
    let index = if_nametoindex(interface_name)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet6, SockType::Raw, flags, SockProtocol::IcmpV6)?;
    setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface_name))?;
    setsockopt(&socket, sockopt::Ipv6MulticastHops, &HOP_LIMIT)?;
    let socket = StdSocket::from(socket);
    socket.join_multicast_v6(&ALL_ROUTERS, index)?;
    Ok((UdpSocket::from_std(socket)?, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_solicitation_is_answered() {
        assert!(is_solicitation(&[133, 0, 1, 2, 0, 0, 0, 0]));
        assert!(!is_solicitation(&[133, 0, 1, 2]));
        assert!(!is_solicitation(&NOTHING_HERE));
        assert!(!is_solicitation(&[]));
    }
}
