//! The binary cache, with real Nix at the other end.

mod crash;
mod hostile;
mod import;
mod index;
mod push;
mod together;
mod upkeep;
mod world;
