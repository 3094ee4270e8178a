//! What a node asks and reports with its certificate.

pub mod health;
pub mod installed;
pub mod manifest;
pub mod plan;
pub mod ready;
pub mod secrets;
pub mod snapshot;
pub mod turn;
pub mod wiped;
