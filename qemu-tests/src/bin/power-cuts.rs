//! A long campaign of power cuts while a machine writes a store.

use anyhow::Result;
use clap::Parser;
use qemu_tests::{campaign::Campaign, lab::Lab, power_cut::Random, server::Admission};

/// Cuts machines off from power while they write a store, and judges what every cut has left. Needs root,
/// `qemu-tests/setup.sh` and a build of the workspace with the profile of this program.
#[derive(Debug, Parser)]
struct Args {
    /// How many cuts are judged.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What decides when a cut comes and what it loses; printed where it is not given.
    #[arg(long, env = "CENTRA_SEED")]
    seed: Option<u64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut random = args.seed.map_or_else(|| Random::of_this_run("power-cuts"), |seed| Ok(Random::new(seed)))?;
    let lab = Lab::open("power-cuts", Admission::OpenLab)?;
    let campaign = Campaign::prepare(&lab)?;
    let whole_run = campaign.a_disk_that_forgets_its_flushes_is_caught(&mut random)?;
    campaign.cut(args.rounds, whole_run, &mut random)
}
