//! The documented API of Chainfire, FlareDB and IAM, with memory: 200, 201, 404, 409.

use super::{Reply, Request, faults::Faults, lock};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Mutex};

/// Whose API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Members, and keys with values.
    Chainfire,
    /// Members, and samples of metrics.
    Flaredb,
    /// Users and tokens.
    Iam,
}

/// A service that behaves, but for its faults.
pub struct Documented {
    service: Service,
    memory: Mutex<Memory>,
}

/// What the service remembers; nothing outlives its process.
#[derive(Default)]
struct Memory {
    faults: Faults,
    members: Vec<Value>,
    users: Vec<String>,
    tokens: Vec<String>,
    /// Values by their path, or samples by their metric.
    keys: BTreeMap<String, Value>,
}

/// A healthy member, as the list of members has it.
pub fn member(id: impl Serialize, raft_addr: impl Serialize, role: &str) -> Value {
    json!({ "id": id, "raft_addr": raft_addr, "status": "healthy", "role": role })
}

impl Documented {
    /// A service with these members, the first of which leads.
    pub fn new(service: Service, members: Vec<Value>) -> Self {
        Self { service, memory: Mutex::new(Memory { members, ..Memory::default() }) }
    }

    /// The same, with this going wrong first.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        lock(&self.memory).faults = faults;
        self
    }

    /// The names of the values that it holds.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.memory).keys.keys().cloned().collect()
    }

    /// Its members.
    pub fn members(&self) -> Vec<Value> {
        lock(&self.memory).members.clone()
    }

    /// The member is gone, though nobody removed it.
    pub fn loses(&self, id: &str) {
        lock(&self.memory).members.retain(|member| member["id"] != id);
    }

    /// What it answers.
    pub fn answer(&self, request: &Request) -> Reply {
        let mut memory = lock(&self.memory);
        let mut faults = std::mem::take(&mut memory.faults);
        let reply = faults.answer(request, || answer(self.service, request, &mut memory));
        memory.faults = faults;
        reply
    }
}

fn answer(service: Service, request: &Request, memory: &mut Memory) -> (u16, Value) {
    let body = &request.body;
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match (service, request.method(), request.path()) {
        (Service::Iam, "GET", "/health") => {
            (200, json!({ "status": "healthy", "database": "connected", "version": "1.0.0" }))
        }
        (Service::Iam, "POST", "/api/users") => {
            made(&mut memory.users, text("username"), json!({ "role": body["role"] }))
        }
        (Service::Iam, "POST", "/api/tokens") => {
            let token = format!("token-{}", memory.tokens.len());
            made(&mut memory.tokens, text("name"), json!({ "token": token }))
        }
        (Service::Iam, ..) => (404, json!({})),
        (_, "GET", "/health") => {
            (200, json!({ "status": "healthy", "raft": "leader", "cluster_size": memory.members.len() }))
        }
        (_, "GET", "/admin/cluster/members") => (200, json!({ "members": memory.members })),
        (_, "GET", "/admin/cluster/leader") => (200, memory.members.first().cloned().unwrap_or_default()),
        (_, "POST", "/admin/member/add") if memory.members.iter().any(|member| member["id"] == body["id"]) => {
            (409, json!({ "error": "already a member" }))
        }
        (_, "POST", "/admin/member/add") => {
            memory.members.push(member(&body["id"], &body["raft_addr"], "follower"));
            (201, json!({}))
        }
        (_, "DELETE", path) if path.starts_with("/admin/member/") => {
            let before = memory.members.len();
            memory.members.retain(|member| path.strip_prefix("/admin/member/") != member["id"].as_str());
            (if memory.members.len() < before { 200 } else { 404 }, json!({}))
        }
        (Service::Chainfire, "PUT", path) if path.starts_with("/v1/kv/") => {
            memory.keys.insert(path.to_owned(), body["value"].clone());
            (200, json!({}))
        }
        (Service::Chainfire, "GET", path) => match memory.keys.get(path) {
            Some(value) => (200, json!({ "value": value })),
            None => (404, json!({})),
        },
        (Service::Chainfire, "DELETE", path) => (if memory.keys.remove(path).is_some() { 200 } else { 404 }, json!({})),
        (Service::Flaredb, "POST", "/v1/write") => {
            memory.keys.insert(text("metric"), body.clone());
            (200, json!({}))
        }
        (Service::Flaredb, "POST", "/v1/query") => (200, json!({ "series": memory.keys.get(&text("query")) })),
        _ => (404, json!({})),
    }
}

/// 201, or 409 for a name that is there.
fn made(names: &mut Vec<String>, name: String, answer: Value) -> (u16, Value) {
    if names.contains(&name) {
        return (409, json!({ "error": "it exists" }));
    }
    names.push(name);
    (201, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(service: &Documented, line: &str, body: Value) -> (u16, Value) {
        match service.answer(&Request { line: format!("{line} HTTP/1.1"), token: None, body, text: String::new() }) {
            Reply::Json(status, body) => (status, body),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn members_come_once_and_go_once() {
        for service in [Service::Chainfire, Service::Flaredb] {
            let service = Documented::new(service, vec![member("n1", "a:1", "leader")]);
            let n2 = json!({ "id": "n2", "raft_addr": "b:1" });
            let statuses =
                ["POST /admin/member/add", "POST /admin/member/add"].map(|line| ask(&service, line, n2.clone()).0);
            assert_eq!(statuses, [201, 409]);
            let (_, list) = ask(&service, "GET /admin/cluster/members", Value::Null);
            assert_eq!(list["members"][1], member("n2", "b:1", "follower"));
            let statuses = ["DELETE /admin/member/n2"; 2].map(|line| ask(&service, line, Value::Null).0);
            assert_eq!(statuses, [200, 404]);
            assert_eq!(ask(&service, "GET /health", Value::Null).1["cluster_size"], 1);
            assert_eq!(ask(&service, "GET /admin/cluster/leader", Value::Null).1["id"], "n1");
        }
    }

    #[test]
    fn keys_are_chainfires() {
        let chainfire = Documented::new(Service::Chainfire, Vec::new());
        assert_eq!(ask(&chainfire, "PUT /v1/kv/a", json!({ "value": 7 })).0, 200);
        assert_eq!(ask(&chainfire, "GET /v1/kv/a", Value::Null), (200, json!({ "value": 7 })));
        let statuses =
            ["DELETE /v1/kv/a", "DELETE /v1/kv/a", "GET /v1/kv/a"].map(|line| ask(&chainfire, line, Value::Null).0);
        assert_eq!(statuses, [200, 404, 404]);
        let flaredb = Documented::new(Service::Flaredb, Vec::new());
        assert_eq!(ask(&flaredb, "PUT /v1/kv/a", json!({ "value": 7 })).0, 404);
    }

    #[test]
    fn users_and_tokens_are_made_once() {
        let iam = Documented::new(Service::Iam, Vec::new()).with_faults("200".parse().unwrap());
        let user = json!({ "username": "admin", "role": "admin" });
        let statuses = ["POST /api/users"; 2].map(|line| ask(&iam, line, user.clone()).0);
        assert_eq!(statuses, [200, 409], "a scripted success is one");
        let (status, made) = ask(&iam, "POST /api/tokens", json!({ "name": "n1" }));
        assert_eq!((status, made), (201, json!({ "token": "token-0" })));
        assert_eq!(ask(&iam, "POST /api/tokens", json!({ "name": "n1" })).0, 409);
        assert_eq!(ask(&iam, "GET /api/users", Value::Null).0, 404);
    }
}
