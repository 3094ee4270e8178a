//! Whom to ask: the members of the cluster, from wherever they are known.
//!
//! First those that the boot-server names and those of the configuration; where none of them answers, those of
//! DNS (SRV), then those that were known before. Nobody is believed for it: whoever answers proves itself by TLS.

mod dns;
mod srv;

use super::driver::{Driver, Node, Way, at_one_of};
use cluster::client::call_failed;
use host::file::write_atomically;
use host::retry::{Attempt, chance, retry};
use protocol::{
    Failure,
    cluster_address::{HttpsUrl, Peer},
    failure::{OrFail, Result},
    parse,
    service::Service,
};
use std::{fs::File, io::Read, path::PathBuf};

/// No list of members is larger.
const MAX_LIST: u64 = 64 << 10;

/// The members that the configuration names, but this node itself: the leader, then the founders, who take their
/// clients on the port of the leader.
pub fn configured(node: &Node) -> Vec<HttpsUrl> {
    let founders = match node.service {
        Service::Etcd | Service::Chainfire => &node.config.initial_peers[..],
        Service::Flaredb => &node.config.flaredb_peers,
        Service::Iam => &[],
    };
    let client = |peer: &Peer| HttpsUrl::from(Peer { host: peer.host.clone(), port: node.client_port() });
    others(node, [leader(node)].into_iter().chain(founders.iter().map(client)))
}

/// The members that were known when the membership was last seen.
pub fn known(node: &Node) -> Vec<HttpsUrl> {
    let path = list_path(node);
    let mut bytes = Vec::new();
    // Not there, or not readable: nobody is known.
    drop(File::open(&path).and_then(|file| file.take(MAX_LIST).read_to_end(&mut bytes)));
    let urls: Vec<HttpsUrl> = match bytes.is_empty() {
        true => Vec::new(),
        false => parse::json(&path.display().to_string(), &bytes).unwrap_or_else(|failure| {
            tracing::warn!(code = failure.code.as_str(), "{}", failure.cause);
            Vec::new()
        }),
    };
    others(node, urls)
}

/// Keeps the members for [`known`].
pub async fn remember(node: &Node, driver: &dyn Driver) {
    if node.service == Service::Iam {
        return;
    }
    if let Err(failure) = keep(node, driver).await {
        tracing::warn!(code = failure.code.as_str(), "keeping the members for later: {}", failure.cause);
    }
}

async fn keep(node: &Node, driver: &dyn Driver) -> Result<()> {
    let members = driver.members().await?;
    let urls = members.iter().flat_map(|member| &member.client_urls).filter_map(|url| url.parse().ok());
    let urls = others(node, urls);
    if urls.is_empty() || urls == known(node) {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&urls).or_fail(protocol::Code::Internal, || "writing the members as JSON")?;
    write_atomically(&list_path(node), &bytes, 0o644)
}

/// Finds a member that answers, and has the node ask it first from here on.
///
/// # Errors
/// That of the first source: `E-TLS`, `E-CLUSTER-UNREACHABLE` with what to mend.
pub async fn reach(node: &mut Node) -> Result<Option<HttpsUrl>> {
    if node.way == Way::Bootstrap {
        return Ok(None);
    }
    let found = retry(node.settings.attempts(), "reaching the leader", async || reach_once(node).await).await?;
    let all = [found.clone()].into_iter().chain(node.members.iter().cloned()).chain(known(node));
    node.members = others(node, all);
    Ok(Some(found))
}

async fn reach_once(node: &Node) -> Attempt<HttpsUrl> {
    let first = match try_each(node, &node.members).await {
        Attempt::Done(url) => return Attempt::Done(url),
        failed => failed,
    };
    for (source, urls) in [("DNS", by_dns(node).await), ("an earlier look", known(node))] {
        if urls.is_empty() {
            continue;
        }
        match try_each(node, &urls).await {
            Attempt::Done(url) => {
                tracing::info!("{url} answers, which is known from {source}");
                return Attempt::Done(url);
            }
            Attempt::Again(failure) | Attempt::Never(failure) => {
                tracing::info!("members known from {source}: {}", failure.cause);
            }
        }
    }
    first
}

async fn try_each(node: &Node, urls: &[HttpsUrl]) -> Attempt<HttpsUrl> {
    at_one_of(urls, "reaching the leader", async |url| match node.client.reach(url.peer()).await {
        Ok(()) => Attempt::Done(url.clone()),
        Err(failure) => call_failed(failure),
    })
    .await
}

async fn by_dns(node: &Node) -> Vec<HttpsUrl> {
    let Some(name) = srv::name(node.service, &node.config) else { return Vec::new() };
    match dns::srv(&name, &node.settings.resolv_conf).await {
        Ok(targets) => {
            let draw = |most: u32| (chance() * (f64::from(most) + 1.0)) as u32;
            others(node, srv::urls(&srv::order(targets, draw)))
        }
        Err(Failure { cause, .. }) => {
            tracing::info!("{cause}");
            Vec::new()
        }
    }
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

/// A member of the service on the host of `leader_url`.
fn leader(node: &Node) -> HttpsUrl {
    HttpsUrl::from(Peer { host: node.config.leader_url.peer().host.clone(), port: node.client_port() })
}

fn list_path(node: &Node) -> PathBuf {
    node.settings.state_dir.join(format!("members-{}.json", node.service))
}
