//! What the firmware has measured when this system started, told to the boot-server once per start. It takes nobody's time for long,
//! and nothing fails by it.

use super::in_time;
use crate::boot_server::BootServer;
use ::tpm::{DEVICE, Tpm, event_log};
use host::{certificate, http};
use join::system;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    marker::InstallMarker,
    tpm::{QuoteRequest, QuoteWanted, StartQuote, quoted},
};
use std::{path::Path, thread, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// A chip makes a key of P-256 in a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells it, where this machine has a TPM and the server wants to hear of it. What fails is tried again the next time.
pub async fn tell(marker: &InstallMarker, shown: http::Identity) {
    if !Path::new(DEVICE).exists() {
        return;
    }
    match told(marker, shown).await {
        Ok(true) => tracing::info!("the boot-server knows what was measured when this system started"),
        Ok(false) => {}
        Err(failure) => {
            let code = failure.code.as_str();
            tracing::warn!(code, remedy = failure.remedy, "going on without the TPM: {}", failure.cause);
        }
    }
}

/// Whether there was something to be told.
async fn told(marker: &InstallMarker, shown: http::Identity) -> Result<bool> {
    let Some(boot) = system::boot_id() else { return Ok(false) };
    let Some(key) = certificate::spki(&shown.chain[0]) else { return Ok(false) };
    let server = BootServer::new(&marker.server, &super::learning::anchors(marker), Some(shown))?;
    match in_time(server.ask_quote(&QuoteRequest { boot })).await? {
        QuoteWanted::No => Ok(false),
        QuoteWanted::Yes { nonce } => {
            let quote = quoted_in_time(boot, quoted(&nonce, &key)).await?;
            in_time(server.quote_start(&quote)).await.map(|_| true)
        }
    }
}

/// A chip that hangs in the kernel has a thread of its own, for which nobody waits.
async fn quoted_in_time(boot: Sha256, over: [u8; 32]) -> Result<StartQuote> {
    let failed = |why: &str| Failure::new(Code::Tpm, format!("asking the TPM: {why}"));
    let (quote, answer) = oneshot::channel();
    thread::spawn(move || drop(quote.send(quote_of(boot, &over))));
    match timeout(PATIENCE, answer).await {
        Ok(Ok(quote)) => quote,
        Ok(Err(_)) => Err(failed("it ended without an answer")),
        Err(_) => Err(failed(&format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

fn quote_of(boot: Sha256, over: &[u8; 32]) -> Result<StartQuote> {
    let (key, quote) = Tpm::open(Path::new(DEVICE))?.quote_alone(over)?;
    let log = event_log::found(Path::new(event_log::KERNEL));
    Ok(StartQuote {
        boot,
        quoting: key.area().to_vec(),
        attested: quote.attested,
        signature: quote.signature,
        pcrs: quote.pcrs,
        log,
    })
}
