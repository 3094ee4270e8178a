//! The boot-server: everything a machine meets between its firmware and its place in the cluster.
//!
//! A library with a thin binary, so that each leg can be run alone in a test. Each wing uses those before it and none
//! after it; `.ci/check-modules` holds them to it. What tests use is public, the rest is not, so that the compiler
//! sees what nobody uses.

// host::say! and its like do not panic where the reader has gone.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod base;

pub mod domain;

mod state;

pub mod cache;

pub mod netboot;

pub mod config;

pub mod trust;

mod fleet;

mod clusters;

pub mod server;

mod web;

#[cfg(fuzzing)]
pub use web::properties;

pub mod cli;
