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
        "device": "/dev/vda",
        "content": { "type": "gpt", "partitions": partitions },
    } } })
}
