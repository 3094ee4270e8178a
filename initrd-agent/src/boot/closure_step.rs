//! The closure step: the engine of `closure`, with its progress on the consoles and the server.

use super::{manifest::Verified, prepare::Machine, runner::Run};
use crate::boot_server::cache_client;
use closure::{Limits, Summary};
use protocol::{failure::Result, size::human, telemetry::Progress};
use std::{path::Path, time::Duration};
use tokio::{sync::watch, time::interval};

/// How often the consoles get a line; a serial line is slow.
const CONSOLE_EVERY: u32 = 10;
const TICK: Duration = Duration::from_millis(500);

/// Pulls the manifest's closure below `root` and makes it the system profile.
///
/// # Errors
/// Those of the engine.
pub async fn pull(run: &Run, machine: &Machine, manifest: &Verified, root: &Path) -> Result<(Summary, String)> {
    let http = cache_client(&machine.anchors, machine.server.url())?;
    let system = &manifest.system;
    let request = closure::Request {
        toplevels: std::slice::from_ref(&system.toplevel),
        substituters: &system.substituters,
        trusted_public_keys: &system.trusted_public_keys,
        root,
        check: false,
        optimise: false,
        http,
        netrc: closure::Netrc::default(),
        limits: Limits::default(),
    };
    let (progress, watched) = watch::channel(Progress::default());
    let shown = tokio::spawn(show(run.clone(), watched));
    let summary = closure::install(request, &progress).await;
    shown.abort();
    let summary = summary?;
    closure::set_system_profile(root, &system.toplevel)?;
    let detail = format!(
        "{} paths fetched ({}), {} were there",
        summary.paths_fetched,
        human(summary.nar_bytes),
        summary.paths_present
    );
    Ok((summary, detail))
}

async fn show(run: Run, watched: watch::Receiver<Progress>) {
    let mut ticks = interval(TICK);
    for tick in 0u32.. {
        ticks.tick().await;
        let now = *watched.borrow();
        run.telemetry.progress(now);
        if tick % CONSOLE_EVERY == CONSOLE_EVERY - 1 {
            run.console.line(&format!(
                "   {}/{} paths, {} of {}",
                now.done_paths,
                now.total_paths,
                human(now.done_bytes),
                human(now.total_bytes)
            ));
        }
    }
}
