//! Hears from the kernel that a device appeared (netlink, NETLINK_KOBJECT_UEVENT).

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket},
};
use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

/// The kernel's own messages; udev's are another group.
const KERNEL_GROUP: u32 = 1;

/// Longer than the kernel's messages are (2048 and a header).
const LONGEST_MESSAGE: usize = 8192;

/// A socket on which the kernel tells of devices.
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens from now on.
    pub fn open() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let descriptor = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkKObjectUEvent)?;
        bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self(descriptor))
    }

    /// Waits for a device to appear: true when one did, false when none did in that time or none ever will.
    pub fn wait(&mut self, longest: Option<Duration>) -> bool {
        let longest = longest.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        loop {
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], longest) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return false,
            }
            match self.drain() {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
        }
    }

    /// Reads all that is there; whether a device that wants a driver was in it.
    fn drain(&mut self) -> nix::Result<bool> {
        let mut appeared = false;
        let mut message = [0; LONGEST_MESSAGE];
        loop {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => appeared |= wants_driver(&message[..length]),
                Err(Errno::EAGAIN) => return Ok(appeared),
                // Messages were lost: look for what they told of.
                Err(Errno::ENOBUFS) => appeared = true,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Whether a message tells of a new device with a modalias: `add@/devices/...`, then `KEY=value` with NULs.
fn wants_driver(message: &[u8]) -> bool {
    let mut parts = message.split(|byte| *byte == 0);
    let added = parts.next().is_some_and(|head| head.starts_with(b"add@"));
    added && parts.any(|part| part.starts_with(b"MODALIAS="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_device_with_a_modalias_wants_a_driver() {
        assert!(wants_driver(b"add@/devices/x\0ACTION=add\0MODALIAS=virtio:d1v2\0SEQNUM=1\0"));
        assert!(!wants_driver(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=net\0"));
        assert!(!wants_driver(b"remove@/devices/x\0MODALIAS=virtio:d1v2\0"));
        assert!(!wants_driver(b"\xff"));
        assert!(!wants_driver(b""));
    }

    #[test]
    fn a_silent_bus_ends_the_wait() {
        let mut listener = Listener::open().unwrap();
        // Another test's machine may make a noise; the wait ends either way.
        let _ = listener.wait(Some(Duration::from_millis(1)));
    }
}
