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

/// What the kernel told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Of the devices that appeared.
    pub modaliases: Vec<String>,
    /// It told more than could be kept: whoever wants to know must look.
    pub lost: bool,
}

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

    /// Waits for a device to appear; nothing when none did in that time, or none ever will.
    pub fn wait(&mut self, longest: Option<Duration>) -> Option<Heard> {
        let longest = longest.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        loop {
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], longest) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return None,
            }
            let heard = self.drain().ok()?;
            if heard != Heard::default() {
                return Some(heard);
            }
        }
    }

    /// Reads all that is there.
    fn drain(&mut self) -> nix::Result<Heard> {
        let mut heard = Heard::default();
        let mut message = [0; LONGEST_MESSAGE];
        loop {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => heard.modaliases.extend(new_device(&message[..length])),
                Err(Errno::EAGAIN) => return Ok(heard),
                Err(Errno::ENOBUFS) => heard.lost = true,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// The modalias of the new device that a message tells of: `add@/devices/...`, then `KEY=value` with NULs.
fn new_device(message: &[u8]) -> Option<String> {
    let mut parts = message.split(|byte| *byte == 0);
    parts.next()?.starts_with(b"add@").then_some(())?;
    let modalias = parts.find_map(|part| part.strip_prefix(b"MODALIAS="))?;
    String::from_utf8(modalias.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_device_with_a_modalias_wants_a_driver() {
        let message = b"add@/devices/x\0ACTION=add\0MODALIAS=virtio:d1v2\0SEQNUM=1\0";
        assert_eq!(new_device(message).as_deref(), Some("virtio:d1v2"));
        assert_eq!(new_device(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=net\0"), None);
        assert_eq!(new_device(b"remove@/devices/x\0MODALIAS=virtio:d1v2\0"), None);
        assert_eq!(new_device(b"\xff"), None);
        assert_eq!(new_device(b""), None);
    }

    #[test]
    fn a_silent_bus_ends_the_wait() {
        let mut listener = Listener::open().unwrap();
        // Another test's machine may make a noise; the wait ends either way.
        let _ = listener.wait(Some(Duration::from_millis(1)));
    }
}
