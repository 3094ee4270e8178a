//! The disk engine: disko's layout onto exactly the disks that were meant (DESIGN.md sections 6 and 11).
//!
//! `layout` reads what the operator wrote, `select` finds the disk, `plan` decides everything, and only what
//! takes a [`plan::Plan`] writes.

pub mod apply;
pub mod cli;
#[cfg(test)]
mod corpus;
mod device_node;
mod exclusive;
pub mod health;
pub mod keys;
mod layout;
mod lvm;
mod mapper;
mod md;
pub mod mount;
mod opened;
mod partition_table;
mod place;
pub mod plan;
pub mod probe;
pub mod select;
pub mod signature;
pub mod size;
pub mod stack;
mod swap;
pub mod table;
mod teardown;
mod tool;
mod wipe;
