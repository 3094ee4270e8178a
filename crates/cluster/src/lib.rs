//! The clusters that nodes enter, as everybody sees them who speaks to their members: the joiner on a node and the
//! boot-server. Who is meant by an address, how many members are needed, and what the services answer.

pub mod address;
pub mod admin_api;
pub mod client;
pub mod configuration;
pub mod etcd;
pub mod iam;
pub mod quorum;
