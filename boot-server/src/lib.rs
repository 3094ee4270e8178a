//! The boot-server: everything a machine meets between its firmware and its place in the cluster.
//!
//! A library with a thin binary, so that each leg can be run alone in a test.

pub mod admission;
pub mod api;
pub mod apply;
pub mod arbiter;
pub mod backup;
pub mod ca;
pub mod cache;
pub mod cli;
pub mod closures;
pub mod cluster;
pub mod command;
pub mod config;
pub mod context;
pub mod dhcp;
pub mod enrolment;
pub mod files;
pub mod folder;
pub mod health;
pub mod http;
pub mod https;
pub mod install;
pub mod intake;
pub mod ipxe;
pub mod lifecycle;
pub mod manifest;
pub mod operation;
mod page_cache;
pub mod policy;
pub mod presence;
pub mod random;
pub mod revoked;
pub mod router_advert;
pub mod server;
pub mod sessions;
pub mod site;
pub mod spec_check;
pub mod state;
pub mod tftp;
pub mod tls_client;
pub mod ui;
pub mod view;
pub mod vitals;
