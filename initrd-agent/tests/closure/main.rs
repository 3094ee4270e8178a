//! The closure engine as a binary, against caches that real Nix made and judged by real Nix.

mod faults;
mod hostile;
mod install;
#[allow(dead_code)]
mod make;
mod server;
mod world;
