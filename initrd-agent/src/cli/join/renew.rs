//! `initrd-agent renew`

use super::{ConfigArgs, block_on, exit_code, log_failure, service};
use crate::renew::{self, Handover, Outcome, Settings};
use ::join::log::Log;
use nix::fcntl::{Flock, FlockArg};
use protocol::{Code, Failure, failure::Result, marker::MARKER_PATH};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Renew this node's certificate.
///
/// Where two thirds of its life are over, the boot-server gives a new one for the certificate that there is; where it has
/// ended, for the key, which an admin may have to approve by the code that is shown. Before that nothing is done, and the
/// status is 0: a timer may ask as often as it likes.
#[derive(clap::Args)]
pub struct RenewArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// What the installer left: names the boot-server
    #[arg(long, value_name = "FILE", default_value_os_t = Path::new("/").join(MARKER_PATH))]
    install_marker: PathBuf,
    /// Also before it is due
    #[arg(long)]
    force: bool,
    /// Make a new key; the old one is revoked when the new one is stored
    #[arg(long)]
    new_key: bool,
    /// Program that has the services take the new certificate: PROGRAM reload, PROGRAM restart SERVICE. Where it fails it is
    /// run again the next time
    #[arg(long, value_name = "PROGRAM")]
    hook: Option<PathBuf>,
    /// A service that has to be restarted: when the boot-server gives this node the turn, one member after another
    #[arg(long, value_name = "SERVICE", requires = "hook")]
    restart: Vec<String>,
    /// A service that has to be restarted where the roots are others, in the same way
    #[arg(long, value_name = "SERVICE", requires = "hook")]
    restart_for_roots: Vec<String>,
    /// How long each call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    hook_timeout: u64,
}

/// Runs `renew`.
pub fn renew(args: &RenewArgs) -> ExitCode {
    Log::install("certificate", None).operation("renew");
    match renewed(args) {
        Ok(Outcome::NotDue { ends, from }) => {
            tracing::info!(
                "nothing to do: the certificate ends {}, and is renewed from {} on",
                protocol::to_the_second(ends),
                protocol::to_the_second(from)
            );
            ExitCode::SUCCESS
        }
        Ok(Outcome::Renewed { ends }) => {
            tracing::info!("the certificate is renewed: it ends {}", protocol::to_the_second(ends));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log_failure(&failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}

fn renewed(args: &RenewArgs) -> Result<Outcome> {
    // A node may be in no cluster.
    let cluster = args.config.path().exists().then(|| args.config.read()).transpose()?;
    let settings = Settings {
        marker: args.install_marker.clone(),
        secrets_dir: args.config.secrets_dir.clone(),
        cluster,
        wanted: args.force,
        new_key: args.new_key,
        handover: Handover {
            hook: args.hook.clone(),
            patience: Duration::from_secs(args.hook_timeout),
            restart: args.restart.iter().map(|name| service(name)).collect::<Result<_>>()?,
            restart_for_roots: args.restart_for_roots.iter().map(|name| service(name)).collect::<Result<_>>()?,
        },
    };
    let _alone = alone(&args.install_marker)?;
    block_on(renew::run(&settings))
}

/// Two at once would place each other's files.
fn alone(marker: &Path) -> Result<Option<Flock<File>>> {
    // Where there is none, the renewal says so itself. The file itself may be replaced meanwhile.
    let folder = marker.parent().filter(|_| marker.exists());
    let Some(Ok(file)) = folder.map(File::open) else { return Ok(None) };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Some).map_err(|(_, error)| {
        Failure::new(Code::WrongState, format!("locking {}: {error}", marker.display()))
            .with_remedy("another renewal runs: wait for it (systemctl status initrd-agent-renew)")
    })
}
