//! IAM: its health, and the calls of its set-up. What it answers is never quoted, since it may repeat what it was sent.

use crate::client::PeerClient;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use protocol::{Code, Failure, failure::Result};
use serde::Deserialize;
use serde_json::json;

/// Answer of `GET /health`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    status: String,
    database: String,
    /// Its release, where it tells.
    pub version: Option<String>,
}

/// Who an administrator is. No `Debug`: it is secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// The name to log in with.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Where mail to it goes.
    #[serde(default)]
    pub email: Option<String>,
    /// What IAM wants to see before there is a user, where a certificate is not enough for it.
    #[serde(default)]
    pub token: Option<String>,
}

/// One IAM.
pub struct Iam<'a> {
    client: &'a PeerClient,
    base: String,
}

impl<'a> Iam<'a> {
    /// The one at `https://HOST:PORT`.
    pub fn new(client: &'a PeerClient, base: impl Into<String>) -> Self {
        Self { client, base: base.into() }
    }

    /// Healthy, with its database.
    ///
    /// # Errors
    /// Those of the call; `E-SERVICE-UNHEALTHY` with what it says otherwise.
    pub async fn health(&self) -> Result<Health> {
        let url = format!("{}/health", self.base);
        let (status, body) = self.client.get(&url).await?;
        let health: Health = serde_json::from_slice(&body).unwrap_or_default();
        if status == StatusCode::OK && health.status == "healthy" && health.database == "connected" {
            return Ok(health);
        }
        let Health { status: said, database, .. } = health;
        let cause = format!("GET {url}: {status}, status {said:?}, database {database:?}");
        Err(Failure::new(Code::ServiceUnhealthy, cause))
    }

    /// Creates the user, as an administrator; the status is the caller's to judge.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn create_user(&self, administrator: &Administrator) -> Result<StatusCode> {
        let Administrator { username, password, email, token } = administrator;
        let body = json!({"username": username, "password": password, "email": email, "role": "admin"});
        let url = format!("{}/api/users", self.base);
        Ok(self.client.call_as(token.as_deref(), Method::POST, &url, Some(&body)).await?.0)
    }

    /// Makes a token by this name; status and body are the caller's to judge.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn create_token(&self, administrator: &Administrator, name: &str) -> Result<(StatusCode, Bytes)> {
        let Administrator { username, password, .. } = administrator;
        let body = json!({"username": username, "password": password, "name": name});
        self.client.call(Method::POST, &format!("{}/api/tokens", self.base), Some(&body)).await
    }
}
