//! Chainfire and FlareDB: the HTTP admin API of the first-boot contract, and their keys and samples.

use crate::client::{PeerClient, babbled, excerpt};
use hyper::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::{Code, Failure, cluster_address::RaftAddress, failure::Result, parse};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// All that has a meaning in a URL (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A member as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its id: the node's `node_id`.
    pub id: String,
    /// Its Raft address.
    pub raft_addr: String,
    /// `healthy`, or what ails it; a service need not tell.
    #[serde(default)]
    pub status: Option<String>,
    /// `leader`, `follower`, `learner`, where the service tells.
    #[serde(default)]
    pub role: Option<String>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `healthy`, or what ails it.
    pub status: String,
    /// `leader` or `follower`.
    pub raft: String,
    /// Its release, where it tells.
    pub version: Option<String>,
}

/// What a member is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It has no vote yet.
    Learner,
    /// It does not say.
    Unknown,
}

/// What a member answered to a wish for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// `"success":false` in the body, whatever the status says.
    pub denied: bool,
    /// `POST /admin/member/add: 503 Service Unavailable` and the beginning of what it said.
    pub said: String,
}

/// One member.
pub struct AdminApi<'a> {
    client: &'a PeerClient,
    base: String,
}

impl Member {
    /// Whether the cluster lists it as healthy. Where a service lists no status, being listed is all there is to know.
    pub fn is_healthy(&self) -> bool {
        self.status.as_deref().is_none_or(is_healthy)
    }

    /// Its role; the case of the word says nothing.
    pub fn role(&self) -> Role {
        let role = self.role.as_deref().unwrap_or_default();
        let known = [("leader", Role::Leader), ("follower", Role::Follower), ("learner", Role::Learner)];
        known.into_iter().find(|(word, _)| role.eq_ignore_ascii_case(word)).map_or(Role::Unknown, |(_, role)| role)
    }
}

impl Health {
    /// The body of `GET /health`, where the status does not contradict it.
    pub fn read(status: StatusCode, body: &[u8]) -> Self {
        let said: Self = serde_json::from_slice(body).unwrap_or_default();
        match status == StatusCode::OK || !is_healthy(&said.status) {
            true => said,
            false => Self { status: status.to_string(), ..said },
        }
    }

    /// Nothing ails it.
    pub fn is_healthy(&self) -> bool {
        is_healthy(&self.status)
    }

    /// It says that it leads.
    pub fn leads(&self) -> bool {
        self.raft.eq_ignore_ascii_case("leader")
    }
}

impl Answer {
    /// Another member leads: a redirection, or "misdirected" (RFC 9110, section 15.5.20).
    pub fn leads_elsewhere(&self) -> bool {
        self.status.is_redirection() || self.status == StatusCode::MISDIRECTED_REQUEST
    }

    /// The failure of a change that was refused.
    pub fn failure(self) -> Failure {
        Failure::new(Code::ClusterJoin, self.said)
    }
}

impl<'a> AdminApi<'a> {
    /// The member at `https://HOST:PORT`.
    pub fn new(client: &'a PeerClient, base: impl Into<String>) -> Self {
        Self { client, base: base.into() }
    }

    /// The members as this one knows them.
    ///
    /// # Errors
    /// Those of the call; `E-CLUSTER-JOIN` where it refuses, `E-PROTOCOL` where it babbles.
    pub async fn members(&self) -> Result<Vec<Member>> {
        #[derive(Deserialize)]
        struct List {
            members: Vec<Member>,
        }
        Ok(self.ask::<List>(Method::GET, "/admin/cluster/members", None).await?.members)
    }

    /// Whether this member knows a leader.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn has_leader(&self) -> Result<bool> {
        Ok(self.client.get(&format!("{}/admin/cluster/leader", self.base)).await?.0.is_success())
    }

    /// The id of the leader, where this member knows one.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn leader(&self) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Leader {
            id: String,
        }
        let (status, body) = self.client.get(&format!("{}/admin/cluster/leader", self.base)).await?;
        Ok(serde_json::from_slice::<Leader>(&body).ok().filter(|_| status.is_success()).map(|leader| leader.id))
    }

    /// What this member says of itself; one that is unwell says so with a 5xx and the same body.
    ///
    /// # Errors
    /// Those of the call; `E-SERVICE-UNHEALTHY` where it says nothing of its health.
    pub async fn health(&self) -> Result<Health> {
        let url = format!("{}/health", self.base);
        let (status, body) = self.client.get(&url).await?;
        let health = Health::read(status, &body);
        if health.status.is_empty() {
            return Err(Failure::new(Code::ServiceUnhealthy, format!("GET {url}: {status} {}", excerpt(&body))));
        }
        Ok(health)
    }

    /// Asks to take in a member.
    ///
    /// # Errors
    /// Those of the call; what the status means is the caller's to judge.
    pub async fn add(&self, id: &str, raft_address: RaftAddress) -> Result<Answer> {
        let body = json!({"id": id, "raft_addr": raft_address});
        self.change(Method::POST, "/admin/member/add", Some(&body)).await
    }

    /// Asks to let a member go.
    ///
    /// # Errors
    /// As [`AdminApi::add`].
    pub async fn remove(&self, id: &str) -> Result<Answer> {
        let path = format!("/admin/member/{}", utf8_percent_encode(id, RESERVED));
        self.change(Method::DELETE, &path, None).await
    }

    /// Chainfire: writes a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        self.done(Method::PUT, &format!("/v1/kv/{key}"), Some(&json!({"value": value}))).await
    }

    /// Chainfire: reads a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let answer: Value = self.ask(Method::GET, &format!("/v1/kv/{key}"), None).await?;
        Ok(answer.get("value").and_then(Value::as_str).map(str::to_owned))
    }

    /// Chainfire: deletes a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.done(Method::DELETE, &format!("/v1/kv/{key}"), None).await
    }

    /// FlareDB: writes a sample; `timestamp` is RFC 3339.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn write(&self, metric: &str, value: i64, timestamp: &str) -> Result<()> {
        let body = json!({"metric": metric, "value": value, "timestamp": timestamp});
        self.done(Method::POST, "/v1/write", Some(&body)).await
    }

    /// FlareDB: the samples of a metric in the last hour.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn query(&self, metric: &str) -> Result<Value> {
        self.ask(Method::POST, "/v1/query", Some(&json!({"query": metric, "start": "1h", "end": "now"}))).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T> {
        let url = format!("{}{path}", self.base);
        let activity = format!("{method} {url}");
        let (status, body) = self.client.call(method, &url, body).await?;
        if !status.is_success() {
            return Err(Failure::new(Code::ClusterJoin, format!("{activity}: {status} {}", excerpt(&body))));
        }
        parse::json(&url, &body).map_err(babbled)
    }

    async fn change(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let activity = format!("{method} {path}");
        let (status, body) = self.client.call(method, &format!("{}{path}", self.base), body).await?;
        let denied = serde_json::from_slice::<Value>(&body).is_ok_and(|said| said["success"] == false);
        Ok(Answer { status, denied, said: format!("{activity}: {status} {}", excerpt(&body)) })
    }

    /// A change of data that must succeed, whatever the body of the answer.
    async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
        let answer = self.change(method, path, body).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.failure()) }
    }
}

fn is_healthy(status: &str) -> bool {
    status.eq_ignore_ascii_case("healthy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_word_says_nothing() {
        let member: Member =
            serde_json::from_str(r#"{"id":"a","raft_addr":"a:1","status":"Healthy","role":"LEADER"}"#).unwrap();
        assert!(member.is_healthy() && member.role() == Role::Leader);
        let health = Health::read(StatusCode::OK, br#"{"status":"HEALTHY","raft":"Leader"}"#);
        assert!(health.is_healthy() && health.leads());
    }

    #[test]
    fn only_a_healthy_status_is_healthy() {
        let of = |status, body: &[u8]| Health::read(status, body).is_healthy();
        assert!(of(StatusCode::OK, br#"{"status":"healthy","raft":"follower","cluster_size":3}"#));
        assert!(!of(StatusCode::OK, br#"{"status":"starting"}"#));
        assert!(!of(StatusCode::OK, br#"{"status":"hea"#));
        assert!(!of(StatusCode::SERVICE_UNAVAILABLE, br#"{"status":"healthy"}"#));
    }

    #[test]
    fn a_member_without_a_status_is_healthy_for_everybody() {
        let member = |json: &str| serde_json::from_str::<Member>(json).unwrap().is_healthy();
        assert!(member(r#"{"id":"a","raft_addr":"a:1"}"#));
        assert!(member(r#"{"id":"a","raft_addr":"a:1","status":"healthy"}"#));
        assert!(!member(r#"{"id":"a","raft_addr":"a:1","status":"down"}"#));
    }
}
