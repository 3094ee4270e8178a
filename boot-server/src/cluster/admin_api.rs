//! Chainfire and FlareDB: the HTTP admin API of the first-boot contract, and their keys and metrics.

use super::caller::Caller;
use hyper::{Method, StatusCode};
use protocol::{
    Code,
    cluster_address::Peer,
    failure::{OrFail, Result},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// A member as the cluster lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its id: the node's `node_id`.
    pub id: String,
    /// Its Raft address.
    pub raft_addr: String,
    /// `healthy`, or what ails it.
    pub status: String,
    /// `leader`, `follower`, `learner`.
    pub role: String,
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

/// Speaks to one member.
pub struct AdminApi<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// The member.
    pub peer: &'a Peer,
}

impl AdminApi<'_> {
    /// The members as this one knows them.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE`, `E-TLS`.
    pub async fn members(&self) -> Result<Vec<Member>> {
        #[derive(Deserialize)]
        struct List {
            members: Vec<Member>,
        }
        Ok(self.get::<List>("/admin/cluster/members").await?.members)
    }

    /// What this member says of itself.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn health(&self) -> Result<Health> {
        let answer = self.caller.call(Method::GET, self.peer, "/health", None).await?;
        let activity = answer.activity.clone();
        // A member that is unwell says so with a 5xx and the same body.
        let tells = answer.body.get("status").is_some_and(Value::is_string);
        let body = if tells { answer.body } else { answer.success()? };
        serde_json::from_value(body).or_fail(Code::ClusterUnreachable, || activity)
    }

    /// Removes a member; one that is gone already is no failure.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn remove(&self, id: &str) -> Result<()> {
        let answer = self.caller.call(Method::DELETE, self.peer, &format!("/admin/member/{id}"), None).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.success().map(drop) }
    }

    /// Chainfire: writes a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/v1/kv/{key}");
        self.caller.call(Method::PUT, self.peer, &path, Some(&json!({"value": value}))).await?.success().map(drop)
    }

    /// Chainfire: reads a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn get_key(&self, key: &str) -> Result<Option<String>> {
        let answer: Value = self.get(&format!("/v1/kv/{key}")).await?;
        Ok(answer.get("value").and_then(Value::as_str).map(str::to_owned))
    }

    /// Chainfire: deletes a key.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let path = format!("/v1/kv/{key}");
        self.caller.call(Method::DELETE, self.peer, &path, None).await?.success().map(drop)
    }

    /// FlareDB: writes a sample.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn write(&self, metric: &str, value: i64, timestamp: &str) -> Result<()> {
        let body = json!({"metric": metric, "value": value, "timestamp": timestamp});
        self.caller.call(Method::POST, self.peer, "/v1/write", Some(&body)).await?.success().map(drop)
    }

    /// FlareDB: the samples of a metric in the last hour.
    ///
    /// # Errors
    /// As [`AdminApi::members`].
    pub async fn query(&self, metric: &str) -> Result<Value> {
        let body = json!({"query": metric, "start": "1h", "end": "now"});
        self.caller.call(Method::POST, self.peer, "/v1/query", Some(&body)).await?.success()
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.caller.call(Method::GET, self.peer, path, None).await?;
        let activity = answer.activity.clone();
        serde_json::from_value(answer.success()?).or_fail(Code::ClusterUnreachable, || activity)
    }
}
