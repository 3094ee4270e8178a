//! Reads the hardware from sysfs, procfs and DMI.

pub mod cli;
