//! The disk engine: disko's layout onto exactly the disks that were meant (docs/design.md sections 6 and 11).
//!
//! The crate `layout` reads what the operator wrote, `select` finds the disk, `plan` decides everything, and only what
//! takes a [`plan::Plan`] writes.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge us"))]

pub mod action;
pub mod apply;
mod confine;
mod device_node;
mod exclusive;
pub mod health;
pub mod keys;
mod lvm;
mod mapper;
mod md;
pub mod mount;
mod opened;
mod partition_table;
mod partitions;
mod place;
pub mod plan;
mod private_dev;
pub mod probe;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod sealing;
pub mod select;
pub mod signature;
pub mod stack;
mod swap;
pub mod table;
pub mod target_dev;
mod teardown;
mod tool;
pub mod tools;
mod wipe;
