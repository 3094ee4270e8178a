//! A flood by hand: a server is under attack for so long, and the memory that it takes is told.

use anyhow::{Context, Result};
use clap::Parser;
use qemu_tests::{
    flood::{Flood, Way, memory_of},
    network::{HOST, Network},
    server::{Admission, Server},
};
use std::{path::PathBuf, sync::Arc, thread::sleep, time::Duration};

/// Serve from a new folder in a network of its own, and let a stranger do his worst.
///
/// The network's namespace is printed: `ip netns exec NAME ...` is an honest machine of it.
#[derive(Parser)]
struct Args {
    /// Folder to make
    dir: PathBuf,
    /// silence, crowd, bodies, enrolments, readers, transfers, scripts [default: all of them]; `--way none` for none
    #[arg(long = "way", value_name = "WAY")]
    ways: Vec<String>,
    /// How long
    #[arg(long, default_value = "60")]
    seconds: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let ways: Vec<Way> = match args.ways.as_slice() {
        [] => Way::ALL.to_vec(),
        [none] if none == "none" => Vec::new(),
        named => named.iter().map(|way| way.parse()).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?,
    };
    let network = Network::create()?;
    Server::init(&args.dir)?;
    let mut server = Server::configure(&args.dir, Admission::OpenLab, &args.dir.join("cache"))?;
    server.start(&network)?;
    let stranger = Arc::new(network.crowd(200)?);
    let process = server.process().context("a server that was started has a process")?;
    println!("{} {HOST} {process}", network.name());
    let flood = Flood::begin(&stranger, &args.dir.join("ca.crt"), &ways)?;
    for second in 1..=args.seconds {
        sleep(Duration::from_secs(1));
        if second.is_multiple_of(5) {
            let (now, most) = (memory_of(process, "VmRSS")?, memory_of(process, "VmHWM")?);
            eprintln!("{second} s: {now} MiB, {most} at most; {:?}", flood.counts());
        }
    }
    Ok(())
}
