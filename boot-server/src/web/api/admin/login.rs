//! POST and DELETE /v1/login: the page's cookie for the admin's token.

use crate::{
    base::clock,
    server::Services,
    web::api::{
        answer::Refused,
        request::{Admin, COOKIE, In, cookie},
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

/// Gives the cookie for a token.
pub async fn begin(State(services): State<Arc<Services>>, In(login): In<calls::LogIn>) -> Result<Response, Refused> {
    if services.state.token_name(login.token.trim()).await?.is_none() {
        let failure = Failure::new(Code::Forbidden, "logging in: this is not an admin's token")
            .with_remedy("the token is in admin.token of the init folder");
        return Err(failure.into());
    }
    let session = services.admins.begin(clock::now())?;
    let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    Ok(([(header::SET_COOKIE, cookie)], Json(serde_json::json!({}))).into_response())
}

/// Ends the session.
pub async fn end(State(services): State<Arc<Services>>, _: Admin, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers) {
        services.admins.end(session);
    }
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Json(serde_json::json!({}))).into_response()
}
