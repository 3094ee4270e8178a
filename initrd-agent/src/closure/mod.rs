//! The closure engine: pulls a Nix closure into a root, verified, in bounded memory (DESIGN.md section 7).

pub mod cli;
