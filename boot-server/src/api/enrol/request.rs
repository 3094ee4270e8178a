//! POST /v1/enrol

use crate::{
    api::{answer::Answer, request::Body},
    https::Peer,
    server::Server,
};
use axum::{Json, extract::State};
use protocol::enrol::{EnrolReply, EnrolRequest};
use std::sync::Arc;

/// The CSR, the claims and the inventory; the answer says where the enrolment stands.
pub async fn post(
    State(server): State<Arc<Server>>,
    peer: Peer,
    Body(request): Body<EnrolRequest>,
) -> Answer<EnrolReply> {
    Ok(Json(server.enrol(request, &peer.address.ip().to_string()).await?))
}
