//! What is of no use any more is forgotten, so that the state does not grow for ever.

use crate::{
    base::{bell::Stop, clock::now},
    state::State,
};
use protocol::failure::Result;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(3600);

/// Forgets once an hour, until the server stops.
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
    unit.commit().await
}
