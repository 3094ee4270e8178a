//! Waiting with an end, and reading logs.

use anyhow::{Result, bail};
use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks again and again until there is an answer.
///
/// # Errors
/// The condition failed, or there was no answer in time.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > patience {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
        sleep(PAUSE);
    }
}

/// A log as text without the colours and cursor movements of terminals.
pub fn read_log(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    without_escapes(&String::from_utf8_lossy(&bytes))
}

/// The last lines of a log, for an error.
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = read_log(path);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Drops `ESC [ ... letter` and `ESC letter`, and carriage returns.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    let _ = chars.find(|c| c.is_ascii_alphabetic());
                }
            }
            '\r' => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_hide_words() {
        assert_eq!(without_escapes("[\u{1b}[0;32m  OK  \u{1b}[0m] R\u{1b}[0;1;39meached\r\n"), "[  OK  ] Reached\n");
        assert_eq!(without_escapes("\u{1b}[2J\u{1b}"), "");
    }

    #[test]
    fn waiting_ends_with_what_was_waited_for() {
        let error = until::<()>("the moon", Duration::ZERO, || Ok(None)).expect_err("must end").to_string();
        assert!(error.contains("the moon"), "{error}");
    }
}
