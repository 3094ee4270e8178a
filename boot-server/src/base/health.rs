//! What each leg, and the state, is doing, for `/health` and `doctor`.

use protocol::failure::Result;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

/// What others run, and without which this server does its work.
const ELSEWHERE: [&str; 1] = ["oidc"];

/// State of the legs, shared by all of them.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `healthy`, or `degraded` where a leg has failed.
    pub status: &'static str,
    /// By leg: `starting`, `running`, `off` or `failed: CAUSE`.
    pub services: BTreeMap<&'static str, String>,
}

impl Health {
    /// Notes what a leg does: `running` as soon as its sockets are bound, `off` where it is not wanted.
    pub fn set(&self, leg: &'static str, state: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(leg, state.into());
    }

    /// Runs a leg until it ends: well where it is switched off.
    ///
    /// # Errors
    /// The leg's own failure.
    pub async fn watch(&self, leg: &'static str, serve: impl Future<Output = Result<()>>) -> Result<()> {
        self.set(leg, "starting");
        let ended = serve.await;
        match &ended {
            Ok(()) => self.set(leg, "off"),
            Err(failure) => self.set(leg, format!("failed: {failure}")),
        }
        ended
    }

    /// The state of all legs.
    pub fn report(&self) -> Report {
        let services = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fine =
            |(leg, state): (&&'static str, &String)| state == "running" || state == "off" || ELSEWHERE.contains(leg);
        let status = if services.iter().all(fine) { "healthy" } else { "degraded" };
        Report { status, services }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Code, Failure};

    #[tokio::test]
    async fn a_leg_that_failed_is_named_with_its_cause() {
        let health = Health::default();
        health.set("http", "running");
        assert_eq!(health.report().status, "healthy");
        let ended = health.watch("tftp", async { Err(Failure::new(Code::System, "binding port 69: in use")) }).await;
        assert!(ended.is_err());
        let report = health.report();
        assert_eq!(report.status, "degraded");
        assert_eq!(report.services["tftp"], "failed: E-SYSTEM: binding port 69: in use");
        health.set("tftp", "off");
        health.set("oidc", "failed: E-OIDC: it does not answer");
        assert_eq!(health.report().status, "healthy", "machines boot without it");
    }
}
