//! The boot-server's binary.

fn main() {}
