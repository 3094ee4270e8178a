//! GET /v1/audit and /v1/audit/verify

use crate::{
    server::Services,
    web::api::{
        answer::{Answer, Refused},
        request::{Admin, In},
    },
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use protocol::{audit::AuditQuery, calls};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// The entries, a line each, as they are read: there may be millions.
pub async fn export(
    State(services): State<Arc<Services>>,
    _: Admin,
    In(query): In<calls::Audit>,
) -> Result<Response, Refused> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(read(services, query, sender));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(Pages(receiver))).into_response())
}

/// Whether the chain is whole.
pub async fn verify(
    State(services): State<Arc<Services>>,
    _: Admin,
    In(from): In<calls::VerifyAudit>,
) -> Answer<calls::VerifyAudit> {
    Ok(Json(services.state.verify_audit(from.anchor).await?))
}

/// A failure breaks the answer off, so that nobody takes a part for the whole.
async fn read(services: Arc<Services>, mut query: AuditQuery, pages: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let page = match services.state.audit_lines(&query).await {
            Ok(Some((last, lines))) => {
                query.after = last;
                Ok(lines.into())
            }
            Ok(None) => return,
            Err(failure) => {
                tracing::error!(%failure, "exporting the audit");
                Err(io::Error::other(failure.to_string()))
            }
        };
        let broken = page.is_err();
        if pages.send(page).await.is_err() || broken {
            return;
        }
    }
}

struct Pages(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Pages {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
