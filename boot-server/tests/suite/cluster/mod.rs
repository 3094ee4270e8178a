//! Clusters of real etcd and of a scripted Chainfire, over mTLS.

mod etcd;
mod peer;
pub mod site;
mod taking_out;

mod backing_up;
mod looking;
mod operating;
mod trust;
