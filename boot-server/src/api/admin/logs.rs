//! GET /v1/nodes/NAME/logs (a page of the journal) and /stream (server-sent events, from Last-Event-ID on).

use crate::{
    api::{
        answer::{Answer, Refused},
        request::Admin,
    },
    server::Server,
    state::journal::Of,
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use protocol::admin::JournalEntry;
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// The query.
#[derive(Debug, Deserialize)]
pub struct From {
    /// The id of the last entry that the reader has.
    #[serde(default)]
    after: i64,
}

/// Entries after `after`, at most a page of them.
pub async fn page(
    State(server): State<Arc<Server>>,
    _: Admin,
    Path(name): Path<String>,
    Query(from): Query<From>,
) -> Answer<Vec<JournalEntry>> {
    let of = server.journal_of(&name).await?;
    Ok(Json(server.state.journal(&of, from.after).await?))
}

/// Entries as they arrive.
pub async fn stream(
    State(server): State<Arc<Server>>,
    _: Admin,
    Path(name): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Sse<impl futures_core::Stream<Item = Result<Event, Infallible>>>, Refused> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let of = server.journal_of(&name).await?;
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(follow(server, name, of, resumed.unwrap_or(from.after), sender));
    Ok(Sse::new(Receiver(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Reads on whenever the journal has grown, until the reader is gone or the server stops.
async fn follow(server: Arc<Server>, name: String, mut of: Of, mut last: i64, sender: mpsc::Sender<Event>) {
    let (mut written, mut changed) = (server.written.listen(), server.changed.listen());
    let mut stopping = server.stopping.subscribe();
    loop {
        let entries = match server.state.journal(&of, last).await {
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
                if let Ok(now) = server.journal_of(&name).await { of = now; }
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
