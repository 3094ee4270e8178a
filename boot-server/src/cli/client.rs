//! How the admin's verbs reach the server: HTTPS, the CA known, a token.

use crate::{config::Config, netboot::http::body::FileBody};
use bytes::Bytes;
use host::{api::Api, file, http};
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use protocol::{
    Code, Failure,
    calls::Call,
    closures::Line,
    failure::{OrFail, Result},
    parse,
};
use std::{
    fs::File,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// No answer is larger than this.
const MAX_ANSWER: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the server is and who asks.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Init folder of the server on this host: stands for the three options below
    #[arg(long, env = "CENTRA_DIR", help_heading = "Server")]
    pub(super) dir: Option<PathBuf>,
    /// URL of the server, such as https://10.77.0.1:8443
    #[arg(long, env = "CENTRA_SERVER", value_name = "URL", help_heading = "Server")]
    server: Option<String>,
    /// File with an admin's token
    #[arg(long, env = "CENTRA_TOKEN_FILE", value_name = "FILE", help_heading = "Server")]
    token_file: Option<PathBuf>,
    /// File with the server's CA certificate
    #[arg(long, env = "CENTRA_CA", value_name = "FILE", help_heading = "Server")]
    ca: Option<PathBuf>,
    /// File with an admin's certificate, in the place of a token
    #[arg(long, env = "CENTRA_CLIENT_CERT", value_name = "FILE", requires = "client_key", help_heading = "Server")]
    client_cert: Option<PathBuf>,
    /// File with its key
    #[arg(long, env = "CENTRA_CLIENT_KEY", value_name = "FILE", requires = "client_cert", help_heading = "Server")]
    client_key: Option<PathBuf>,
}

type Sent = UnsyncBoxBody<Bytes, std::io::Error>;

/// A connection to the server.
pub struct Client {
    api: Api,
    token: Option<String>,
}

impl Target {
    /// A client for the server.
    pub fn client(&self) -> Result<Client> {
        let missing = |what: &str, option: &str| {
            Failure::new(Code::Config, format!("looking for the server: {what} is not known"))
                .with_remedy(format!("pass --dir DIR of the init folder, or {option}"))
        };
        let in_dir = |name: &str| self.dir.as_ref().map(|dir| dir.join(name));
        let base = match &self.server {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => self.server_of_dir()?.ok_or_else(|| missing("its URL", "--server URL"))?,
        };
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some(http::pem::identity(certificate, key).map_err(of_config)?),
            _ => None,
        };
        let token = match &self.token_file {
            Some(file) => Some(file.clone()),
            None if identity.is_some() => None,
            None => {
                let file = in_dir("admin.token").filter(|file| file.exists());
                Some(file.ok_or_else(|| missing("the token", "--token-file FILE"))?)
            }
        };
        let token = token.map(|file| file::read_text(&file)).transpose()?.map(|token| token.trim().to_owned());
        let ca = self.ca.clone().or_else(|| in_dir("ca.crt"));
        let ca = ca.ok_or_else(|| missing("its CA", "--ca FILE"))?;
        let roots = http::pem::certificates(&ca).map_err(of_config)?;
        let http = http::Client::new(&http::Trust::BootServer(roots), identity, SystemTime::UNIX_EPOCH)?;
        let api = Api::new(http, &base);
        let api = match &token {
            Some(token) => api.with_token(token.clone()),
            None => api,
        };
        Ok(Client { api, token })
    }

    /// The server whose folder this is; where its port was left open, the one that it says it took.
    fn server_of_dir(&self) -> Result<Option<String>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let address = Config::load(&dir.join("config.toml"))?.https_address();
        let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
        let port = if address.port() == 0 { taken_port(dir)? } else { address.port() };
        Ok(Some(format!("https://{host}:{port}")))
    }
}

/// The files of the command line are wrong, and not the server's CA.
fn of_config(failure: Failure) -> Failure {
    Failure { code: Code::Config, ..failure }
}

fn taken_port(dir: &std::path::Path) -> Result<u16> {
    let ports: std::collections::BTreeMap<String, u16> =
        parse::json("ports.json", file::read_text(&dir.join("ports.json"))?.as_bytes())?;
    ports.get("https").copied().ok_or_else(|| Failure::new(Code::Config, "reading ports.json: it has no https"))
}

impl Client {
    /// A call of the list, answered by one JSON value.
    pub async fn call<C: Call>(&self, arguments: &[&str], request: &C::Request) -> Result<C::Answer> {
        self.api.call::<C>(arguments, request).await.map_err(|failure| self.unanswered(failure))
    }

    fn base(&self) -> &str {
        self.api.base()
    }

    /// A call of the list, answered by a file: its body still to be read.
    pub async fn file<C: Call>(&self, arguments: &[&str], request: &C::Request) -> Result<Incoming> {
        let url = self.api.url::<C>(arguments, request)?;
        let path = url.strip_prefix(self.base()).unwrap_or(&url);
        let answer = self.send(Method::GET, path, Bytes::new(), None).await?;
        self.streamed(&format!("GET {url}"), answer).await
    }

    /// GET as text.
    pub async fn text(&self, path: &str) -> Result<String> {
        let (activity, body) = (format!("GET {}{path}", self.base()), Full::default().map_err(|never| match never {}));
        let bytes = self.exchange(&activity, Method::GET, path, body.boxed_unsync(), TIMEOUT).await?;
        String::from_utf8(bytes.into()).or_fail(Code::Protocol, || activity)
    }

    /// Whether there is something at this address.
    pub async fn has(&self, path: &str) -> Result<bool> {
        let activity = format!("HEAD {}{path}", self.base());
        let asked = tokio::time::timeout(TIMEOUT, self.send(Method::HEAD, path, Bytes::new(), None)).await;
        let answer = asked.map_err(|_| Failure::new(Code::ServerUnreachable, format!("{activity}: no answer")))??;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            status => Err(http::refusal(&activity, status, &[])),
        }
    }

    /// PUT of a text.
    pub async fn put(&self, path: &str, text: String, patience: Duration) -> Result<()> {
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        self.exchange(&format!("PUT {}{path}", self.base()), Method::PUT, path, body, patience).await.map(drop)
    }

    /// PUT of a file of so many bytes.
    pub async fn put_file(&self, path: &str, file: File, size: u64, patience: Duration) -> Result<()> {
        let body = FileBody::new(Arc::new(file), 0..size).boxed_unsync();
        self.exchange(&format!("PUT {}{path}", self.base()), Method::PUT, path, body, patience).await.map(drop)
    }

    /// The body of an answer of success.
    async fn exchange(
        &self,
        activity: &str,
        method: Method,
        path: &str,
        body: Sent,
        patience: Duration,
    ) -> Result<Bytes> {
        let exchange = async {
            let answer = self.send_body(method, path, body, None).await?;
            self.read(activity, answer).await
        };
        let (status, bytes) = tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| {
            let cause = format!("{activity}: no answer within {} s", patience.as_secs());
            Err(Failure::new(Code::ServerUnreachable, cause))
        })?;
        if status.is_success() { Ok(bytes) } else { Err(http::refusal(activity, status, &bytes)) }
    }

    /// A call that is answered in lines; `told` hears how far the work is.
    pub async fn work<C: Call>(
        &self,
        arguments: &[&str],
        request: &C::Request,
        told: impl Fn(u64, u64),
    ) -> Result<C::Answer> {
        let hear = |line| match line {
            Line::Progress { done, total } => told(done, total),
            Line::Step(_) | Line::Done(()) | Line::Failed(_) => {}
        };
        self.lines::<C>(arguments, request, hear).await
    }

    /// A call that is answered in lines; `told` hears each step as it is done.
    pub async fn steps<C: Call>(
        &self,
        arguments: &[&str],
        request: &C::Request,
        told: impl Fn(&str),
    ) -> Result<C::Answer> {
        let hear = |line| {
            if let Line::Step(step) = line {
                told(&step);
            }
        };
        self.lines::<C>(arguments, request, hear).await
    }

    async fn lines<C: Call>(
        &self,
        arguments: &[&str],
        request: &C::Request,
        hear: impl Fn(Line<()>),
    ) -> Result<C::Answer> {
        let path = C::path(arguments);
        let activity = format!("POST {}{path}", self.base());
        let body = serde_json::to_vec(request).or_fail(Code::Internal, || "writing the request")?;
        let answer = self.send(Method::POST, &path, body.into(), None).await?;
        if !answer.status().is_success() {
            let (status, bytes) = self.read(&activity, answer).await?;
            return Err(http::refusal(&activity, status, &bytes));
        }
        let silent = || Failure::new(Code::ServerUnreachable, format!("{activity}: the server broke off"));
        let (mut body, mut buffer) = (answer.into_body(), Vec::new());
        loop {
            let frame = tokio::time::timeout(TIMEOUT, body.frame()).await.map_err(|_| silent())?;
            let Some(Ok(frame)) = frame else { return Err(silent()) };
            buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                match parse::json(&activity, &line).map_err(|failure| Failure { code: Code::Protocol, ..failure })? {
                    Line::Progress { done, total } => hear(Line::Progress { done, total }),
                    Line::Step(step) => hear(Line::Step(step)),
                    Line::Done(result) => return Ok(result),
                    Line::Failed(failure) => return Err(failure),
                }
            }
            if buffer.len() > MAX_ANSWER {
                return Err(Failure::new(Code::Protocol, format!("{activity}: the answer does not end")));
            }
        }
    }

    async fn read(&self, activity: &str, answer: Response<Incoming>) -> Result<(StatusCode, Bytes)> {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Failure::new(Code::Protocol, format!("{activity}: {error}")))?;
        Ok((status, body.to_bytes()))
    }

    /// A stream of server-sent events, from the entry after `after` on.
    pub async fn events<C: Call>(&self, arguments: &[&str], after: i64) -> Result<Incoming> {
        let path = C::path(arguments);
        let answer = self.send(Method::GET, &path, Bytes::new(), Some(after)).await?;
        self.streamed(&format!("GET {}{path}", self.base()), answer).await
    }

    /// The body of an answer of success.
    async fn streamed(&self, activity: &str, answer: Response<Incoming>) -> Result<Incoming> {
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (status, bytes) = self.read(activity, answer).await?;
        Err(http::refusal(activity, status, &bytes))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes, after: Option<i64>) -> Result<Response<Incoming>> {
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        self.send_body(method, path, body, after).await
    }

    async fn send_body(
        &self,
        method: Method,
        path: &str,
        body: Sent,
        after: Option<i64>,
    ) -> Result<Response<Incoming>> {
        let url = format!("{}{path}", self.base());
        let mut request = Request::builder().method(method).uri(&url).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let request = request.body(body).or_fail(Code::Config, || format!("addressing {url}"))?;
        self.api.client().send(request).await.map_err(|failure| self.unanswered(failure))
    }

    /// The remedies of a connection that does not come about.
    fn unanswered(&self, failure: Failure) -> Failure {
        match failure.code {
            // Where its name or its time is wrong, that has been said.
            Code::Tls if failure.remedy == Code::Tls.remedy() => {
                failure.with_remedy("pass the CA certificate of this server: --ca DIR/ca.crt")
            }
            // A server that refuses the certificate breaks off without a word that would reach us.
            Code::ServerUnreachable if self.token.is_none() => failure.with_remedy(
                "check the URL, that boot-server serve runs, and that it has taken this certificate: boot-server token list",
            ),
            Code::ServerUnreachable => failure.with_remedy("check the URL, and that boot-server serve runs"),
            _ => failure,
        }
    }
}
