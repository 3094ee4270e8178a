//! The cache that is copied from: a folder, or HTTP.

use crate::cache::{Folder, Member};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::StorePath,
    narinfo::{self, NarInfo},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

const REDIRECTS: usize = 5;
/// Between two pieces of an answer.
const IDLE: Duration = Duration::from_secs(60);
/// Pieces that wait to be read.
const PIECES: usize = 8;

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// A binary cache.
pub enum Source {
    /// Files.
    Folder(Folder),
    /// A web server; the URL has no slash at its end.
    Http(Box<HttpClient>, String),
}

impl Source {
    /// Reads what the operator wrote.
    ///
    /// # Errors
    /// `E-CONFIG` where it is no folder.
    pub fn open(text: &str) -> Result<Self> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Http(Box::new(client()?), text.trim_end_matches('/').to_owned()));
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if !std::path::Path::new(path).is_dir() {
            let cause = format!("opening the cache {text}: it is no folder");
            return Err(
                Failure::new(Code::Config, cause).with_remedy("--from a folder, file://DIR, http:// or https://")
            );
        }
        Ok(Self::Folder(Folder::new(path.into())))
    }

    /// The narinfo of a path.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING`, `E-CLOSURE-CORRUPT`, `E-CACHE-UNREACHABLE`.
    pub async fn narinfo(&self, path: &StorePath) -> Result<NarInfo> {
        let info = match self {
            Self::Folder(folder) => folder.narinfo(path.hash_part())?.map(|(_, info)| info),
            Self::Http(client, base) => read_narinfo(client, &format!("{base}/{}.narinfo", path.hash_part())).await?,
        };
        match info {
            Some(info) if info.path == *path => Ok(info),
            Some(other) => {
                let cause = format!("importing {path}: its narinfo is about {}", other.path);
                Err(Failure::new(Code::ClosureCorrupt, cause))
            }
            None => Err(missing(path, "it")),
        }
    }

    /// The bytes of a NAR as the source has them. Reading blocks.
    ///
    /// # Errors
    /// As [`Source::narinfo`].
    pub async fn nar(&self, info: &NarInfo) -> Result<Box<dyn Read + Send>> {
        let absent = || missing(&info.path, &info.url);
        match self {
            Self::Folder(folder) => {
                let member = Member::parse(&info.url).filter(|member| matches!(member, Member::Nar(_)));
                let (file, _) = folder.open(member.ok_or_else(absent)?)?.ok_or_else(absent)?;
                Ok(Box::new(file))
            }
            Self::Http(client, base) => {
                let answer = get(client, &format!("{base}/{}", info.url)).await?.ok_or_else(absent)?;
                Ok(Box::new(Pieces::of(answer.into_body())))
            }
        }
    }
}

fn missing(path: &StorePath, what: &str) -> Failure {
    Failure::new(Code::ClosureMissing, format!("importing {path}: the source does not have {what}"))
        .with_remedy("check --from; the source must have the whole closure")
}

fn client() -> Result<HttpClient> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .or_fail(Code::Tls, || "setting up TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// The answer of 200, also elsewhere; none where it is 404.
async fn get(client: &HttpClient, url: &str) -> Result<Option<Response<Incoming>>> {
    let unreachable = |url: &str, what: String| Failure::new(Code::CacheUnreachable, format!("GET {url}: {what}"));
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTS {
        let request = Request::get(&url).body(Empty::new()).or_fail(Code::Config, || format!("addressing {url}"))?;
        let answer = tokio::time::timeout(IDLE, client.request(request)).await;
        let answer = answer.map_err(|_| unreachable(&url, "no answer within a minute".to_owned()))?;
        let answer = answer.map_err(|error| unreachable(&url, protocol::failure::chain(&error)))?;
        match answer.status() {
            StatusCode::OK => return Ok(Some(answer)),
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_redirection() => {
                let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                url = location
                    .and_then(|location| absolute(&url, location))
                    .ok_or_else(|| unreachable(&url, format!("the answer was {status} to nowhere")))?;
            }
            status => return Err(unreachable(&url, format!("the answer was {status}"))),
        }
    }
    Err(unreachable(&url, "too many redirects".to_owned()))
}

/// Where a Location leads; never from https to http.
fn absolute(from: &str, location: &str) -> Option<String> {
    let target = match location.strip_prefix('/') {
        Some(path) if !path.starts_with('/') => {
            let (scheme, rest) = from.split_once("://")?;
            format!("{scheme}://{}/{path}", rest.split('/').next()?)
        }
        _ => location.to_owned(),
    };
    let safe = target.starts_with("https://") || (target.starts_with("http://") && from.starts_with("http://"));
    safe.then_some(target)
}

async fn read_narinfo(client: &HttpClient, url: &str) -> Result<Option<NarInfo>> {
    let Some(answer) = get(client, url).await? else { return Ok(None) };
    let unread = |what: String| Failure::new(Code::CacheUnreachable, format!("GET {url}: {what}"));
    let body = tokio::time::timeout(IDLE, Limited::new(answer.into_body(), narinfo::MAX_BYTES).collect()).await;
    let body = body.map_err(|_| unread("it does not end".to_owned()))?.map_err(|error| unread(error.to_string()))?;
    let info = narinfo::parse(&String::from_utf8_lossy(&body.to_bytes()));
    info.map(Some).or_fail(Code::ClosureCorrupt, || format!("GET {url}"))
}

/// The body of an answer, for whoever reads and blocks.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Pieces {
    fn of(mut body: Incoming) -> Self {
        let (sender, receiver) = mpsc::channel(PIECES);
        tokio::spawn(async move {
            loop {
                let piece = match tokio::time::timeout(IDLE, body.frame()).await {
                    Ok(None) => return,
                    Ok(Some(Ok(frame))) => Ok(frame.into_data().unwrap_or_default()),
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                };
                let last = piece.is_err();
                if sender.send(piece).await.is_err() || last {
                    return;
                }
            }
        });
        Self { receiver, piece: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        let from = "https://cache/nar/x";
        assert_eq!(absolute(from, "/y").as_deref(), Some("https://cache/y"));
        assert_eq!(absolute(from, "https://other/z").as_deref(), Some("https://other/z"));
        for bad in ["http://other/z", "//other/z", "file:///etc/passwd", "z"] {
            assert_eq!(absolute(from, bad), None, "{bad}");
        }
        assert_eq!(absolute("http://cache/x", "http://other/z").as_deref(), Some("http://other/z"));
    }
}
