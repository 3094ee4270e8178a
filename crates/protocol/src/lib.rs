//! The types that cross the wire between the agent, the boot-server and the image-builder.
//!
//! Nothing here opens a file or a socket, reads a clock or panics on input. Every type refuses unknown keys where an
//! operator writes it, and tolerates them where a newer peer may send more.

pub mod admin;
pub mod arbiter;
pub mod artefact;
pub mod audit;
pub mod boot_trust;
pub mod calls;
pub mod claims;
pub mod closures;
pub mod cluster;
pub mod cluster_address;
#[cfg(test)]
mod cluster_schema;
pub mod content;
pub mod encoding;
pub mod enrol;
pub mod enrol_token;
pub mod failure;
pub mod hint;
pub mod image;
pub mod inventory;
pub mod manifest;
pub mod marker;
pub mod measured;
pub mod modules;
pub mod names;
pub mod operations;
pub mod overlay;
pub mod parse;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod rejection;
pub mod renewal;
pub mod report;
pub mod secrets;
pub mod selector;
pub mod service;
pub mod size;
pub mod spec;
pub mod step;
pub mod telemetry;
pub mod text;
pub mod tokens;
pub mod tpm;
pub mod trust;

pub use failure::{Code, Failure};

/// A point in time as RFC 3339 on the wire.
pub type Timestamp = time::OffsetDateTime;

/// For people: `2026-12-01 9:26:42.0 UTC`, cut to the second. The time has to be in UTC.
#[must_use]
pub fn to_the_second(time: Timestamp) -> String {
    let time = time.replace_nanosecond(0).unwrap_or(time);
    format!("{} {} UTC", time.date(), time.time())
}
