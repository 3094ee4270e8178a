//! `initrd-agent health-check`

use super::{Common, block_on, service};
use ::join::{
    driver::Settings,
    health::{self, Health},
    markers,
};
use protocol::{Code, Failure, cluster::ClusterConfig, failure::Result, service::Service};
use std::{process::ExitCode, time::Duration};

/// Check the health of the cluster's services.
#[derive(clap::Args)]
pub struct HealthArgs {
    /// Services to check; those that have a marker where none is named
    services: Vec<String>,
    #[command(flatten)]
    common: Common,
    /// How long a service may take to become healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// Runs `health-check`.
pub fn health_check(args: &HealthArgs) -> ExitCode {
    let checked = args.common.config.read().and_then(|config| block_on(checked(args, config)));
    match checked {
        Ok(health) => {
            host::say!("{}", serde_json::to_string(&health).unwrap_or_default());
            ExitCode::from(u8::from(!health.healthy))
        }
        Err(failure) => {
            host::say!("{}", serde_json::json!({"healthy": false, "failure": failure}));
            ExitCode::FAILURE
        }
    }
}

async fn checked(args: &HealthArgs, config: ClusterConfig) -> Result<Health> {
    let mut services = args.services.iter().map(|name| service(name)).collect::<Result<Vec<Service>>>()?;
    if services.is_empty() {
        for service in Service::ALL {
            if markers::find(&args.common.state_dir, service)?.is_some() {
                services.push(service);
            }
        }
    }
    if services.is_empty() {
        let cause = format!("looking for markers in {}: no service has been joined", args.common.state_dir.display());
        return Err(Failure::new(Code::NotFound, cause).with_remedy("join a service first, or name the services"));
    }
    let mut health = Health { healthy: true, node: config.node_id.clone(), services: Vec::new() };
    for service in services {
        let settings =
            Settings { health_timeout: Duration::from_secs(args.timeout), ..args.common.settings(service, &config) };
        let (node, _) = args.common.node(service, config.clone(), settings)?;
        health.services.push(health::check(&node).await);
    }
    health.healthy = health.services.iter().all(|service| service.healthy);
    match args.common.link() {
        Ok(Some(link)) => health.report(&link).await,
        Ok(None) => {}
        Err(failure) => host::tell!("reporting the health: {failure}"),
    }
    Ok(health)
}
