//! The disk engine: disko's layout onto exactly the disks that were meant (DESIGN.md sections 6 and 11).
//!
//! `layout` reads what the operator wrote, `select` finds the disk, `plan` decides everything, and only what
//! takes a [`plan::Plan`] writes.

pub mod apply;
#[allow(dead_code, reason = "called by apply")]
pub mod exclusive;
#[allow(dead_code, reason = "called by plan and apply")]
pub mod health;
pub mod layout;
mod lvm;
#[allow(dead_code, reason = "called by apply")]
mod mapper;
mod md;
pub mod mount;
pub mod plan;
pub mod probe;
pub mod select;
pub mod signature;
pub mod size;
pub mod stack;
pub mod table;
#[allow(dead_code, reason = "called by apply")]
pub mod teardown;
#[allow(dead_code, reason = "called by apply")]
pub mod wipe;
