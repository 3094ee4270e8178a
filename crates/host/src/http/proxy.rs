//! Through which proxy a host is reached, and the connections that go there.

use hyper::{Uri, header::HeaderValue, rt};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use protocol::{Code, Failure, failure::Result};
use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::net::TcpStream;
use tower_service::Service;

/// The variables that name proxies, each as curl reads them: the first that is there counts. `HTTP_PROXY`
/// is none of them, as a web server's client could set it for a CGI program.
const HTTP: &[&str] = &["http_proxy"];
const HTTPS: &[&str] = &["https_proxy", "HTTPS_PROXY"];
const ALL: &[&str] = &["all_proxy", "ALL_PROXY"];
const NONE_FOR: &[&str] = &["no_proxy", "NO_PROXY"];

/// Which proxy is for which URL; by default none.
#[derive(Clone, Default)]
pub struct Proxies(Option<Arc<Matcher>>);

impl Proxies {
    /// Those of the environment, or `url` for all hosts but those in `no_proxy`.
    ///
    /// # Errors
    /// `E-CONFIG`, without the password in it, where one is no `http://` URL.
    pub fn from_environment(url: Option<&str>) -> Result<Self> {
        Self::from_variables(url, |name| std::env::var(name).ok())
    }

    fn from_variables(url: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name)).unwrap_or_default();
        let checked = |name: &str, value: String| match value.is_empty() || is_usable(&value) {
            true => Ok(value),
            false => Err(Failure::new(Code::Config, format!("{name}: not the http:// URL of a proxy"))),
        };
        let matcher = Matcher::builder().no(first(NONE_FOR));
        let matcher = match url {
            Some(url) => matcher.all(checked("--proxy", url.to_owned())?),
            None => matcher
                .all(checked("all_proxy", first(ALL))?)
                .http(checked("http_proxy", first(HTTP))?)
                .https(checked("https_proxy", first(HTTPS))?),
        };
        Ok(Self(Some(Arc::new(matcher.build()))))
    }

    /// What a request to `uri` carries for a proxy that reads it.
    pub fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let proxy = self.intercept(uri).filter(|_| !is_tls(uri))?;
        proxy.basic_auth().cloned()
    }

    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(uri)
    }
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn is_usable(value: &str) -> bool {
    let proxy = Matcher::builder().all(value).build().intercept(&Uri::from_static("http://host/"));
    proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("http"))
}

/// Connects to the host itself, or for it to its proxy: by CONNECT where TLS follows, else so that the proxy
/// reads the request.
#[derive(Clone)]
pub struct Connector {
    direct: HttpConnector,
    proxies: Proxies,
}

impl Connector {
    /// Connections by `direct`, to proxies as well.
    pub fn new(direct: HttpConnector, proxies: Proxies) -> Self {
        Self { direct, proxies }
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = self.proxies.intercept(&uri);
        match proxy {
            Some(proxy) if is_tls(&uri) => {
                let tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
                let mut tunnel = match proxy.basic_auth() {
                    Some(value) => tunnel.with_auth(value.clone()),
                    None => tunnel,
                };
                let connecting = tunnel.call(uri);
                Box::pin(async move { Ok(Stream { inner: connecting.await?, proxied: false }) })
            }
            proxy => {
                let proxied = proxy.is_some();
                let connecting = self.direct.call(proxy.map_or(uri, |proxy| proxy.uri().clone()));
                Box::pin(async move { Ok(Stream { inner: connecting.await?, proxied }) })
            }
        }
    }
}

/// A connection that knows whether a proxy reads what is sent over it, which then must name the host.
pub struct Stream {
    inner: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.proxied)
    }
}

impl rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(url: Option<&str>, variables: &[(&str, &str)], uri: &str) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let proxies = Proxies::from_variables(url, variable).unwrap();
        let proxy = proxies.intercept(&uri.parse().unwrap())?;
        proxy.uri().authority().map(ToString::to_string)
    }

    #[test]
    fn variables_are_read_as_curl_reads_them() {
        let all = [("all_proxy", "a:1"), ("HTTPS_PROXY", "http://s:2"), ("no_proxy", "x.org,10.0.0.0/8,::1")];
        assert_eq!(through(None, &all, "http://h/").as_deref(), Some("a:1"));
        assert_eq!(through(None, &all, "https://h/").as_deref(), Some("s:2"));
        for direct in ["http://x.org/", "https://y.x.org/", "http://10.1.2.3/", "http://[::1]:8080/"] {
            assert_eq!(through(None, &all, direct), None, "{direct}");
        }
        assert_eq!(through(None, &[("HTTP_PROXY", "http://p")], "http://h/"), None);
        let both = [("HTTPS_PROXY", "http://upper"), ("https_proxy", "http://lower")];
        assert_eq!(through(None, &both, "https://h/").as_deref(), Some("lower"));
        assert_eq!(through(Some("http://f:3"), &all, "https://h/").as_deref(), Some("f:3"));
        assert_eq!(through(Some(""), &all, "https://h/"), None);
    }

    #[test]
    fn another_kind_of_proxy_is_refused_without_its_password() {
        for url in ["socks5://u:secret@h", "https://u:secret@h:1", "http://", "ftp://h"] {
            let failure = Proxies::from_variables(Some(url), |_| None).err().unwrap();
            assert_eq!(failure.code, Code::Config);
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }
}
