//! The nodes: what operators apply, what each boots and installs, and how it is.

pub mod boots;
pub mod closures;
pub mod expiry;
pub mod installs;
pub mod intake;
pub mod metrics;
pub mod pushes;
pub mod secrets;
pub mod spec_check;
pub mod specs;
pub mod upkeep;
pub mod view;
pub mod vitals;
mod waiting;
