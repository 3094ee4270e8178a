//! Long work answered in lines of JSON ([`protocol::closures::Line`]), so that nobody has to guess how long to wait.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use hyper::body::{Body as HttpBody, Frame};
use protocol::{Code, Failure, closures::Line};
use serde::Serialize;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// How often the caller hears how far it is.
const PULSE: Duration = Duration::from_secs(1);

/// Does the work, whether or not somebody listens to the end.
pub fn answer<T, F>(work: impl FnOnce(Told) -> F) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = protocol::failure::Result<T>> + Send + 'static,
{
    let (_, steps) = mpsc::unbounded_channel();
    pump(work, steps)
}

/// Does the work, and tells each step as it is done.
pub fn steps<T, F>(work: impl FnOnce(mpsc::UnboundedSender<String>) -> F) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = protocol::failure::Result<T>> + Send + 'static,
{
    let (teller, steps) = mpsc::unbounded_channel();
    pump(|_| work(teller), steps)
}

fn pump<T, F>(work: impl FnOnce(Told) -> F, mut steps: mpsc::UnboundedReceiver<String>) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = protocol::failure::Result<T>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(8);
    let (told, mut hears) = watch::channel((0, 0));
    let progress: Told = Box::new(move |done, total| {
        told.send_replace((done, total));
    });
    let work = tokio::spawn(work(progress));
    tokio::spawn(async move {
        tokio::pin!(work);
        let mut pulse = tokio::time::interval(PULSE);
        let last = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => {
                    let _ = sender.send(line::<T>(&Line::Step(step))).await;
                }
                ended = &mut work => break ended,
                _ = pulse.tick() => {
                    let (done, total) = *hears.borrow_and_update();
                    let _ = sender.send(line::<T>(&Line::Progress { done, total })).await;
                }
            }
        };
        let last = match last {
            Ok(Ok(result)) => Line::Done(result),
            Ok(Err(failure)) => Line::Failed(failure),
            Err(error) => Line::Failed(Failure::from_error(Code::Internal, "answering a request", &error)),
        };
        let _ = sender.send(line(&last)).await;
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(receiver))).into_response()
}

/// Takes note of how far the work is.
pub type Told = Box<dyn Fn(u64, u64) + Send + Sync>;

fn line<T: Serialize>(line: &Line<T>) -> Bytes {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

struct Lines(mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|bytes| Ok(Frame::data(bytes))))
    }
}
