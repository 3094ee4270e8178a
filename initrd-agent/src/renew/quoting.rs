//! What the firmware has measured when this system started, told to the boot-server once per start. It takes nobody's time for long,
//! and nothing fails by it.

use super::in_time;
use crate::boot_server::BootServer;
use ::tpm::{self, DEVICE, Tpm, event_log};
use host::{certificate, http};
use join::system;
use protocol::{
    Code,
    encoding::Sha256,
    failure::{OrFail, Result},
    marker::InstallMarker,
    tpm::{QuoteRequest, QuoteWanted, StartQuote, quoted},
};
use std::path::Path;
use tokio::task::spawn_blocking;

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
            let over = quoted(&nonce, &key);
            let quote = spawn_blocking(move || tpm::in_time(move || quote_of(boot, &over))).await;
            let quote = quote.or_fail(Code::Internal, || "asking the TPM")??;
            in_time(server.quote_start(&quote)).await.map(|_| true)
        }
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
