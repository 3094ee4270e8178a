//! The end of a node: its disks are wiped as its plan says, and the machine is switched off.

use super::{
    TARGET,
    manifest::Verified,
    prepare::Machine,
    runner::{
        Attempts::{AtMost, UntilItWorks},
        Run,
    },
};
use disk::{apply, keys::Keys, plan::Plan};
use protocol::{failure::Result, report::WipedReport, step::Step};
use std::path::Path;

/// Wipes what the plan names and reports it.
///
/// # Errors
/// The failure that ends this run.
pub async fn wipe(run: &Run, machine: &Machine, manifest: &Verified, plan: &Plan) -> Result<()> {
    run.step(Step::Disk, AtMost(3), async || wipe_disks(run, plan)).await?;
    let report = WipedReport { run: run.telemetry.run(), generation: manifest.generation };
    run.step(Step::Report, UntilItWorks, async || send_report(machine, &report).await).await
}

fn wipe_disks(run: &Run, plan: &Plan) -> Result<((), String)> {
    let progress = |line: &str| run.note(Step::Disk, line);
    apply::apply(plan, &Keys::default(), Path::new(TARGET), &progress)?.close()?;
    Ok(((), format!("{} disks wiped", plan.disks().len())))
}

async fn send_report(machine: &Machine, report: &WipedReport) -> Result<((), String)> {
    machine.server.wiped(report).await?;
    Ok(((), "the boot-server knows that the disks are wiped".to_owned()))
}
