//! The same lines on every console of the machine: tty0 and the serial ports.

use std::{
    fs::{File, OpenOptions, read_to_string},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, Mutex},
};

/// The consoles that the kernel uses, or standard output where this is no machine of ours.
#[derive(Clone)]
pub struct Console {
    devices: Arc<Mutex<Vec<File>>>,
}

impl Console {
    /// Opens every console of `/sys/class/tty/console/active`.
    pub fn open() -> Self {
        let active = read_to_string("/sys/class/tty/console/active").unwrap_or_default();
        let open = |name: &str| {
            OpenOptions::new()
                .write(true)
                // A serial port that nobody reads must not stop the installation.
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
                .open(format!("/dev/{name}"))
                .ok()
        };
        let devices = active.split_whitespace().filter_map(open).collect();
        Self { devices: Arc::new(Mutex::new(devices)) }
    }

    /// Writes one line (or a table) to all of them.
    pub fn line(&self, text: &str) {
        let bytes = printable(text);
        if let Ok(mut devices) = self.devices.lock() {
            for device in devices.iter_mut() {
                write_patiently(device, bytes.as_bytes());
            }
        }
    }
}

/// Line ends for a raw terminal, and no control characters: names and server texts are not ours.
fn printable(text: &str) -> String {
    let mut line: String = text.chars().filter(|char| *char == '\n' || !char.is_control()).collect();
    line.push('\n');
    line.replace('\n', "\r\n")
}

/// A slow serial port takes a few bytes at a time; one that takes none within a second is left alone.
fn write_patiently(device: &mut File, mut bytes: &[u8]) {
    let mut refusals = 0;
    while !bytes.is_empty() && refusals < 100 {
        match device.write(bytes) {
            Ok(written) => {
                bytes = &bytes[written..];
                refusals = 0;
            }
            Err(_) => {
                refusals += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_others_do_not_reach_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a[2Jb\r\nc\r\n");
    }
}
