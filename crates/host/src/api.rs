//! The boot-server's API, called by the list of its calls ([`protocol::calls`]).

use crate::http::Client;
use hyper::{Method, Response, body::Incoming};
use protocol::{
    Code, Failure,
    calls::{self, Call},
    failure::{OrFail, Result},
    parse,
};

/// A boot-server, and who calls it: the client shows a certificate, or there is a token.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Api {
    /// The server at `https://HOST:PORT`.
    pub fn new(client: Client, base: &str) -> Self {
        Self { client, base: base.trim_end_matches('/').to_owned(), token: None }
    }

    /// Calls as an admin with this token.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The client, for what is no call of the list.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `https://HOST:PORT`
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call that is answered by one JSON value.
    ///
    /// # Errors
    /// Those of the connection; the server's own failure; `E-PROTOCOL` for anything else.
    pub async fn call<C: Call>(&self, arguments: &[&str], request: &C::Request) -> Result<C::Answer> {
        let (method, url) = (method::<C>(), self.url::<C>(arguments, request)?);
        let activity = format!("{method} {url}");
        let body = (C::METHOD == calls::Method::Post).then_some(request);
        let (status, bytes) = self.client.call_raw_as(self.token.as_deref(), method, &url, body).await?;
        if status.is_success() {
            return parse::json(&activity, &bytes).map_err(|failure| Failure { code: Code::Protocol, ..failure });
        }
        Err(crate::http::refusal(&activity, status, &bytes))
    }

    /// A call that is answered by a file: the answer of success, its body still to be read.
    ///
    /// # Errors
    /// As [`Api::call`].
    pub async fn fetch<C: Call>(&self, arguments: &[&str], request: &C::Request) -> Result<Response<Incoming>> {
        self.client.fetch(&self.url::<C>(arguments, request)?).await
    }

    /// Where a call goes, with the query of a GET.
    ///
    /// # Errors
    /// `E-INTERNAL` where the query cannot be written.
    pub fn url<C: Call>(&self, arguments: &[&str], request: &C::Request) -> Result<String> {
        let path = C::path(arguments);
        if C::METHOD != calls::Method::Get {
            return Ok(format!("{}{path}", self.base));
        }
        let query = serde_urlencoded::to_string(request).or_fail(Code::Internal, || format!("asking for {path}"))?;
        Ok(if query.is_empty() { format!("{}{path}", self.base) } else { format!("{}{path}?{query}", self.base) })
    }
}

/// The HTTP method of a call.
pub fn method<C: Call>() -> Method {
    match C::METHOD {
        calls::Method::Get => Method::GET,
        calls::Method::Post => Method::POST,
        calls::Method::Delete => Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Trust;
    use protocol::{arbiter::TurnRequest, service::Service};
    use std::time::SystemTime;

    #[test]
    fn what_a_get_asks_for_is_in_its_query() {
        let client = Client::new(&Trust::Pinned(Vec::new()), None, SystemTime::UNIX_EPOCH).unwrap();
        let api = Api::new(client, "https://server:8443/");
        let wanted = TurnRequest { service: Service::Etcd, generation: 3 };
        let url = api.url::<calls::Snapshot>(&[], &wanted).unwrap();
        assert_eq!(url, "https://server:8443/v1/node/snapshot?service=etcd&generation=3");
        let url = api.url::<calls::PollEnrolment>(&["abc"], &calls::Wait { wait: 25 }).unwrap();
        assert_eq!(url, "https://server:8443/v1/enrol/abc?wait=25");
        assert_eq!(api.url::<calls::Nodes>(&[], &calls::Nothing {}).unwrap(), "https://server:8443/v1/nodes");
    }
}
