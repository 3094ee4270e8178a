//! The HTTPS port: the API of agents and admins, and the admin's page.

pub mod api;
mod clients;
pub mod forwarded;
pub mod https;
mod listed;
pub mod page_certificate;
pub mod peer;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod seat;
pub mod ui;
