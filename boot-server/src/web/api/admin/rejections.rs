//! /v1/machines/NAME/reject and /v1/rejections: machines that an admin refuses.

use crate::{
    server::Services,
    web::api::{
        answer::Answer,
        request::{Admin, In},
    },
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::calls;
use std::sync::Arc;

/// A machine that waits is refused.
pub async fn reject(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::Reject>,
) -> Answer<calls::Reject> {
    let waiting = services.view.waiting(&name).await?;
    Ok(Json(services.admission.reject(&waiting, &request, &actor).await?))
}

/// Those that were refused.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Rejections> {
    Ok(Json(services.admission.rejections()))
}

/// It waits again.
pub async fn undo(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
) -> Answer<calls::Unreject> {
    Ok(Json(services.admission.unreject(&name, &actor).await?))
}
