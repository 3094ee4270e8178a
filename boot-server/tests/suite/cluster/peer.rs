//! Chainfire and FlareDB as documented, on the members of one cluster, over mTLS.

use super::site::{Credentials, Site};
use crate::lab::Lab;
use qemu_tests::cluster_peer::{
    self, Peer, Reply, Request,
    documented::{Documented, Service, member},
};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// What all members of the cluster share.
pub struct Cluster {
    pub chainfire: Documented,
    pub flaredb: Documented,
    pub leader: Mutex<&'static str>,
    /// Who says with a 503 that it is unwell.
    pub unwell: Mutex<Option<&'static str>>,
    /// Who says of every change that another member leads.
    pub refers: Mutex<Option<&'static str>>,
}

impl Cluster {
    /// Of these nodes, the first of which leads.
    pub fn of(site: Site, nodes: &[u8]) -> Arc<Self> {
        let listed = |(at, n): (usize, &u8)| {
            let role = if at == 0 { "leader" } else { "follower" };
            member(format!("n{n}"), format!("{}:{}", Site::ip(*n), site.raft), role)
        };
        let members: Vec<_> = nodes.iter().enumerate().map(listed).collect();
        Arc::new(Self {
            chainfire: Documented::new(Service::Chainfire, members.clone()),
            flaredb: Documented::new(Service::Flaredb, members),
            leader: Mutex::new("n1"),
            unwell: Mutex::new(None),
            refers: Mutex::new(None),
        })
    }

    fn answer(&self, own: &str, request: &Request) -> Reply {
        let raft = if *self.leader.lock().unwrap() == own { "leader" } else { "follower" };
        if request.method() == "DELETE" && *self.refers.lock().unwrap() == Some(own) {
            return Reply::Json(307, json!({"error": "not the leader"}));
        }
        match request.path() {
            "/health" if *self.unwell.lock().unwrap() == Some(own) => {
                Reply::Json(503, json!({"status": "degraded", "raft": raft}))
            }
            "/health" => Reply::Json(200, json!({"status": "healthy", "raft": raft})),
            "/v1/write" | "/v1/query" => self.flaredb.answer(request),
            _ => self.chainfire.answer(request),
        }
    }
}

/// Starts the member at its node's address.
pub fn start(lab: &Lab, site: Site, n: u8, cluster: Arc<Cluster>) -> Peer {
    let (chain, key) = Credentials::of(lab, n).identity();
    let tls = cluster_peer::tls(chain[1].clone(), chain, key).unwrap();
    Peer::at((Site::ip(n), site.client), tls, move |request| cluster.answer(&format!("n{n}"), request)).unwrap()
}
