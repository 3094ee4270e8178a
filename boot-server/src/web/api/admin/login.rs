//! POST and DELETE /v1/login: the page's cookie for a token.

use crate::{
    server::Services,
    trust::tokens::SESSION,
    web::{
        api::{
            answer::Refused,
            request::{Admin, COOKIE, In, cookie},
        },
        peer::Peer,
    },
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use protocol::{Code, Failure, calls};
use std::sync::Arc;
use time::Duration;

/// Gives the cookie for a token.
pub async fn begin(
    State(services): State<Arc<Services>>,
    peer: Peer,
    In(login): In<calls::LogIn>,
) -> Result<Response, Refused> {
    let token = services.tokens.by_token(login.token.trim(), peer.address).await?;
    let Some(token) = token else {
        let failure = Failure::new(Code::Forbidden, "logging in: this is no token of this server, or it has ended")
            .with_remedy("boot-server init has shown the first one; boot-server token create makes others");
        return Err(failure.into());
    };
    let session = services.tokens.begin_session(&token, peer.address).await?;
    Ok(([(header::SET_COOKIE, session_cookie(&session))], Json(serde_json::json!({}))).into_response())
}

/// The cookie of a session that has begun.
pub fn session_cookie(session: &str) -> String {
    set_cookie(session, SESSION)
}

fn set_cookie(session: &str, life: Duration) -> String {
    let age = life.whole_seconds();
    format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age}")
}

/// Ends the session.
pub async fn end(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    if let Some(session) = cookie(&headers) {
        services.tokens.end_session(session, &actor).await?;
    }
    Ok(([(header::SET_COOKIE, set_cookie("", Duration::ZERO))], Json(serde_json::json!({}))).into_response())
}
