//! SRV records (RFC 2782): what is asked for, and in which order the targets are tried.

use protocol::{cluster::ClusterConfig, cluster_address::HttpsUrl, service::Service};

/// A target of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The lowest is tried first.
    pub priority: u16,
    /// The share of its priority.
    pub weight: u16,
    /// Its name, without the dot at the end; empty where the service is decidedly not available.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// `_etcd._tcp.prod.example.com`: the domain is the node's, else that of `leader_url`.
pub fn name(service: Service, config: &ClusterConfig) -> Option<String> {
    let domain_of = |host: &str| {
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        host.split_once('.').filter(|_| !is_address).map(|(_, domain)| domain.trim_end_matches('.').to_owned())
    };
    let domain = config.node_fqdn.as_deref().and_then(domain_of);
    let domain = domain.or_else(|| domain_of(&config.leader_url.peer().host)).filter(|domain| !domain.is_empty())?;
    Some(format!("_{service}._tcp.{domain}"))
}

/// The order of trying: by priority, and by chance in proportion to the weights within one. `draw` gives a number from
/// 0 to its argument.
pub fn order(mut targets: Vec<Target>, mut draw: impl FnMut(u32) -> u32) -> Vec<Target> {
    // Those without weight come first in the running sum, so that they have a very small chance.
    targets.sort_by_key(|target| (target.priority, target.weight != 0));
    let mut ordered = Vec::with_capacity(targets.len());
    while let Some(first) = targets.first() {
        let priority = first.priority;
        let alike = || targets.iter().take_while(|target| target.priority == priority);
        let drawn = draw(alike().map(|target| u32::from(target.weight)).sum());
        let mut sum = 0;
        let chosen = alike().position(|target| {
            sum += u32::from(target.weight);
            sum >= drawn
        });
        ordered.push(targets.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// The URLs of the targets that can be asked.
pub fn urls(targets: &[Target]) -> Vec<HttpsUrl> {
    targets.iter().filter_map(|target| format!("https://{}:{}", target.host, target.port).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target((priority, weight, host): (u16, u16, String)) -> Target {
        Target { priority, weight, host, port: 2379 }
    }

    #[test]
    fn the_domain_is_the_nodes_or_the_leaders() {
        let config = |fqdn: Option<&str>, leader: &str| -> ClusterConfig {
            let value = serde_json::json!({"node_id": "n1", "node_role": "worker", "bootstrap": false,
                "cluster_name": "c", "leader_url": leader, "raft_addr": "10.0.0.1:2380", "node_fqdn": fqdn});
            serde_json::from_value(value).unwrap()
        };
        let of = |fqdn, leader| name(Service::Chainfire, &config(fqdn, leader));
        assert_eq!(of(Some("n1.lab.example.com"), "https://x.y:1").unwrap(), "_chainfire._tcp.lab.example.com");
        assert_eq!(of(None, "https://n0.prod.example.com:2379").unwrap(), "_chainfire._tcp.prod.example.com");
        assert_eq!((of(None, "https://10.0.0.9:2379"), of(Some("n1"), "https://n0:2379")), (None, None));
    }

    #[test]
    fn what_is_decidedly_not_available_is_not_asked() {
        let targets = [target((0, 0, String::new())), target((0, 0, "n1.example.com".into()))];
        assert_eq!(urls(&targets), ["https://n1.example.com:2379".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn every_target_is_tried_once_and_no_priority_before_a_lower_one(
            records in proptest::collection::vec((0u16..4, any::<u16>(), "[a-z]{1,4}"), 0..12), seed: u32
        ) {
            let targets: Vec<_> = records.into_iter().map(target).collect();
            let mut state = seed;
            let ordered = order(targets.clone(), |most| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((u64::from(state) * (u64::from(most) + 1)) >> 32) as u32
            });
            prop_assert!(ordered.windows(2).all(|pair| pair[0].priority <= pair[1].priority));
            let sorted = |mut all: Vec<Target>| { all.sort_by_key(|one| (one.priority, one.weight, one.host.clone())); all };
            prop_assert_eq!(sorted(ordered), sorted(targets));
        }

        #[test]
        fn the_first_is_chosen_in_proportion_to_the_weights(weight in 1u16..1000, other in 1u16..1000, drawn in 0u32..2000) {
            let targets = vec![target((1, weight, "a".into())), target((1, other, "b".into()))];
            let drawn = drawn.min(u32::from(weight) + u32::from(other));
            let first = order(targets, |most| drawn.min(most))[0].host.clone();
            prop_assert_eq!(first == "a", drawn <= u32::from(weight));
        }
    }
}
