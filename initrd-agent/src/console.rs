//! The same lines on every console of the machine: tty0 and the serial ports.

use std::{
    fs::{File, OpenOptions, read_to_string},
    io::{BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;

/// Bytes of a line that somebody types.
const LONGEST_LINE: usize = 256;
/// Lines that are kept while nobody looks at them.
const LINES_AHEAD: usize = 16;

/// The consoles that the kernel uses, or standard output where this is no machine of ours.
#[derive(Clone)]
pub struct Console {
    devices: Arc<Mutex<Vec<File>>>,
}

impl Console {
    /// Opens every console of `/sys/class/tty/console/active`.
    pub fn open() -> Self {
        let open = |name: String| {
            OpenOptions::new()
                .write(true)
                // A serial port that nobody reads must not stop the installation.
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
                .open(format!("/dev/{name}"))
                .ok()
        };
        let devices = active().into_iter().filter_map(open).collect();
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

/// Names of the consoles that the kernel uses.
fn active() -> Vec<String> {
    let active = read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    active.split_whitespace().map(str::to_owned).collect()
}

/// What people type on the consoles, line by line.
pub struct Lines(mpsc::Receiver<String>);

impl Lines {
    /// Listens on every console, from now on.
    pub fn listen() -> Self {
        let (sender, receiver) = mpsc::channel(LINES_AHEAD);
        for name in active() {
            let sender = sender.clone();
            // It waits in a read for as long as the agent lives.
            std::thread::spawn(move || {
                let open = OpenOptions::new().read(true).custom_flags(libc::O_NOCTTY).open(format!("/dev/{name}"));
                if let Ok(device) = open {
                    read_lines(device, |line| sender.blocking_send(line).is_ok());
                }
            });
        }
        Self(receiver)
    }

    /// The next line; never ends where nobody types.
    pub async fn next(&mut self) -> String {
        match self.0.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}

/// Takes lines until the device or the taker ends. What is longer than a line of people is dropped up to its end.
fn read_lines(device: impl Read, mut take: impl FnMut(String) -> bool) {
    let mut line = Vec::new();
    for byte in BufReader::new(device).bytes() {
        match byte {
            Ok(b'\n' | b'\r') => {
                let typed = std::mem::take(&mut line);
                let fits = typed.len() <= LONGEST_LINE;
                if fits && !typed.is_empty() && !take(String::from_utf8_lossy(&typed).into_owned()) {
                    return;
                }
            }
            Ok(byte) if line.len() <= LONGEST_LINE => line.push(byte),
            Ok(_) => {}
            Err(_) => return,
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
    fn what_is_typed_is_taken_by_the_line_and_what_no_person_types_is_dropped() {
        let mut lines = Vec::new();
        let typed = format!("one\r\n\n{}\ntwo\nthree", "x".repeat(1000));
        read_lines(typed.as_bytes(), |line| {
            lines.push(line);
            true
        });
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn control_characters_of_others_do_not_reach_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a[2Jb\r\nc\r\n");
    }
}
