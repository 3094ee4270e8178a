//! etcd through its gateway (3.4 and later): proto3 as JSON, so what is zero is left out and u64 are strings.

use super::caller::Caller;
use hyper::Method;
use protocol::{
    Code, Failure,
    cluster_address::Peer,
    failure::{OrFail, Result},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// A member as the cluster lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "number")]
    pub id: u64,
    /// Its name; empty before its first start.
    pub name: String,
    /// What the other members reach it by.
    #[serde(rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// What clients reach it by.
    #[serde(rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// It has no vote.
    #[serde(rename = "isLearner")]
    pub learner: bool,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Who answers.
    pub header: Header,
    /// Its release.
    pub version: String,
    /// The leader as it knows; 0 for none.
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// Its alarms.
    pub errors: Vec<String>,
}

/// The head of every answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Header {
    /// The member that answers.
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
}

/// Numbers are strings; some gateways write small ones as numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    read.ok_or_else(|| D::Error::custom(format!("{value} is not a number")))
}

/// Speaks to one member.
pub struct Etcd<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// The member.
    pub peer: &'a Peer,
}

impl Etcd<'_> {
    /// The members as this one knows them.
    ///
    /// # Errors
    /// `E-CLUSTER-UNREACHABLE`, `E-TLS`.
    pub async fn members(&self) -> Result<Vec<Member>> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct List {
            members: Vec<Member>,
        }
        Ok(self.post::<List>("/v3/cluster/member/list", &json!({})).await?.members)
    }

    /// What this member says of itself.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn status(&self) -> Result<Status> {
        self.post("/v3/maintenance/status", &json!({})).await
    }

    /// Whether this member can commit.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn healthy(&self) -> Result<bool> {
        let answer = self.caller.call(Method::GET, self.peer, "/health", None).await?;
        let word = answer.body.get("health").and_then(|word| word.as_bool().or_else(|| word.as_str()?.parse().ok()));
        Ok(answer.status.is_success() && word == Some(true))
    }

    /// Removes a member; one that is gone already is no failure.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn remove(&self, id: u64) -> Result<()> {
        let body = json!({"ID": id.to_string()});
        let answer = self.caller.call(Method::POST, self.peer, "/v3/cluster/member/remove", Some(&body)).await?;
        // 404, or code 5 of gRPC: the member is not listed.
        if answer.status == hyper::StatusCode::NOT_FOUND || answer.body.get("code") == Some(&json!(5)) {
            return Ok(());
        }
        answer.success().map(drop)
    }

    /// Writes a key.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        let body = json!({"key": base64(key), "value": base64(value)});
        self.post::<Value>("/v3/kv/put", &body).await.map(drop)
    }

    /// Reads a key, linearizable.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let answer: Value = self.post("/v3/kv/range", &json!({"key": base64(key)})).await?;
        let value = answer.pointer("/kvs/0/value").and_then(Value::as_str);
        let value = value.and_then(|value| data_encoding::BASE64.decode(value.as_bytes()).ok());
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`Etcd::members`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.post::<Value>("/v3/kv/deleterange", &json!({"key": base64(key)})).await.map(drop)
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let answer = self.caller.call(Method::POST, self.peer, path, Some(body)).await?;
        let activity = answer.activity.clone();
        serde_json::from_value(answer.success()?).or_fail(Code::ClusterUnreachable, || activity)
    }
}

/// The id as etcdctl prints it.
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

/// The id as [`hex`] wrote it.
///
/// # Errors
/// `E-INTERNAL`.
pub fn parse_id(text: &str) -> Result<u64> {
    u64::from_str_radix(text, 16)
        .map_err(|error| Failure::new(Code::Internal, format!("reading the member id {text:?}: {error}")))
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_strings_and_what_is_zero_is_left_out() {
        let member: Member =
            serde_json::from_value(json!({"ID": "10276657743932975437", "name": "n1", "peerURLs": ["https://a:1"]}))
                .unwrap();
        assert_eq!(
            (member.id, member.learner, hex(member.id).as_str()),
            (10_276_657_743_932_975_437, false, "8e9e05c52164694d")
        );
        assert_eq!(parse_id("8e9e05c52164694d").unwrap(), member.id);
        let status: Status = serde_json::from_value(json!({"header": {"member_id": "7"}, "leader": "9"})).unwrap();
        assert_eq!((status.header.member_id, status.leader), (7, 9));
        assert!(serde_json::from_value::<Member>(json!({"ID": "x"})).is_err());
    }
}
