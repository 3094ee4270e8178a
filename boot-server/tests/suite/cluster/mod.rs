//! Clusters of real etcd and of a scripted Chainfire, over mTLS.

mod etcd;
mod peer;
mod site;

mod backing_up;
mod looking;
mod operating;
