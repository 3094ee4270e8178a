//! Builds the demo system and its binary cache, and says where they are, as JSON.

use anyhow::Result;
use clap::Parser;
use qemu_tests::demo_system::Kind;
use std::path::PathBuf;

/// Build the NixOS-shaped demo system.
#[derive(Parser)]
struct Args {
    /// The agent to put inside; the release build's where absent.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// MOUNTPOINT:DEVICE:OPTIONS that stage 1 mounts, for a root on a stack.
    #[arg(long = "mount")]
    mounts: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let agent = args.agent.map_or_else(|| qemu_tests::paths::binary("initrd-agent"), Ok)?.canonicalize()?;
    let mounts: Vec<&str> = args.mounts.iter().map(String::as_str).collect();
    let kind = if mounts.is_empty() { Kind::Plain } else { Kind::Stacked(&mounts) };
    let system = qemu_tests::demo_system::build(&agent, kind)?;
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
