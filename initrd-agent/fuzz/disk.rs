//! The part of the disk engine that decides.

#[path = "../src/disk/layout/mod.rs"]
pub mod layout;
#[path = "../src/disk/lvm.rs"]
pub mod lvm;
#[path = "../src/disk/md.rs"]
pub mod md;
#[path = "../src/disk/partition_table.rs"]
pub mod partition_table;
#[path = "../src/disk/place.rs"]
pub mod place;
#[path = "../src/disk/plan/mod.rs"]
pub mod plan;
#[path = "../src/disk/probe.rs"]
pub mod probe;
#[path = "../src/disk/select.rs"]
pub mod select;
#[path = "../src/disk/signature.rs"]
pub mod signature;
#[path = "../src/disk/size.rs"]
pub mod size;
#[path = "../src/disk/stack.rs"]
pub mod stack;
#[path = "../src/disk/table.rs"]
pub mod table;
