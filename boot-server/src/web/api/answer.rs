//! Failures as HTTP answers.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{Code, Failure, calls::Call};
use std::{borrow::Cow, time::Duration};

/// What a call ends with.
pub type Answer<C> = Result<Json<<C as Call>::Answer>, Refused>;

/// A failure on its way out, and when to ask again where it passes by itself.
#[derive(Debug)]
pub struct Refused(pub Failure, Option<Duration>);

impl Refused {
    /// The source asks too much.
    pub fn later(after: Duration) -> Self {
        Self(Failure::new(Code::Busy, "reading the request: too many come from this address"), Some(after))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(failure, None)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self.1 {
            Some(after) => later(&self.0, after),
            None => failed(&self.0),
        }
    }
}

/// The failure as JSON under its status.
pub fn failed(failure: &Failure) -> Response {
    let (status, shown) = shown(failure);
    (status, Json(shown)).into_response()
}

/// The status, and what is told. What is ours to know is logged, and not told to machines.
pub fn shown(failure: &Failure) -> (StatusCode, Cow<'_, Failure>) {
    let status = status(failure.code);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%failure, "answering a request");
        let shown = Failure::new(failure.code, "the boot-server failed inside; its log says more");
        return (status, Cow::Owned(shown));
    }
    (status, Cow::Borrowed(failure))
}

/// A failure that passes by itself, and after how long.
pub fn later(failure: &Failure, after: Duration) -> Response {
    let mut response = failed(failure);
    response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
    response
}

/// The status of a code. Codes that only agents have count as ours to know.
fn status(code: Code) -> StatusCode {
    match code {
        Code::Input | Code::Config | Code::NoSpec | Code::Layout | Code::ClosureCorrupt | Code::Tpm => {
            StatusCode::BAD_REQUEST
        }
        Code::Forbidden | Code::BootTrust => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::EnrolUnknown => StatusCode::UNAUTHORIZED,
        Code::WrongState
        | Code::GenerationUsed
        | Code::Quarantine
        | Code::EnrolConflict
        | Code::EnrolPending
        | Code::EnrolRejected
        | Code::Quorum
        | Code::ClosureMissing => StatusCode::CONFLICT,
        Code::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Code::ServerUnreachable | Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Code::ClusterUnreachable | Code::Tool | Code::Tls | Code::Oidc => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_failed_inside_is_not_told() {
        let answer = failed(&Failure::new(Code::System, "opening /secret/path: Permission denied"));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("/secret/path"));
    }
}
