//! `initrd-agent unseal`

use super::{exit_code, log_failure};
use crate::sealed::{self, OPENED};
use ::join::log::Log;
use std::{path::PathBuf, process::ExitCode};

/// Open the keys of this node that its TPM has closed.
///
/// What lies in the secrets folder as NODE.key.tpm is opened into memory, where NODE.key leads. Units that use the key come after it.
#[derive(clap::Args)]
pub struct UnsealArgs {
    /// Where the closed keys are
    #[arg(long, value_name = "DIR", default_value = "/etc/nixos/secrets")]
    secrets_dir: PathBuf,
}

/// Runs `unseal`.
pub fn unseal(args: &UnsealArgs) -> ExitCode {
    Log::install("certificate", None).operation("unseal");
    match sealed::open_all(&args.secrets_dir, OPENED.as_ref()) {
        Ok(count) => {
            tracing::info!("{count} keys are opened by the TPM");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log_failure(&failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}
