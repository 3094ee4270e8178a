//! What a node asks and reports with its certificate.

use super::{
    answer::{Answer, Refused},
    request::{Identity, In},
    routes::Routes,
};
use crate::{netboot::http, server::Services, web::peer::Peer};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use protocol::{
    calls::{self, Nothing},
    report::{InstalledReply, PlanReply},
};
use std::sync::Arc;

/// A node's calls.
pub fn add(routes: Routes) -> Routes {
    routes
        .call::<calls::Manifest, _>(manifest)
        .call::<calls::Secrets, _>(secrets)
        .call::<calls::Plan, _>(plan)
        .call::<calls::Installed, _>(installed)
        .call::<calls::Wiped, _>(wiped)
        .call::<calls::Ready, _>(ready)
        .call::<calls::Health, _>(health)
        .call::<calls::Renew, _>(renew)
        .call::<calls::Trust, _>(trust)
        .call::<calls::KeyInUse, _>(key_in_use)
        .call::<calls::AskQuote, _>(ask_quote)
        .call::<calls::QuoteStart, _>(quote_start)
        .call::<calls::AskTurn, _>(turn)
        .call::<calls::AskRestart, _>(restart)
        .call::<calls::Restarted, _>(restarted)
        .call::<calls::Snapshot, _>(snapshot)
}

async fn manifest(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::Manifest>,
) -> Answer<calls::Manifest> {
    Ok(Json(services.installs.manifest(&node.name, &node.key, request).await?))
}

async fn secrets(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(wanted): In<calls::Secrets>,
) -> Answer<calls::Secrets> {
    Ok(Json(services.installs.secrets(&node.name, &node.key, wanted.generation, node.from).await?))
}

async fn plan(State(services): State<Arc<Services>>, node: Identity, In(plan): In<calls::Plan>) -> Answer<calls::Plan> {
    let decision = services.installs.plan(&node.name, &node.key, plan).await?;
    Ok(Json(PlanReply { decision }))
}

async fn installed(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(report): In<calls::Installed>,
) -> Answer<calls::Installed> {
    services.installs.installed(&node.name, &node.key, report, node.from).await?;
    Ok(Json(InstalledReply { recorded: true }))
}

/// The node is retired, and its key revoked by this report; the same key may say it again.
async fn wiped(
    State(services): State<Arc<Services>>,
    peer: Peer,
    In(report): In<calls::Wiped>,
) -> Answer<calls::Wiped> {
    services.operations.wiped(peer.key, report, peer.address).await?;
    Ok(Json(Nothing {}))
}

async fn ready(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(report): In<calls::Ready>,
) -> Answer<calls::Ready> {
    services.arbiter.ready(&node.name, &node.key, report, node.from).await?;
    Ok(Json(Nothing {}))
}

async fn health(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(report): In<calls::Health>,
) -> Answer<calls::Health> {
    services.vitals.heard(&node.name, &node.key, report).await?;
    Ok(Json(Nothing {}))
}

async fn renew(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::Renew>,
) -> Answer<calls::Renew> {
    Ok(Json(services.certificates.renew(&node.name, &node.key, request, node.from).await?))
}

async fn trust(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(believed): In<calls::Trust>,
) -> Answer<calls::Trust> {
    Ok(Json(services.certificates.trust(&node.name, &node.key, believed).await?))
}

/// Whoever shows a new key has stored its certificate: it was made the node's before this was reached.
async fn key_in_use(_: Identity, In(Nothing {}): In<calls::KeyInUse>) -> Answer<calls::KeyInUse> {
    Ok(Json(Nothing {}))
}

async fn ask_quote(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::AskQuote>,
) -> Answer<calls::AskQuote> {
    Ok(Json(services.quotes.wanted(&node.name, &node.key, request).await?))
}

async fn quote_start(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(quote): In<calls::QuoteStart>,
) -> Answer<calls::QuoteStart> {
    services.quotes.take_in(&node.name, &node.key, quote, node.from).await?;
    Ok(Json(Nothing {}))
}

async fn turn(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::AskTurn>,
) -> Answer<calls::AskTurn> {
    Ok(Json(services.arbiter.turn(&node.name, &node.key, request).await?))
}

async fn restart(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::AskRestart>,
) -> Answer<calls::AskRestart> {
    Ok(Json(services.arbiter.restart(&node.name, &node.key, request).await?))
}

async fn restarted(
    State(services): State<Arc<Services>>,
    node: Identity,
    In(request): In<calls::Restarted>,
) -> Answer<calls::Restarted> {
    services.arbiter.restarted(&node.name, &node.key, request).await?;
    Ok(Json(Nothing {}))
}

async fn snapshot(
    State(services): State<Arc<Services>>,
    node: Identity,
    headers: HeaderMap,
    In(wanted): In<calls::Snapshot>,
) -> Result<Response, Refused> {
    let (file, snapshot) = services.founding.snapshot(&node.name, &node.key, &wanted, node.from).await?;
    Ok(http::serve_file(&headers, file, snapshot.size, &snapshot.sha256))
}
