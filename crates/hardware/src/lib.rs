//! What this machine is: its inventory, its drivers, its firmware's boot entries.

pub mod coldplug;
pub mod efi;
pub mod inventory;
