//! UDP sockets that hear and speak on one interface only.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{ffi::OsString, io, net::Ipv4Addr, os::fd::AsRawFd};
use tokio::net::UdpSocket;

/// Binds the port on the interface, whatever its addresses; broadcasts arrive and leave there.
///
/// # Errors
/// Where there is no such interface, the port is taken, or the right to bind it is missing.
pub fn on_interface(interface: &str, port: u16) -> Result<UdpSocket> {
    open(interface, port).or_fail(Code::System, || format!("binding UDP port {port} on interface {interface}")).map_err(
        |failure| {
            failure.with_remedy("check dhcp.interface, that no other DHCP server runs on this host, and run as root")
        },
    )
}

fn open(interface: &str, port: u16) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    setsockopt(&socket, sockopt::Broadcast, &true)?;
    setsockopt(&socket, sockopt::BindToDevice, &OsString::from(interface))?;
    let address = std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
    UdpSocket::from_std(socket.into())
}
