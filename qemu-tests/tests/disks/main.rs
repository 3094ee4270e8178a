//! The disk engine on a real kernel with real tools, in machines made of QEMU.
//!
//! Needs root, `qemu-tests/setup.sh` and a release build of the workspace.

mod faults;
mod foreign_disks;
mod harness;
mod layouts;
mod transcript;
mod wrong_disk;
