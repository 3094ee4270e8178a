//! `initrd-agent join` and `health-check` against real etcd and against peers that answer as documented.

mod boot_server;
mod certificates;
mod chainfire;
mod configuration;
mod etcd;
mod etcd_process;
mod node;
mod peer;
