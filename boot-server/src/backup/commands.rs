//! What an operator types on each founder to bring etcd back from a snapshot: a pure function.

use protocol::cluster_address::Peer;

/// The commands for every founder. Names and URLs are those that the agents found with, so that the units start what
/// they find.
pub fn etcd_restore(cluster: &str, founders: &[Peer], snapshot: &str) -> String {
    let name = |peer: &Peer| {
        let alone = founders.iter().filter(|other| other.host == peer.host).count() == 1;
        if alone { peer.host.clone() } else { peer.to_string() }
    };
    let entries: Vec<String> = founders.iter().map(|peer| format!("{}=https://{peer}", name(peer))).collect();
    let list = entries.join(",");
    let each = founders.iter().map(|peer| {
        format!(
            "# on {host}, with {snapshot} copied to it:\n\
             systemctl stop etcd.service\n\
             mv /var/lib/etcd /var/lib/etcd.lost\n\
             ETCDCTL_API=3 etcdctl snapshot restore {snapshot} --data-dir /var/lib/etcd \\\n  \
             --name {name} --initial-advertise-peer-urls https://{peer} \\\n  \
             --initial-cluster {list} \\\n  \
             --initial-cluster-token {cluster}\n\
             chown -R --reference=/var/lib/etcd.lost /var/lib/etcd\n",
            host = peer.host,
            name = name(peer),
        )
    });
    let start = "# then, on all of them at once:\nsystemctl start etcd.service\n";
    each.collect::<Vec<_>>().join("\n") + "\n" + start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_same_commands() {
        let founders: Vec<Peer> = (1..=3).map(|n| format!("10.0.0.{n}:2380").parse().unwrap()).collect();
        let guide = include_str!("../../../docs/disaster-recovery.md");
        let commands = etcd_restore("prod", &founders, "etcd-prod.snapshot");
        assert!(guide.contains(&commands), "docs/disaster-recovery.md lacks:\n{commands}");
    }

    #[test]
    fn founders_are_named_as_their_agents_name_them() {
        let peers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Peer>>();
        let text = etcd_restore("prod", &peers(&["10.0.0.1:2380", "n2:2380"]), "etcd-prod.snapshot");
        assert!(text.contains("--name n2 --initial-advertise-peer-urls https://n2:2380"), "{text}");
        assert_eq!(text.matches("10.0.0.1=https://10.0.0.1:2380,n2=https://n2:2380").count(), 2);
        let text = etcd_restore("lab", &peers(&["127.0.0.1:1", "127.0.0.1:2"]), "s");
        assert!(text.contains("--name 127.0.0.1:2 "), "{text}");
    }
}
