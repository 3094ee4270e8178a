//! `initrd-agent check-config`

use super::{ConfigArgs, exit_code, service};
use crate::cli::print_failure;
use ::join::configuration;
use ::join::driver::{Way, decide};
use protocol::{failure::Result, service::Service};
use std::process::ExitCode;

/// Check the cluster configuration, and contact nobody.
#[derive(clap::Args)]
pub struct CheckConfigArgs {
    /// Services that the node enters: what they need is asked for as well
    services: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs `check-config`.
pub fn check_config(args: &CheckConfigArgs) -> ExitCode {
    match checked(args) {
        Ok(line) => {
            host::say!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print_failure(&failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}

fn checked(args: &CheckConfigArgs) -> Result<String> {
    let config = args.config.read()?;
    let services = args.services.iter().map(|name| service(name)).collect::<Result<Vec<_>>>()?;
    // Where none is named, those whose members are in the configuration alone.
    let asked = if services.is_empty() { vec![Service::Etcd] } else { services };
    for service in asked {
        configuration::check(&config, service, config.port_of(service).unwrap_or(service.port()))?;
    }
    if config.bootstrap {
        configuration::own_founder(&config)?;
    }
    for remark in configuration::remarks(&config) {
        host::tell!("note: {remark}");
    }
    let way = match decide(Service::Etcd, &config) {
        Way::Bootstrap => "founds",
        Way::Join => "joins",
    };
    Ok(format!("{}: {} {way} the cluster {}", args.config.path().display(), config.node_id, config.cluster_name))
}
