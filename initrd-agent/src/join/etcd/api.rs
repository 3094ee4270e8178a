//! etcd's JSON gateway, version 3.4 and later.

use crate::join::peer::{PeerClient, excerpt, is_passing};
use hyper::{Method, StatusCode};
use protocol::{Code, Failure, failure::Result, parse};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, json};

/// gRPC's FAILED_PRECONDITION: the request is fine, the state of the cluster is not.
pub const FAILED_PRECONDITION: u32 = 9;
/// gRPC's NOT_FOUND.
pub const NOT_FOUND: u32 = 5;
/// gRPC's UNAVAILABLE: no quorum, or a member that was just added is not connected yet.
const UNAVAILABLE: u32 = 14;
/// gRPC's DEADLINE_EXCEEDED.
const DEADLINE_EXCEEDED: u32 = 4;
/// gRPC's RESOURCE_EXHAUSTED.
const RESOURCE_EXHAUSTED: u32 = 8;

/// A member of the cluster. The gateway leaves out what is empty, and writes u64 as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The cluster's number for it.
    #[serde(rename = "ID", deserialize_with = "number")]
    pub id: u64,
    /// Empty until it has started for the first time.
    #[serde(default)]
    pub name: String,
    /// Where it takes Raft traffic.
    #[serde(default, rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Where it takes its clients; empty until it has started.
    #[serde(default, rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// It has no vote yet.
    #[serde(default)]
    pub is_learner: bool,
}

/// Answer of `member/list` and `member/add`.
#[derive(Debug, Deserialize)]
pub struct MemberList {
    /// All, learners too.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// Answer of `maintenance/status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Release of the member.
    #[serde(default)]
    pub version: String,
    /// 0 where there is none.
    #[serde(default, deserialize_with = "number")]
    pub leader: u64,
}

/// A refusal, as the gateway words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status; newer gateways map some codes otherwise than older ones.
    pub status: StatusCode,
    /// gRPC code, where the body had one.
    pub code: Option<u32>,
    /// What etcd says.
    pub message: String,
}

impl Refusal {
    /// Reads the body of an answer that is not a success.
    pub fn new(status: StatusCode, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            message: String,
            #[serde(default)]
            error: String,
            code: Option<u32>,
        }
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { message, error, code }) => {
                Self { status, code, message: if message.is_empty() { error } else { message } }
            }
            Err(_) => Self { status, code: None, message: excerpt(body) },
        }
    }

    /// Whether the cluster may answer otherwise after a while.
    pub fn is_passing(&self) -> bool {
        match self.code {
            Some(code) => [UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED].contains(&code),
            None => is_passing(self.status),
        }
    }

    /// As a failure of `activity`.
    pub fn failure(&self, activity: &str) -> Failure {
        Failure::new(Code::ClusterJoin, format!("{activity}: {} ({})", self.message, self.status))
    }
}

/// One member's gateway.
pub struct Api<'a> {
    client: &'a PeerClient,
    base: String,
}

impl<'a> Api<'a> {
    /// The gateway at `https://HOST:PORT`.
    pub fn new(client: &'a PeerClient, base: String) -> Self {
        Self { client, base }
    }

    /// All members. A learner refuses to say.
    ///
    /// # Errors
    /// Those of the call; `E-CLUSTER-UNREACHABLE` where the member refuses, `E-PROTOCOL` where it babbles.
    pub async fn members(&self) -> Result<Vec<Member>> {
        Ok(self.read::<MemberList>("cluster/member/list").await?.members)
    }

    /// Leader and release.
    ///
    /// # Errors
    /// As [`Api::members`].
    pub async fn status(&self) -> Result<Status> {
        self.read("maintenance/status").await
    }

    /// Asks to take in `peer_url` as a learner.
    ///
    /// # Errors
    /// Those of the call. The cluster's own refusal is the inner result.
    pub async fn add_learner(&self, peer_url: &str) -> Result<Result<(), Refusal>> {
        self.change("cluster/member/add", &json!({"peerURLs": [peer_url], "isLearner": true})).await
    }

    /// Asks to give a learner its vote.
    ///
    /// # Errors
    /// As [`Api::add_learner`].
    pub async fn promote(&self, id: u64) -> Result<Result<(), Refusal>> {
        self.change("cluster/member/promote", &json!({"ID": id.to_string()})).await
    }

    /// Asks to let a member go.
    ///
    /// # Errors
    /// As [`Api::add_learner`].
    pub async fn remove(&self, id: u64) -> Result<Result<(), Refusal>> {
        self.change("cluster/member/remove", &json!({"ID": id.to_string()})).await
    }

    /// `/health` says true.
    ///
    /// # Errors
    /// `E-SERVICE-UNHEALTHY` with what it says otherwise; those of the call.
    pub async fn health(&self) -> Result<()> {
        let url = format!("{}/health", self.base);
        let (status, body) = self.client.get(&url).await?;
        let said = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        // 3.4 and 3.5 write the text "true".
        let healthy = said["health"] == "true" || said["health"] == true;
        if status.is_success() && healthy {
            return Ok(());
        }
        Err(Failure::new(Code::ServiceUnhealthy, format!("GET {url}: {status} {}", excerpt(&body))))
    }

    async fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        let url = format!("{}/v3/{what}", self.base);
        let (status, body) = self.client.call(Method::POST, &url, Some(&json!({}))).await?;
        if status.is_success() {
            return parse::json(&url, &body).map_err(|failure| Failure { code: Code::Protocol, ..failure });
        }
        let refusal = Refusal::new(status, &body);
        Err(Failure { code: Code::ClusterUnreachable, ..refusal.failure(&format!("POST {url}")) })
    }

    async fn change(&self, what: &str, body: &Value) -> Result<Result<(), Refusal>> {
        let url = format!("{}/v3/{what}", self.base);
        let (status, body) = self.client.call(Method::POST, &url, Some(body)).await?;
        Ok(if status.is_success() { Ok(()) } else { Err(Refusal::new(status, &body)) })
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Plain(u64),
    }
    match Number::deserialize(deserializer)? {
        Number::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number"))),
        Number::Plain(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_list_of_the_gateway_is_read() {
        let body =
            br#"{"header":{},"members":[{"ID":"18446744073709551615","peerURLs":["https://a:1"],"isLearner":true},
            {"ID":"5","name":"m1","peerURLs":["https://b:1"],"clientURLs":[]}]}"#;
        let members = parse::json::<MemberList>("list", body).unwrap().members;
        assert_eq!((members[0].id, members[0].is_learner, members[0].name.as_str()), (u64::MAX, true, ""));
        assert_eq!((members[1].id, members[1].is_learner, members[1].name.as_str()), (5, false, "m1"));
    }

    #[test]
    fn a_refusal_is_read_whatever_the_body() {
        let unhealthy =
            br#"{"error":"etcdserver: unhealthy cluster","message":"etcdserver: unhealthy cluster","code":14}"#;
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, unhealthy);
        assert!(refusal.is_passing() && refusal.message.contains("unhealthy"));
        let exists = br#"{"code":9,"message":"etcdserver: Peer URLs already exists","details":[]}"#;
        assert!(!Refusal::new(StatusCode::PRECONDITION_FAILED, exists).is_passing());
        assert!(Refusal::new(StatusCode::BAD_GATEWAY, b"<html>").is_passing());
        assert!(!Refusal::new(StatusCode::NOT_FOUND, b"").is_passing());
    }
}
