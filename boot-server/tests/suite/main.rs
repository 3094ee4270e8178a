//! The real binary on loopback: what machines, nodes and admins meet.

#![allow(clippy::unwrap_used, missing_docs)]
// The server under test is a child process; `lab` owns it.
#![allow(clippy::disallowed_methods)]

mod admin;
mod admin_certificates;
mod admission;
mod artefacts;
mod audit;
mod boot_trust;
mod ca;
mod cache;
mod calls;
mod checks;
mod cluster;
mod command_line;
mod durability;
mod earlier;
mod enrolment;
mod event_log;
mod floods;
mod health;
mod installing;
mod ipxe_trust;
mod lab;
mod logs;
mod machine;
mod oidc;
mod privileges;
mod proxies;
mod rejection;
mod renewal;
mod revocation;
mod secrets;
mod starts;
mod strangers;
mod tls;
mod tokens;
mod tpm;
mod turns;
