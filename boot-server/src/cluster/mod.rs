//! Clusters as their members see them: who is listed, who is well, who leads, and whether a key can be written.
//!
//! The server speaks to the members over mTLS, with a certificate of its own CA that lives for minutes.

pub mod admin_api;
pub mod caller;
pub mod discovery;
pub mod etcd;
pub mod quorum;
mod service;
pub mod survey;
pub mod verify;
