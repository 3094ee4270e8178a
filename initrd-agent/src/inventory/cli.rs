//! `initrd-agent inventory`

use super::Roots;
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
    use protocol::{Code, Failure};
    let roots = args.sysfs.clone().map_or_else(Roots::live, Roots::captured);
    let printed = match serde_json::to_string_pretty(&super::read_from(&roots)) {
        _ if !roots.sys.is_dir() => {
            let cause = format!("reading the hardware from {}: no such folder", roots.sys.display());
            Err(Failure::new(Code::Config, cause).with_remedy("pass --sysfs with a captured sysfs"))
        }
        Ok(json) => Ok(println!("{json}")),
        Err(error) => Err(Failure::from_error(Code::Internal, "printing the inventory", &error)),
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            crate::cli::print_failure(&failure);
            ExitCode::FAILURE
        }
    }
}
