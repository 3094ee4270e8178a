//! Machines made of QEMU: the demo system, the harness, the demo and the end-to-end tests.
//!
//! Runs the binaries and links none of them; what they say is read as JSON.

pub mod command;
pub mod demo_system;
pub mod paths;
