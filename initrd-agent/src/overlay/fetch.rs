//! An artefact from the boot-server into a file: never more than announced, and right when it is there.

use crate::boot::server::BootServer;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
    image::Artefact,
};
use sha2::Digest;
use std::{fs::File, io::Write, path::Path, time::Duration};

/// No overlay is larger: it is held in memory.
const LARGEST: u64 = 256 << 20;
/// So often, in all.
pub const ATTEMPTS: u32 = 4;
/// A server that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);

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
    matches!(code, Code::ServerUnreachable | Code::Protocol | Code::Tools)
}

async fn transfer(server: &BootServer, artefact: &Artefact, target: &Path) -> Result<()> {
    let mut body = server.artefact(&artefact.sha256).await?.into_body();
    let on_disk = || format!("writing {}", target.display());
    let mut file = File::create(target).map_err(|error| super::merge::unwritable(on_disk(), &error))?;
    let (mut hash, mut received) = (sha2::Sha256::new(), 0u64);
    while let Some(piece) = next(&mut body).await? {
        received += piece.len() as u64;
        if received > artefact.size {
            return Err(broken(format!("more than the {} bytes that are listed came", artefact.size)));
        }
        hash.update(&piece);
        file.write_all(&piece).map_err(|error| super::merge::unwritable(on_disk(), &error))?;
    }
    if received != artefact.size {
        return Err(broken(format!("{received} of {} bytes came", artefact.size)));
    }
    let hash = Sha256(hash.finalize().into());
    if hash != artefact.sha256 {
        return Err(broken(format!("what came has SHA-256 {hash}, not {}", artefact.sha256)));
    }
    Ok(())
}

/// The next bytes; none at the end.
async fn next(body: &mut hyper::body::Incoming) -> Result<Option<Bytes>> {
    loop {
        let silent = |_| {
            let cause = format!("reading the answer: nothing came for {} s", SILENCE.as_secs());
            Failure::new(Code::ServerUnreachable, cause)
        };
        let Some(frame) = tokio::time::timeout(SILENCE, body.frame()).await.map_err(silent)? else { return Ok(None) };
        let frame = frame.or_fail(Code::ServerUnreachable, || "reading the answer")?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
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
