//! One call to a member: bounded in time and size, verified both ways.

use crate::{
    ca::Ca,
    tls_client::{self, Identity},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use protocol::{
    Code, Failure, Timestamp,
    cluster_address::Peer,
    failure::{OrFail, Result},
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// A member that has not answered by then is taken for unreachable.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// No answer of a member is larger.
const MOST_BYTES: usize = 4 << 20;
/// Long enough for one verb.
const CERTIFICATE_LIFE: time::Duration = time::Duration::minutes(15);

/// Calls members; clones share connections.
#[derive(Clone)]
pub struct Caller(Arc<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>);

/// What a member answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, where it is JSON.
    pub body: Value,
    /// What was asked: `GET https://n1:2379/health`.
    pub activity: String,
}

impl Caller {
    /// A caller with a fresh key and certificate.
    ///
    /// # Errors
    /// `E-TLS`, `E-INTERNAL`.
    pub fn new(ca: &Ca, now: Timestamp) -> Result<Self> {
        let (issued, key) = ca.issue_with_key("boot-server", &["boot-server".to_owned()], now, CERTIFICATE_LIFE)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let identity: Identity = (vec![issued.der, ca.certificate().clone()], key);
        let connector = tls_client::connector(ca.certificate().clone(), Some(identity))?;
        Ok(Self(Arc::new(Client::builder(TokioExecutor::new()).build(connector))))
    }

    /// Calls the member.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE`, `E-TLS`.
    pub async fn call(&self, method: Method, peer: &Peer, path: &str, body: Option<&Value>) -> Result<Answer> {
        let activity = format!("{method} https://{peer}{path}");
        let exchange = async {
            let response = self.send(method, peer, path, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|error| unreachable(&activity, error.as_ref()))?.to_bytes();
            Ok(Answer {
                status,
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
                activity: activity.clone(),
            })
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err(silent(&activity)))
    }

    /// Begins a call whose answer is a stream; the caller bounds it.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE`, `E-TLS`.
    pub async fn stream(&self, peer: &Peer, path: &str, body: &Value) -> Result<Response<Incoming>> {
        let activity = format!("POST https://{peer}{path}");
        let begun = tokio::time::timeout(TIMEOUT, self.send(Method::POST, peer, path, Some(body))).await;
        begun.unwrap_or_else(|_| Err(silent(&activity)))
    }

    async fn send(&self, method: Method, peer: &Peer, path: &str, body: Option<&Value>) -> Result<Response<Incoming>> {
        let activity = format!("{method} https://{peer}{path}");
        let content = match body {
            Some(body) => serde_json::to_vec(body).or_fail(Code::Internal, || "writing a request")?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{peer}{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(content)))
            .or_fail(Code::Internal, || activity.clone())?;
        self.0.request(request).await.map_err(|error| unreachable(&activity, &error))
    }
}

impl Answer {
    /// The body of an answer of success.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE` with the status and what the member says.
    pub fn success(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let said = ["error", "message"].iter().find_map(|key| self.body.get(key)?.as_str()).unwrap_or("");
        let cause = format!("{}: {} {}", self.activity, self.status, said.chars().take(500).collect::<String>());
        Err(Failure::new(Code::ClusterUnreachable, cause.trim_end().to_owned())
            .with_remedy("read the journal of the service on that node"))
    }
}

fn silent(activity: &str) -> Failure {
    Failure::new(Code::ClusterUnreachable, format!("{activity}: no answer within {} s", TIMEOUT.as_secs()))
        .with_remedy("is the node up; does its service run; does a firewall stand between it and the boot-server")
}

fn unreachable(activity: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let text = protocol::failure::chain(error);
    let failure = Failure::new(Code::ClusterUnreachable, format!("{activity}: {text}"));
    if text.contains("certificate") || text.contains("tls") {
        return Failure { code: Code::Tls, ..failure }
            .with_remedy("the member's certificate must be of this boot-server's CA, in date, and name the host");
    }
    failure.with_remedy("is the node up; does its service run; does a firewall stand between it and the boot-server")
}
