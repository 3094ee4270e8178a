//! etcd through its JSON gateway, version 3.4 and later: what is zero or empty is left out, and u64 are strings.

use crate::client::{PeerClient, babbled, excerpt, is_passing};
use data_encoding::BASE64;
use hyper::{Method, Response, StatusCode, body::Incoming};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    parse,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, json};

/// gRPC's FAILED_PRECONDITION: the request is fine, the state of the cluster is not.
pub const FAILED_PRECONDITION: u32 = 9;
/// gRPC's NOT_FOUND.
const NOT_FOUND: u32 = 5;
/// gRPC's UNAVAILABLE: no quorum, or a member that was just added is not connected yet.
const UNAVAILABLE: u32 = 14;
/// gRPC's DEADLINE_EXCEEDED.
const DEADLINE_EXCEEDED: u32 = 4;
/// gRPC's RESOURCE_EXHAUSTED.
const RESOURCE_EXHAUSTED: u32 = 8;

/// A member of the cluster.
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

/// The member list, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listing {
    /// Who answers, in which cluster.
    #[serde(default)]
    pub header: Header,
    /// All members.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Who answers.
    pub header: Header,
    /// Release of the member.
    pub version: String,
    /// 0 where there is none.
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// Alarms.
    pub errors: Vec<String>,
}

/// The head of every answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Its cluster: members of one cluster have the same.
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    /// The member that answers.
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
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

    /// Whether it may be otherwise after a while: a failed precondition passes as well (one learner at a time, a learner
    /// that is not in sync, members that have not started).
    pub fn may_pass(&self) -> bool {
        self.is_passing() || self.code == Some(FAILED_PRECONDITION)
    }

    /// As a failure of `activity`.
    pub fn failure(&self, activity: &str) -> Failure {
        Failure::new(Code::ClusterJoin, format!("{activity}: {} ({})", self.message, self.status))
    }
}

/// One member's gateway.
pub struct Etcd<'a> {
    client: &'a PeerClient,
    base: String,
}

impl<'a> Etcd<'a> {
    /// The gateway at `https://HOST:PORT`.
    pub fn new(client: &'a PeerClient, base: impl Into<String>) -> Self {
        Self { client, base: base.into() }
    }

    /// All members. A learner refuses to say.
    ///
    /// # Errors
    /// Those of the call; `E-CLUSTER-UNREACHABLE` where the member refuses, `E-PROTOCOL` where it babbles.
    pub async fn members(&self) -> Result<Vec<Member>> {
        Ok(self.listing().await?.members)
    }

    /// All members, and by whose word.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn listing(&self) -> Result<Listing> {
        self.read("cluster/member/list", &json!({})).await
    }

    /// Leader and release.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn status(&self) -> Result<Status> {
        self.read("maintenance/status", &json!({})).await
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
    /// As [`Etcd::add_learner`].
    pub async fn promote(&self, id: u64) -> Result<Result<(), Refusal>> {
        self.change("cluster/member/promote", &json!({"ID": id.to_string()})).await
    }

    /// Asks to let a member go; one that is not listed has gone.
    ///
    /// # Errors
    /// As [`Etcd::add_learner`].
    pub async fn remove(&self, id: u64) -> Result<Result<(), Refusal>> {
        let answer = self.change("cluster/member/remove", &json!({"ID": id.to_string()})).await?;
        Ok(answer.or_else(|refusal| if refusal.code == Some(NOT_FOUND) { Ok(()) } else { Err(refusal) }))
    }

    /// Writes a key.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        self.read::<Value>("kv/put", &json!({"key": base64(key), "value": base64(value)})).await.map(drop)
    }

    /// Reads a key, linearizable.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let answer: Value = self.read("kv/range", &json!({"key": base64(key)})).await?;
        let value = answer.pointer("/kvs/0/value").and_then(Value::as_str);
        let value = value.and_then(|value| BASE64.decode(value.as_bytes()).ok());
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.read::<Value>("kv/deleterange", &json!({"key": base64(key)})).await.map(drop)
    }

    /// Begins a snapshot of all that the cluster holds: one JSON object a line.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn snapshot(&self) -> Result<Response<Incoming>> {
        self.client.stream(&format!("{}/v3/maintenance/snapshot", self.base), &json!({})).await
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

    async fn read<T: DeserializeOwned>(&self, what: &str, body: &Value) -> Result<T> {
        let url = format!("{}/v3/{what}", self.base);
        let (status, body) = self.client.call(Method::POST, &url, Some(body)).await?;
        if status.is_success() {
            return parse::json(&url, &body).map_err(babbled);
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

/// The id of a member as etcdctl prints it.
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

/// The id as [`hex`] wrote it.
///
/// # Errors
/// `E-INTERNAL`.
pub fn parse_id(text: &str) -> Result<u64> {
    u64::from_str_radix(text, 16).or_fail(Code::Internal, || format!("reading the member id {text:?}"))
}

fn base64(text: &str) -> String {
    BASE64.encode(text.as_bytes())
}

/// Some gateways write small numbers as numbers.
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
        let members = parse::json::<Listing>("list", body).unwrap().members;
        assert_eq!((members[0].id, members[0].is_learner, members[0].name.as_str()), (u64::MAX, true, ""));
        assert_eq!((members[1].id, members[1].is_learner, members[1].name.as_str()), (5, false, "m1"));
    }

    #[test]
    fn ids_are_strings_and_what_is_zero_is_left_out() {
        assert_eq!(hex(10_276_657_743_932_975_437), "8e9e05c52164694d");
        assert_eq!(parse_id("8e9e05c52164694d").unwrap(), 10_276_657_743_932_975_437);
        let status: Status = serde_json::from_value(json!({"header": {"member_id": "7"}, "leader": 9})).unwrap();
        assert_eq!((status.header.member_id, status.leader), (7, 9));
        assert!(serde_json::from_value::<Member>(json!({"ID": "x"})).is_err());
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
