//! `initrd-agent inventory`

use hardware::inventory::{self, Roots};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{path::PathBuf, process::ExitCode};

/// Print the hardware as JSON.
#[derive(clap::Args)]
pub struct Args {
    /// A captured tree instead of the running machine: a folder with sys and proc in it, or a sysfs
    #[arg(long, value_name = "DIR")]
    sysfs: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    let roots = args.sysfs.clone().map_or_else(Roots::live, Roots::captured);
    match json(&roots) {
        Ok(json) => {
            host::say!("{json}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            super::print_failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn json(roots: &Roots) -> Result<String> {
    if !roots.sys.is_dir() {
        let cause = format!("reading the hardware from {}: no such folder", roots.sys.display());
        return Err(Failure::new(Code::Config, cause).with_remedy("pass --sysfs with a captured sysfs"));
    }
    serde_json::to_string_pretty(&inventory::read_from(roots)).or_fail(Code::Internal, || "printing the inventory")
}
