//! The kernel's log, from its first line.

use std::{fs::File, io::Read, thread};
use telemetry::Telemetry;

/// Longest record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg).
const RECORD_BYTES: usize = 8192;

/// Follows /dev/kmsg on a thread of its own for as long as the process lives.
pub fn follow(telemetry: Telemetry) {
    let Ok(mut kmsg) = File::open("/dev/kmsg") else { return };
    let reader = move || {
        let mut record = [0u8; RECORD_BYTES];
        loop {
            match kmsg.read(&mut record) {
                Ok(0) => return,
                Ok(length) => {
                    if let Some((level, text)) = parse(&String::from_utf8_lossy(&record[..length])) {
                        telemetry.line(level, "kernel", text);
                    }
                }
                // Records were overwritten before they were read; the next read goes on.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(_) => return,
            }
        }
    };
    // Without this thread the run goes on with its own log alone.
    let _ = thread::Builder::new().name("kmsg".into()).spawn(reader);
}

/// `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`: the level by priority, and the first line of the text.
fn parse(record: &str) -> Option<(&'static str, &str)> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let level = match priority & 7 {
        0..=3 => "error",
        4 => "warn",
        5 | 6 => "info",
        _ => "debug",
    };
    Some((level, text.lines().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_level_and_first_line() {
        assert_eq!(parse("4,1,2,-;oops\n SUBSYSTEM=x\n"), Some(("warn", "oops")));
        assert_eq!(parse("30,1,2,-;from user space\n"), Some(("info", "from user space")));
    }

    proptest! {
        #[test]
        fn any_record_is_borne(record in "\\PC*") {
            let _ = parse(&record);
        }
    }
}
