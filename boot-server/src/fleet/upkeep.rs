//! What is of no use any more is forgotten, so that the state does not grow for ever.

use crate::{
    base::{bell::Stop, clock::now},
    state::{State, forgetting::Bounds},
    trust::certificates::MOST_OF_KEY,
};
use protocol::failure::Result;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(300);
/// Many times what a fleet that is well brings; docs/threat-model.md has them as a table.
const BOUNDS: Bounds = Bounds {
    superseded: 5_000,
    runs_of_strangers: 10_000,
    runs_of_node: 200,
    certificates_of_key: MOST_OF_KEY,
    entries_of_node: 5_000,
    entries_of_none: 20_000,
};

/// Forgets every five minutes, until the server stops.
pub async fn run(state: State, strangers: time::Duration, stop: Stop) {
    let mut stopping = stop.listen();
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        wait = EVERY;
        if let Err(failure) = forget(&state, strangers).await {
            tracing::warn!(%failure, "forgetting what is old");
        }
    }
}

async fn forget(state: &State, strangers: time::Duration) -> Result<()> {
    let mut unit = state.begin().await?;
    unit.forget_old(now() - strangers).await?;
    unit.forget_beyond(&BOUNDS).await?;
    unit.commit().await
}
