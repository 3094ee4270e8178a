//! `initrd-agent join` and `health-check` against real etcd and against peers that answer as documented.

#![allow(clippy::disallowed_methods, reason = "tests start programs to judge them")]
#![allow(clippy::unwrap_used, reason = "a test that panics is a test that failed")]

mod admin_api;
mod answers;
mod arbiter;
mod believing;
mod boot_server;
mod configuration;
mod discovery;
mod etcd;
mod etcd_process;
mod iam;
mod in_the_way;
mod lost_data;
mod memory;
mod node;
mod preflight;
mod renewal;
mod restoring;
