//! GET /metrics

use crate::{
    base::clock::now,
    fleet::metrics,
    server::Services,
    web::api::{answer::Refused, request::Admin},
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// All of them as they are now.
pub async fn read(State(services): State<Arc<Services>>, _: Admin) -> Result<Response, Refused> {
    let nodes = services.view.summaries().await?;
    let text = metrics::openmetrics(&nodes, services.ca.authority().certificates(), now())?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
