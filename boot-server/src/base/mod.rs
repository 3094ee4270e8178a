//! The ground: what the machine underneath gives, and how the parts of one process speak to one another.

pub mod allowance;
pub mod bell;
pub mod clock;
pub mod credentials;
pub mod files;
pub mod hashing;
pub mod health;
pub mod network;
pub mod pace;
pub mod places;
pub mod random;
pub mod requests;
pub mod shares;
pub mod span;
