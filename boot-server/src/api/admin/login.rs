//! POST and DELETE /v1/login: the page's cookie for the admin's token.

use crate::{
    api::{
        answer::Refused,
        request::{Admin, Body, COOKIE, cookie},
    },
    server::{Server, now},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use protocol::{Code, Failure};
use serde::Deserialize;
use std::sync::Arc;

/// What the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    token: String,
}

/// Gives the cookie for a token.
pub async fn begin(State(server): State<Arc<Server>>, Body(login): Body<Login>) -> Result<Response, Refused> {
    if server.state.token_name(login.token.trim()).await?.is_none() {
        let failure = Failure::new(Code::Forbidden, "logging in: this is not an admin's token")
            .with_remedy("the token is in admin.token of the init folder");
        return Err(failure.into());
    }
    let session = server.admins.begin(now())?;
    let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    Ok(([(header::SET_COOKIE, cookie)], Json(serde_json::json!({}))).into_response())
}

/// Ends the session.
pub async fn end(State(server): State<Arc<Server>>, _: Admin, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers) {
        server.admins.end(session);
    }
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Json(serde_json::json!({}))).into_response()
}
