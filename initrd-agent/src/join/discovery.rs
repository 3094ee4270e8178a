//! Whom to ask: the members of the cluster, from wherever they are known.

use super::driver::Node;
use protocol::{
    cluster_address::{HttpsUrl, Peer},
    service::Service,
};

/// The members that the configuration names, but this node itself.
pub fn configured(node: &Node) -> Vec<HttpsUrl> {
    others(node, [leader(node)])
}

/// Each once, in order, without this node itself.
pub fn others(node: &Node, urls: impl IntoIterator<Item = HttpsUrl>) -> Vec<HttpsUrl> {
    let mut kept = Vec::new();
    for url in urls {
        if !node.is_own(&url) && !kept.contains(&url) {
            kept.push(url);
        }
    }
    kept
}

/// `leader_url` is a member of etcd or Chainfire; the members of FlareDB are on the same hosts.
fn leader(node: &Node) -> HttpsUrl {
    match node.service {
        Service::Etcd | Service::Chainfire => node.config.leader_url.clone(),
        Service::Flaredb | Service::Iam => {
            let host = node.config.leader_url.peer().host.clone();
            HttpsUrl::from(Peer { host, port: node.client_port() })
        }
    }
}
