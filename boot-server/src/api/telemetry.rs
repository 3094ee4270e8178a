//! POST /v1/telemetry: events, log lines and heartbeats of a run.

use super::{
    answer::Answer,
    request::{Body, MaybeIdentity},
};
use crate::{https::Peer, server::Server, state::runs::Owner};
use axum::{Json, extract::State};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    telemetry::{Telemetry, TelemetryAck},
};
use std::sync::Arc;

/// A machine without a certificate speaks by the session of its enrolment.
pub async fn post(
    State(server): State<Arc<Server>>,
    peer: Peer,
    MaybeIdentity(identity): MaybeIdentity,
    Body(telemetry): Body<Telemetry>,
) -> Answer<TelemetryAck> {
    let owner = match (identity, &telemetry.session) {
        (Some(identity), _) => Owner::Node(identity.name),
        (None, Some(session)) => {
            let session = Sha256::of(session.as_bytes());
            let known = server.hellos.get(&session, crate::server::now()).is_some()
                || server.state.enrolment_by_session(&session).await?.is_some();
            if !known {
                let cause = "taking in telemetry: this session is not known";
                return Err(Failure::new(Code::EnrolUnknown, cause).into());
            }
            Owner::Session(session)
        }
        (None, None) => {
            return Err(
                Failure::new(Code::Forbidden, "taking in telemetry: it needs a session or a certificate").into()
            );
        }
    };
    Ok(Json(server.take_in(telemetry, &owner, &peer.address.ip().to_string()).await?))
}
