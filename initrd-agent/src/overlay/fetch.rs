//! An artefact from the boot-server into a file: never more than announced, and right when it is there.

use crate::boot_server::BootServer;
use host::http::{self, Broken};
use protocol::{Code, Failure, artefact::Artefact, failure::Result};
use std::{fs::File, path::Path, time::Duration};

/// No overlay is larger: it is held in memory.
const LARGEST: u64 = 256 << 20;
/// So often, in all.
pub const ATTEMPTS: u32 = 4;

/// Fetches the artefact into a new file; where that fails there is none. Overlays are small, so another attempt begins at
/// the beginning, after a pause that doubles.
///
/// # Errors
/// `E-TOOLS` where what comes is not what the image lists, or the server does not have it; those of the connection.
pub async fn fetch(server: &BootServer, artefact: &Artefact, target: &Path, mut pause: Duration) -> Result<()> {
    if artefact.size > LARGEST {
        let cause = format!("it is listed with {} bytes, more than the {LARGEST} that any has", artefact.size);
        return Err(Failure::new(Code::Tools, cause));
    }
    let mut failures = 0;
    while let Err(failure) = transfer(server, artefact, target).await {
        let _ = std::fs::remove_file(target);
        failures += 1;
        if failures == ATTEMPTS || !may_get_better(failure.code) {
            return Err(explained(failure));
        }
        tracing::info!("attempt {failures} of {ATTEMPTS}: {failure}");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

fn may_get_better(code: Code) -> bool {
    matches!(code, Code::ServerUnreachable | Code::Busy | Code::Protocol | Code::Tools)
}

async fn transfer(server: &BootServer, artefact: &Artefact, target: &Path) -> Result<()> {
    let answer = server.artefact(&artefact.sha256).await?;
    let unwritable = |error| super::merge::unwritable(format!("writing {}", target.display()), &error);
    let file = File::create(target).map_err(unwritable)?;
    http::download(answer, file, artefact.size, &artefact.sha256).await.map_err(|broken| match broken {
        Broken::Connection(failure) => failure,
        Broken::Content(cause) => self::broken(cause),
        Broken::File(error) => unwritable(error),
    })
}

/// What is between here and the server may have broken it, so another attempt is worth it.
fn broken(cause: String) -> Failure {
    Failure::new(Code::Tools, cause).with_remedy("deploy the image again: image-builder deploy")
}

/// A server that has another image than this machine runs cannot help it.
fn explained(failure: Failure) -> Failure {
    match failure.code {
        Code::NotFound => Failure { code: Code::Tools, ..failure }
            .with_remedy("another image was deployed since this machine booted: restart it, so that it boots that one"),
        _ => failure,
    }
}
