//! Builds the demo system and its binary cache, and says where they are, as JSON.

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;

/// Build the NixOS-shaped demo system.
#[derive(Parser)]
struct Args {
    /// The agent to put inside; the release build's where absent.
    #[arg(long)]
    agent: Option<PathBuf>,
}

fn main() -> Result<()> {
    let agent = Args::parse().agent.map_or_else(|| qemu_tests::paths::binary("initrd-agent"), Ok)?.canonicalize()?;
    let system = qemu_tests::demo_system::build(&agent)?;
    let shown = serde_json::json!({
        "toplevel": system.toplevel,
        "closurePaths": system.closure.len(),
        "binaryCache": system.binary_cache,
        "publicKey": system.public_key,
        "kernel": system.kernel.release,
    });
    println!("{shown:#}");
    Ok(())
}
