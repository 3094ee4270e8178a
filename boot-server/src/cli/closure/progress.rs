//! One line on a terminal that says how far it is. Nothing where nobody watches.

use crate::cli::output::bytes;
use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// The line; it is wiped when this is dropped.
pub struct Progress {
    verb: &'static str,
    noun: &'static str,
    watched: bool,
    shown: AtomicBool,
}

impl Progress {
    /// `VERB 1 of 2 NOUN`
    pub fn new(verb: &'static str, noun: &'static str) -> Self {
        Self { verb, noun, watched: std::io::stderr().is_terminal(), shown: AtomicBool::new(false) }
    }

    /// So many of so many steps.
    pub fn steps(&self, done: u64, total: u64) {
        if total > 0 {
            self.show(&format!("{} {done} of {total} {}", self.verb, self.noun));
        }
    }

    /// As [`Progress::steps`], with the bytes that were sent.
    pub fn sent(&self, done: u64, total: u64, sent: u64) {
        self.show(&format!("{} {done} of {total} {}, {} sent", self.verb, self.noun, bytes(sent)));
    }

    fn show(&self, text: &str) {
        if self.watched {
            self.shown.store(true, Ordering::Relaxed);
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.load(Ordering::Relaxed) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
