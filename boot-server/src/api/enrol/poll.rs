//! GET /v1/enrol/SESSION?wait=SECONDS

use crate::{api::answer::Answer, server::Server};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use protocol::enrol::EnrolReply;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// Longest wait for news, seconds.
const LONGEST: u64 = 50;

/// The query.
#[derive(Debug, Deserialize)]
pub struct Poll {
    /// Seconds to wait for news.
    #[serde(default)]
    wait: u64,
}

/// Answers at once where there is news, else after the wait.
pub async fn get(
    State(server): State<Arc<Server>>,
    Path(session): Path<String>,
    Query(poll): Query<Poll>,
) -> Answer<EnrolReply> {
    Ok(Json(server.poll(&session, Duration::from_secs(poll.wait.min(LONGEST))).await?))
}
