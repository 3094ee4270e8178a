//! End to end: real firmware, iPXE, kernel, Nix binary cache, systemd and etcd, in machines made of QEMU.
//!
//! Needs root, `qemu-tests/setup.sh` and a release build of the workspace.

mod all_in_one;
mod approval;
mod cluster;
mod cuts;
mod disks;
mod grub;
mod harness;
mod install;
mod interrupted;
mod misconfigured;
mod refusals;
mod renewal;
mod restoring;
mod stacked;
mod token;
mod tpm;
mod under_attack;
