//! The head of a request (RFC 9112), where it is as plain as nearly all of them are. Pure.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header},
};

/// More fields than any client of a boot network sends.
const MAX_FIELDS: usize = 64;

/// What the bytes of a connection begin with.
#[derive(Debug)]
pub enum Head {
    /// The beginning of a head.
    Partial,
    /// A plain request.
    Plain(Box<Plain>),
    /// Anything else, well formed or not.
    Other,
}

/// A GET or HEAD of HTTP/1.1 for a path of ours, without a body, an expectation or an upgrade.
#[derive(Debug)]
pub struct Plain {
    /// With all its fields.
    pub request: Request<Body>,
    /// Bytes of the head.
    pub length: usize,
    /// Whether the client would send another request.
    pub keep_alive: bool,
}

/// Reads one head.
pub fn read(bytes: &[u8]) -> Head {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Partial) => Head::Partial,
        Ok(httparse::Status::Complete(length)) => {
            plain(&parsed, length).map_or(Head::Other, |plain| Head::Plain(Box::new(plain)))
        }
        Err(_) => Head::Other,
    }
}

fn plain(parsed: &httparse::Request<'_, '_>, length: usize) -> Option<Plain> {
    let method = match parsed.method? {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return None,
    };
    let path = parsed.path.filter(|path| path.starts_with('/') && parsed.version == Some(1))?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    *request.headers_mut() = fields(parsed.headers)?;
    let keep_alive = keeps_alive(request.headers())?;
    Some(Plain { request, length, keep_alive })
}

fn fields(parsed: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::UPGRADE].contains(&name) {
            return None;
        }
        fields.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(fields)
}

/// By the one Connection field; none where it asks for anything but this.
fn keeps_alive(fields: &HeaderMap) -> Option<bool> {
    let mut values = fields.get_all(header::CONNECTION).iter();
    let (first, more) = (values.next(), values.next());
    match first {
        None => Some(true),
        Some(value) if more.is_none() && value.as_bytes().eq_ignore_ascii_case(b"keep-alive") => Some(true),
        Some(value) if more.is_none() && value.as_bytes().eq_ignore_ascii_case(b"close") => Some(false),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain_of(text: &str) -> Plain {
        match read(text.as_bytes()) {
            Head::Plain(plain) => *plain,
            other => panic!("{text:?} is read as {other:?}"),
        }
    }

    #[test]
    fn a_plain_request_is_read_with_all_its_fields() {
        let head = "GET /cache/x?y=1 HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\nX-Other:  b \r\n\r\n";
        let plain = plain_of(&format!("{head}GET /next"));
        assert_eq!((plain.request.method(), plain.request.uri().path()), (&Method::GET, "/cache/x"));
        assert_eq!(plain.request.headers()[header::RANGE], "bytes=1-");
        assert_eq!(plain.request.headers()["x-other"], "b");
        assert!(plain.keep_alive);
        assert_eq!(plain.length, head.len());
        assert!(!plain_of("HEAD / HTTP/1.1\r\nConnection: Close\r\n\r\n").keep_alive);
        assert!(plain_of("HEAD / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    }

    #[test]
    fn whatever_has_a_body_or_a_second_meaning_is_not_plain() {
        for text in [
            "POST / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            "GET http://other/ HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            "GET other HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: x\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: close, keep-alive\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\x16\x03\x01\x02",
        ] {
            assert!(matches!(read(text.as_bytes()), Head::Other), "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(matches!(read(many.as_bytes()), Head::Other));
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_head_is_taken_for_more(
            target in "/[a-zA-Z0-9/._?=+-]{0,40}", value in "[ -~]{0,20}", cut in any::<prop::sample::Index>(),
        ) {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n");
            prop_assert_eq!(plain_of(&text).length, text.len());
            prop_assert!(matches!(read(&text.as_bytes()[..cut.index(text.len())]), Head::Partial));
        }

        #[test]
        fn any_bytes_are_read_and_none_behind_the_head(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Head::Plain(plain) = read(&bytes) {
                prop_assert!(plain.length <= bytes.len());
            }
        }
    }
}
