//! `initrd-agent join`, `initrd-agent health-check`

use std::process::ExitCode;

/// Join a cluster.
#[derive(clap::Args)]
pub struct JoinArgs {}

/// Check the health of the cluster's services.
#[derive(clap::Args)]
pub struct HealthArgs {}

/// Runs `join`.
pub fn join(_args: &JoinArgs) -> ExitCode {
    ExitCode::SUCCESS
}

/// Runs `health-check`.
pub fn health_check(_args: &HealthArgs) -> ExitCode {
    ExitCode::SUCCESS
}
