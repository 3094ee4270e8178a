//! What is kept of machines, nodes and clusters, and what follows from it: pure, with time as an argument.

pub mod addresses;
pub mod arbiter;
pub mod audit;
pub mod boot;
pub mod enrolment;
pub mod lifecycle;
pub mod measured;
pub mod operation;
pub mod plan;
pub mod tpm;
pub mod vitals;
