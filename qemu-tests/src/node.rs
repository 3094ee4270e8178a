//! What an operator would apply for a machine of a test.

use crate::{
    demo_system::DemoSystem,
    machine::{Firmware, Machine},
    network::HOST,
};
use serde_json::{Value, json};

/// Address of the only machine: the first of the range that the boot-server gives out.
pub const FIRST_ADDRESS: &str = "10.77.0.20";

/// A NodeSpec for this machine: the demo system, on its first disk, into the cluster of the outside member.
pub fn spec(name: &str, machine: &Machine, system: &DemoSystem) -> Value {
    let disk = machine.disks.first().map_or("", |disk| disk.serial.as_str());
    json!({
        "name": name,
        "match": { "macs": [machine.mac], "serial": machine.serial, "uuid": machine.uuid },
        "profile": "vm",
        "system": {
            "toplevel": system.toplevel,
            "substituters": [format!("http://{HOST}:8080/cache")],
            "trusted_public_keys": [system.public_key],
        },
        "disks": {
            "devices": layout(machine.firmware),
            "select": { "main": { "serial": disk } },
        },
        "files": [{ "path": "/etc/hostname", "mode": "0644", "content": format!("{name}\n") }],
        "cluster": {
            "node_id": name,
            "node_role": "control-plane",
            "bootstrap": false,
            "cluster_name": "demo",
            "leader_url": format!("https://{HOST}:2379"),
            "raft_addr": format!("{FIRST_ADDRESS}:2380"),
            "node_ip": FIRST_ADDRESS,
        },
    })
}

/// Address of a node `node-01`, `node-02` ...: what the boot-server reserves for it.
pub fn address(name: &str) -> String {
    let number: u8 = name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    format!("10.77.0.{}", 40 + u32::from(number))
}

/// As [`spec`], for a member of a cluster of such nodes: a founder, or one that joins the founders.
pub fn member(name: &str, machine: &Machine, system: &DemoSystem, founders: &[&str]) -> Value {
    let mut spec = spec(name, machine, system);
    let peers: Vec<String> = founders.iter().map(|founder| format!("{founder}:2380")).collect();
    let hosts: String = founders.iter().map(|founder| format!("{} {founder}\n", address(founder))).collect();
    if let Some(files) = spec["files"].as_array_mut() {
        // NixOS has these lines before networking.hosts: a node's own name leads to itself alone.
        let own = format!("127.0.0.1 localhost\n::1 localhost\n127.0.0.2 {name}\n::1 {name}\n");
        files.push(json!({ "path": "/etc/hosts", "mode": "0644", "content": format!("{own}{hosts}") }));
    }
    spec["cluster"] = json!({
        "node_id": name,
        "node_role": "control-plane",
        "bootstrap": founders.contains(&name),
        "cluster_name": "trio",
        "leader_url": format!("https://{}:2379", founders.first().unwrap_or(&name)),
        "raft_addr": format!("{}:2380", address(name)),
        "node_ip": address(name),
        "initial_peers": peers,
    });
    spec
}

/// disko's devices: what firmware of this kind boots from, and one root.
fn layout(firmware: Firmware) -> Value {
    let root = json!({
        "size": "100%",
        "content": { "type": "filesystem", "format": "ext4", "mountpoint": "/" },
    });
    let partitions = match firmware {
        Firmware::Bios => json!({ "boot": { "size": "1M", "type": "EF02" }, "root": root }),
        Firmware::Uefi => json!({
            "ESP": {
                "size": "100M",
                "type": "EF00",
                "content": {
                    "type": "filesystem", "format": "vfat", "mountpoint": "/boot", "mountOptions": ["umask=0077"],
                },
            },
            "root": root,
        }),
    };
    json!({ "disk": { "main": {
        "type": "disk",
        "device": "/dev/disk/by-id/chosen-by-the-spec",
        "content": { "type": "gpt", "partitions": partitions },
    } } })
}
