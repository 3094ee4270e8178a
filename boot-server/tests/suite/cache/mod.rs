//! The binary cache, with real Nix at the other end.

mod hostile;
mod index;
mod push;
mod world;
