//! First boot: from an installed system to a healthy member of its cluster (DESIGN.md section 8).

pub mod cli;
