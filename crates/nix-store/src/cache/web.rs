//! A cache over HTTP: one GET, its redirects, and what the head of the answer means.

use super::{
    netrc::Netrc,
    redirect,
    stream::{From, Opened, Reader, Stream},
    url::shown,
};
use crate::{fault::Fault, retry::Patience};
use bytes::Bytes;
use host::http;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue},
};
use protocol::{Code, Failure};

/// Answers that only lead elsewhere, at most, before the file must come.
const MAX_REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("initrd-agent/", env!("CARGO_PKG_VERSION"));

/// What to do where a cache wants to know who asks.
const CREDENTIALS: &str = "give the cache's user name and password in its URL (https://USER:PASSWORD@HOST/) \
                           or by --netrc-file";
const PROXY_CREDENTIALS: &str = "give the proxy's user name and password in its URL (http://USER:PASSWORD@HOST:PORT)";
const OTHER_CA: &str = "have the cache's certificate signed by a CA that is trusted here (closure install --ca FILE; \
                        in the initrd the boot-server's CA alone), or use http:// or the boot-server's own cache: \
                        every path is checked by its signature";

/// One cache on the network.
pub struct Web {
    base: String,
    origin: Uri,
    authorization: Option<HeaderValue>,
    client: http::Client,
}

impl Web {
    /// The cache at `base`, an URL without a final slash. `credentials` go before those of `netrc`, and
    /// either is sent to this origin alone.
    pub fn new(base: String, credentials: Option<HeaderValue>, netrc: &Netrc, client: http::Client) -> Self {
        let origin: Uri = base.parse().unwrap_or_default();
        let host = origin.host().unwrap_or_default().trim_matches(['[', ']']);
        let authorization = credentials.or_else(|| netrc.authorization(host));
        Self { base, origin, authorization, client }
    }

    /// The URL of a file; it has nothing secret.
    pub fn place(&self, name: &str) -> String {
        match (name.starts_with('/'), self.origin.scheme_str(), self.origin.authority()) {
            (true, Some(scheme), Some(authority)) => format!("{scheme}://{authority}{name}"),
            _ => format!("{}/{name}", self.base),
        }
    }

    /// Begins to get a file.
    ///
    /// # Errors
    /// A fault that says whether another try can help.
    pub async fn open(&self, name: &str, from: Option<&From>, patience: &Patience) -> Result<Opened, Fault> {
        let url = self.place(name);
        let mut uri: Uri = url.parse().map_err(|error| Fault::corrupt(format!("{url}: {error}")))?;
        for _ in 0..=MAX_REDIRECTS {
            let place = format!("GET {}", shown(&uri.to_string()));
            let answer = self.ask(&uri, from, &place, patience).await?;
            match redirect::target(&uri, &answer).map_err(|why| Fault::refused(format!("{place}: {why}")))? {
                Some(next) => uri = next,
                None => return opened(answer, place, from, patience),
            }
        }
        Err(Fault::refused(format!("GET {url}: more than {MAX_REDIRECTS} redirects")))
    }

    async fn ask(
        &self,
        uri: &Uri,
        from: Option<&From>,
        place: &str,
        patience: &Patience,
    ) -> Result<Response<Incoming>, Fault> {
        let request = self.request(uri, from).map_err(|error| Fault::corrupt(format!("{place}: {error}")))?;
        let answer = tokio::time::timeout(patience.stall, self.client.send(request)).await;
        let answer = answer.map_err(|_| Fault::unreachable(format!("{place}: no answer in time")))?;
        answer.map_err(|failure| {
            // The client names the URL with all that is in it.
            let cause = failure.cause.replace(&uri.to_string(), &shown(&uri.to_string()));
            match failure.code {
                Code::Tls if failure.remedy == Code::Tls.remedy() => {
                    Failure { cause, ..failure }.with_remedy(OTHER_CA).into()
                }
                Code::Tls => Failure { cause, ..failure }.into(),
                // What a CONNECT that lacks them fails with.
                _ if cause.contains("proxy authorization required") => {
                    Fault::refused(cause).with_remedy(PROXY_CREDENTIALS)
                }
                _ => Fault::unreachable(cause),
            }
        })
    }

    fn request(&self, uri: &Uri, from: Option<&From>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::get(uri)
            .header(header::USER_AGENT, USER_AGENT)
            // What comes otherwise would not be the file that FileHash and Range mean.
            .header(header::ACCEPT_ENCODING, "identity");
        let home = (self.origin.scheme(), self.origin.authority()) == (uri.scheme(), uri.authority());
        if let Some(value) = self.authorization.as_ref().filter(|_| home) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(from) = from {
            request = request.header(header::RANGE, format!("bytes={}-", from.position));
            if let Some(etag) = &from.etag {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        request.body(Full::new(Bytes::new()))
    }
}

fn opened(
    answer: Response<Incoming>,
    place: String,
    from: Option<&From>,
    patience: &Patience,
) -> Result<Opened, Fault> {
    check_status(answer.status(), from.is_some(), &place)?;
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let whole = answer.status() == StatusCode::OK;
    let range = text(header::CONTENT_RANGE).and_then(content_range);
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let encoding = text(header::CONTENT_ENCODING)
        .filter(|encoding| !encoding.trim().is_empty() && !encoding.eq_ignore_ascii_case("identity"));
    let (encoding, etag) = (encoding.map(str::to_ascii_lowercase), strong_etag(answer.headers()));
    Ok(Opened {
        begins: if whole { Some(0) } else { range.map(|(begin, _)| begin).filter(|begin| *begin > 0) },
        size: if whole { length } else { range.and_then(|(_, size)| size) },
        stream: Stream::new(place, Reader::Body(answer.into_body()), patience),
        etag,
        encoding,
    })
}

/// RFC 9110, 14.4: the first byte, and the size of the whole file where it is known.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (begin, end) = range.split_once('-')?;
    let (begin, end): (u64, u64) = (begin.parse().ok()?, end.parse().ok()?);
    let size = if size == "*" { None } else { Some(size.parse().ok()?) };
    (begin <= end && size.is_none_or(|size| end < size)).then_some((begin, size))
}

/// Only a strong one says that bytes are the same (RFC 9110, 13.1.5).
fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

fn check_status(status: StatusCode, part: bool, place: &str) -> Result<(), Fault> {
    let cause = format!("{place}: the answer was {status}");
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::PARTIAL_CONTENT if part => Ok(()),
        StatusCode::RANGE_NOT_SATISFIABLE if part => Err(Fault::unreachable(cause)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Fault::missing(cause)),
        // S3 says this of what is not there to whoever may not list.
        StatusCode::FORBIDDEN => {
            let remedy = format!("push the closure to the cache; if it wants to know who asks, {CREDENTIALS}");
            Err(Fault::missing(cause).with_remedy(remedy))
        }
        StatusCode::UNAUTHORIZED => Err(Fault::refused(cause).with_remedy(CREDENTIALS)),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Fault::refused(cause).with_remedy(PROXY_CREDENTIALS)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Fault::unreachable(cause)),
        status if status.is_server_error() => Err(Fault::unreachable(cause)),
        _ => Err(Fault::refused(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_another_try_or_another_cache_can_help() {
        let fault = |status| check_status(StatusCode::from_u16(status).unwrap(), false, "x").unwrap_err();
        for status in [500, 502, 503, 429] {
            assert!(fault(status).again, "{status}");
        }
        for status in [403, 404, 410] {
            assert_eq!((fault(status).again, fault(status).failure.code), (false, Code::ClosureMissing), "{status}");
        }
        for status in [206, 304, 400, 401, 407, 416] {
            assert_eq!((fault(status).again, fault(status).failure.code), (false, Code::CacheUnreachable), "{status}");
        }
        for (status, remedy) in [(401, "--netrc-file"), (403, "--netrc-file"), (407, "proxy")] {
            assert!(fault(status).failure.remedy.contains(remedy), "{status}");
        }
    }

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes 5-4/10", "bytes 5-10/10", "bytes */10", "items 5-9/10", "bytes -1-9/10", "bytes 5-9"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_strong_etag_ties_the_parts_of_a_file_together() {
        for (etag, strong) in [("\"a\"", true), ("W/\"a\"", false), ("a", false)] {
            let headers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(etag))]);
            assert_eq!(strong_etag(&headers).is_some(), strong, "{etag}");
        }
    }
}
