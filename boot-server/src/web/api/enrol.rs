//! Enrolment: hello, request, poll; and what machines tell and fetch meanwhile.

use super::{
    answer::Answer,
    request::{Heard, In, Machine},
    routes::Routes,
};
use crate::{netboot::http, server::Services, state::runs::Owner, trust::admission::Session, web::peer::Peer};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use protocol::{Code, Failure, calls, encoding::Sha256, telemetry::TelemetryAck};
use std::{sync::Arc, time::Duration};

/// Longest wait for news, seconds.
const LONGEST: u64 = 50;

/// A machine's calls.
pub fn add(routes: Routes) -> Routes {
    routes
        .call::<calls::Hello, _>(hello)
        .call::<calls::Enrol, _>(enrol)
        .call::<calls::PollEnrolment, _>(poll)
        .call::<calls::ProveTpm, _>(prove)
        .call::<calls::Artefact, _>(artefact)
        .call::<calls::DeliverTelemetry, _>(telemetry)
}

async fn hello(State(services): State<Arc<Services>>, In(request): In<calls::Hello>) -> Answer<calls::Hello> {
    Ok(Json(services.admission.hello(request)?))
}

async fn enrol(
    State(services): State<Arc<Services>>,
    peer: Peer,
    In(request): In<calls::Enrol>,
) -> Answer<calls::Enrol> {
    Ok(Json(services.admission.enrol(request, peer.address).await?))
}

/// Answers at once where there is news, else after the wait.
async fn poll(
    State(services): State<Arc<Services>>,
    Path(session): Path<String>,
    In(poll): In<calls::PollEnrolment>,
) -> Answer<calls::PollEnrolment> {
    Ok(Json(services.admission.poll(&session, Duration::from_secs(poll.wait.min(LONGEST))).await?))
}

async fn prove(
    State(services): State<Arc<Services>>,
    Path(session): Path<String>,
    In(proof): In<calls::ProveTpm>,
) -> Answer<calls::ProveTpm> {
    Ok(Json(services.admission.prove(&session, proof).await?))
}

/// Whoever trusts this server may read it, with or without a certificate: nothing in an image is secret, and kernel and
/// initrd go out in the clear on the other port.
async fn artefact(State(services): State<Arc<Services>>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    http::serve_artefact(services.config.images.dir.clone(), headers, hash).await
}

/// A machine without a certificate speaks by the session of its enrolment.
async fn telemetry(
    State(services): State<Arc<Services>>,
    peer: Peer,
    Machine(node): Machine,
    _: Heard,
    In(telemetry): In<calls::DeliverTelemetry>,
) -> Answer<calls::DeliverTelemetry> {
    let refused = |code, cause: &str| Failure::new(code, format!("taking in telemetry: {cause}"));
    let owner = match (node, &telemetry.session) {
        (Some(node), _) => Owner::Node(node.name),
        (None, Some(session)) => {
            let session = Sha256::of(session.as_bytes());
            match services.admission.session(&session).await? {
                Session::Enrolled => Owner::Session(session),
                // It is sent again once the machine has enrolled.
                Session::Greeted => return Ok(Json(TelemetryAck { events_through: 0, lines_through: 0 })),
                Session::Unknown => return Err(refused(Code::EnrolUnknown, "this session is not known").into()),
            }
        }
        (None, None) => return Err(refused(Code::Forbidden, "it needs a session or a certificate").into()),
    };
    Ok(Json(services.intake.take_in(telemetry, &owner, &peer.address.to_string()).await?))
}
