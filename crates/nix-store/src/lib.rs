//! What is true of every Nix store path on its way from a binary cache to a disk.
//!
//! A [`narinfo`] says what a path is and a [`signature`] that somebody trusted says so; its archive ([`nar`]) comes
//! from a [`cache`], through [`decompress`], into a folder ([`tree`]), or is made of one ([`pack`]).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start Nix to judge us"))]

pub mod body;
pub mod cache;
pub mod content_address;
pub mod decompress;
pub mod fault;
pub mod hashing;
pub mod nar;
pub mod narinfo;
pub mod pack;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod retry;
pub mod signature;
pub mod tree;
