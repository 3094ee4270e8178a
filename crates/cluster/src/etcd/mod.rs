//! etcd through its JSON gateway, version 3.4 and later: what is zero or empty is left out, and u64 are strings.

mod answers;
mod hash;
mod refusal;

pub use answers::{Alarm, Header, Listing, Member, Status};
pub use hash::DataHash;
pub use refusal::{FAILED_PRECONDITION, Refusal};

use crate::client::{PeerClient, babbled, excerpt};
use data_encoding::BASE64;
use hyper::{Method, Response, body::Incoming};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    parse,
};
use refusal::NOT_FOUND;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

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

    /// The release that the cluster as a whole speaks: members of an older one are refused.
    ///
    /// # Errors
    /// Those of the call; `E-PROTOCOL` where it does not say.
    pub async fn cluster_release(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Releases {
            etcdcluster: String,
        }
        let url = format!("{}/version", self.base);
        let (_, body) = self.client.get(&url).await?;
        Ok(parse::json::<Releases>(&url, &body).map_err(babbled)?.etcdcluster)
    }

    /// `/health` says true.
    ///
    /// # Errors
    /// `E-NO-SPACE` where an alarm says that its quota is full; `E-SERVICE-UNHEALTHY` with what it says otherwise; those of
    /// the call.
    pub async fn health(&self) -> Result<()> {
        let url = format!("{}/health", self.base);
        let (status, body) = self.client.get(&url).await?;
        let said = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        // 3.4 and 3.5 write the text "true".
        let healthy = said["health"] == "true" || said["health"] == true;
        if status.is_success() && healthy {
            return Ok(());
        }
        let activity = format!("GET {url}: {status} {}", excerpt(&body));
        let alarm = self.status().await.ok().and_then(|status| status.alarms().into_iter().next());
        Err(match alarm {
            Some(alarm) => alarm.failure().context(activity),
            None => Failure::new(Code::ServiceUnhealthy, activity),
        })
    }

    async fn read<T: DeserializeOwned>(&self, what: &str, body: &Value) -> Result<T> {
        let url = format!("{}/v3/{what}", self.base);
        let (status, body) = self.client.call(Method::POST, &url, Some(body)).await?;
        if status.is_success() {
            return parse::json(&url, &body).map_err(babbled);
        }
        Err(Refusal::new(status, &body).of_a_question(&format!("POST {url}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_etcdctl_prints_it() {
        assert_eq!(hex(10_276_657_743_932_975_437), "8e9e05c52164694d");
        assert_eq!(parse_id("8e9e05c52164694d").unwrap(), 10_276_657_743_932_975_437);
    }
}
