//! What etcd refuses, and what that says.

use crate::client::{excerpt, is_passing};
use hyper::StatusCode;
use protocol::{Code, Failure};
use serde::Deserialize;

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
/// gRPC's INVALID_ARGUMENT.
const INVALID_ARGUMENT: u32 = 3;
/// gRPC's PERMISSION_DENIED.
const PERMISSION_DENIED: u32 = 7;
/// gRPC's UNAUTHENTICATED.
const UNAUTHENTICATED: u32 = 16;

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

    /// What a refusal of a question without arguments says of the member: nothing about it can be wrong.
    pub fn of_a_question(&self, activity: &str) -> Failure {
        let unsupported = |why: &str, remedy: &str| {
            Failure::new(Code::Config, format!("{activity}: {why}: {} ({})", self.message, self.status))
                .with_remedy(remedy)
        };
        match (self.code, self.status) {
            (Some(INVALID_ARGUMENT | PERMISSION_DENIED | UNAUTHENTICATED), _) | (None, StatusCode::BAD_REQUEST) => {
                unsupported(
                    "etcd has users, which is not supported",
                    "etcdctl auth disable: its gateway refuses every certificate with a common name where users are on",
                )
            }
            (_, StatusCode::NOT_FOUND) => unsupported(
                "its gateway is off, or its release older than 3.4",
                "have etcd run with --enable-grpc-gateway=true (the default), in release 3.4 or later",
            ),
            (Some(UNAVAILABLE), _) => Failure { code: Code::ClusterUnreachable, ..self.failure(activity) }.with_remedy(
                "it is a learner, which is waited for, or its gateway does not reach its own etcd: the member's certificate must \
                 be for clientAuth as well as serverAuth; else read the journal of etcd on that node",
            ),
            _ => Failure { code: Code::ClusterUnreachable, ..self.failure(activity) },
        }
    }

    /// As a failure of `activity`.
    pub fn failure(&self, activity: &str) -> Failure {
        Failure::new(Code::ClusterJoin, format!("{activity}: {} ({})", self.message, self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn users_a_gateway_that_is_off_and_a_certificate_that_cannot_dial_are_told_apart() {
        let of = |status: u16, body: &[u8]| {
            Refusal::new(StatusCode::from_u16(status).unwrap(), body).of_a_question("asking")
        };
        let by_name = of(400, b"CommonName of client sending a request against gateway will be ignored");
        let nameless = of(400, br#"{"error":"etcdserver: user name is empty","code":3}"#);
        for users in [by_name, nameless] {
            assert!(users.code == Code::Config && users.cause.contains("etcd has users"), "{users}");
        }
        assert!(of(404, b"404 page not found").cause.contains("gateway is off"));
        let closed = of(503, br#"{"error":"connection closed","code":14}"#);
        assert!(closed.code == Code::ClusterUnreachable && closed.remedy.contains("clientAuth"), "{closed:?}");
        let lost = of(503, br#"{"error":"etcdserver: request timed out","code":4}"#);
        assert!(lost.code == Code::ClusterUnreachable && !lost.remedy.contains("clientAuth"), "{lost:?}");
    }
}
