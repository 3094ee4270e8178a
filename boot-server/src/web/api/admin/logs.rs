//! GET /v1/nodes/NAME/logs (a page of the journal) and /stream (server-sent events, from Last-Event-ID on).

use crate::{
    server::Services,
    state::{journal::Of, tokens::Token},
    web::api::{
        answer::{Answer, Refused},
        request::{Admin, In},
    },
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use protocol::calls;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// Entries after `after`, or the newest, at most a page of them.
pub async fn page(
    State(services): State<Arc<Services>>,
    _: Admin,
    Path(name): Path<String>,
    In(from): In<calls::Logs>,
) -> Answer<calls::Logs> {
    let of = services.view.journal_of(&name).await?;
    let entries = match from.tail {
        Some(tail) => services.state.journal_tail(&of, from.before.unwrap_or(i64::MAX), tail).await?,
        None => services.state.journal(&of, from.after).await?,
    };
    Ok(Json(entries))
}

/// Entries as they arrive.
pub async fn stream(
    State(services): State<Arc<Services>>,
    token: Token,
    Path(name): Path<String>,
    headers: HeaderMap,
    In(from): In<calls::FollowLogs>,
) -> Result<Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>>, Refused> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let of = services.view.journal_of(&name).await?;
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(follow(services, token, name, of, resumed.unwrap_or(from.after), sender));
    Ok(Sse::new(Receiver(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Reads on whenever the journal has grown, until the reader is gone, may look no more, or the server stops.
async fn follow(
    services: Arc<Services>,
    token: Token,
    name: String,
    mut of: Of,
    mut last: i64,
    sender: mpsc::Sender<Event>,
) {
    let (mut written, mut changed) = (services.state.written.listen(), services.state.changed.listen());
    let mut stopping = services.stop.listen();
    while services.tokens.lasts(&token).await.unwrap_or(false) {
        let entries = match services.state.journal(&of, last).await {
            Ok(entries) => entries,
            Err(failure) => {
                tracing::error!(%failure, "streaming a journal");
                return;
            }
        };
        for entry in &entries {
            last = entry.id();
            let Ok(event) = Event::default().id(last.to_string()).json_data(entry) else { return };
            if sender.send(event).await.is_err() {
                return;
            }
        }
        if !entries.is_empty() {
            continue;
        }
        tokio::select! {
            rung = heard(&mut written) => if !rung { return },
            // The machine may have become a node, which has more than this one run.
            rung = heard(&mut changed) => {
                if !rung { return }
                if let Ok(now) = services.view.journal_of(&name).await { of = now; }
            }
            _ = heard(&mut stopping) => return,
            () = sender.closed() => return,
        }
    }
}

async fn heard<T>(bell: &mut watch::Receiver<T>) -> bool {
    bell.changed().await.is_ok()
}

struct Receiver(mpsc::Receiver<Event>);

impl futures_core::Stream for Receiver {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}
