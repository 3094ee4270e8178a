//! The ground under every program: the HTTP client, child processes, files that survive a power cut, patience; each once.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge them"))]

pub mod api;
pub mod certificate;
pub mod command;
pub mod file;
pub mod http;
pub mod memory;
pub mod retry;
mod terminal;
