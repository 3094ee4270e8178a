//! The agent is a program, so what decides about disks is compiled in here: none of it touches one.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../disk.rs"]
mod disk;
#[path = "../../src/inventory/mod.rs"]
mod inventory;
#[path = "../properties.rs"]
mod properties;

/// What the command of the inventory uses.
mod cli {
    pub fn print_failure(failure: &protocol::Failure) {
        eprintln!("{failure}");
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::layout(bytes));
