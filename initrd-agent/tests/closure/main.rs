//! The closure engine as a binary, against caches that real Nix made and judged by real Nix.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that failed")]
#![allow(clippy::disallowed_methods, reason = "tests start programs to judge them")]

mod caches;
mod extremes;
mod faults;
mod hostile;
mod install;
mod keep;
mod kills;
mod network;
mod proxy;
mod server;
mod tls;
mod transfers;
mod world;
