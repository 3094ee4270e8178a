//! Machines made of QEMU: the demo system, the harness, the demo and the end-to-end tests.
//!
//! Runs the binaries and links none of them; what they say is read as JSON.

pub mod campaign;
pub mod certificates;
pub mod child;
pub mod cluster_peer;
pub mod command;
pub mod demo_system;
pub mod disk;
pub mod disk_lab;
pub mod drawn_closure;
pub mod etcd;
pub mod flood;
pub mod lab;
pub mod machine;
pub mod netboot;
pub mod network;
pub mod node;
pub mod paths;
pub mod power_cut;
pub mod proxy;
pub mod qmp;
pub mod server;
pub mod swtpm;
pub mod timeline;
pub mod vmlinux;
pub mod wait;
