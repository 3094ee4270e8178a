//! Every member of a pool has its place in the pool's topology, and nothing else has one: `zpool` would look any other
//! word up among all the devices of the machine.

use crate::{
    Content, Dataset, Layout, PoolMode, Topology, Vdev,
    fault::Fault,
    words::{partition_label, partition_path},
};

/// A device that is a member of a pool.
struct Member {
    pool: String,
    at: String,
    /// By which a topology may list it.
    names: Vec<String>,
}

/// Checks the topologies of all pools.
///
/// # Errors
/// `E-LAYOUT` with the path.
pub fn check(layout: &Layout) -> Result<(), Fault> {
    let members = members(layout);
    for (key, pool) in &layout.zpool {
        let PoolMode::Topology(topology) = &pool.mode else { continue };
        let at = format!("zpool.{key}.mode.topology");
        if topology.vdev.is_empty() {
            return Err(Fault::at(&format!("{at}.vdev"), "a pool needs at least one vdev"));
        }
        let mut left: Vec<&Member> = members.iter().filter(|member| member.pool == *key).collect();
        for (at, name) in listed(&at, topology)? {
            let found = left.iter().position(|member| member.names.contains(&name));
            let found = found.ok_or_else(|| unknown(&at, &name, key, layout))?;
            left.remove(found);
        }
        if let Some(member) = left.first() {
            let why = format!("it is a member of zpool.{key}, and no vdev of its topology lists it");
            return Err(Fault::at(&member.at, &why));
        }
    }
    Ok(())
}

fn unknown(at: &str, name: &str, pool: &str, layout: &Layout) -> Fault {
    let is_disk = layout.disk.iter().any(|(key, disk)| key == name || disk.device == *name);
    let why = if is_disk {
        format!("{name:?} is listed already, or carries no device of zpool.{pool}")
    } else {
        format!("{name:?} is neither a disk of the layout nor the `device` of one, and no other disk is written to")
    };
    Fault::at(at, &why).with_remedy("list the disks of the layout by their keys in `disk`")
}

/// All that a topology lists, with its place.
fn listed(at: &str, topology: &Topology) -> Result<Vec<(String, String)>, Fault> {
    let classes: [(&str, &Vec<Vdev>); 4] =
        [("vdev", &topology.vdev), ("log", &topology.log), ("dedup", &topology.dedup), ("special", &topology.special)];
    let mut all = Vec::new();
    for (class, vdevs) in classes {
        for (n, vdev) in vdevs.iter().enumerate() {
            let at = format!("{at}.{class}.{n}.members");
            if vdev.members.is_empty() {
                return Err(Fault::at(&at, "it is empty"));
            }
            all.extend(vdev.members.iter().map(|name| (at.clone(), name.clone())));
        }
    }
    for (class, names) in [("spare", &topology.spare), ("cache", &topology.cache)] {
        all.extend(names.iter().map(|name| (format!("{at}.{class}"), name.clone())));
    }
    Ok(all)
}

fn members(layout: &Layout) -> Vec<Member> {
    let mut found = Vec::new();
    for (key, disk) in &layout.disk {
        let mut names = vec![key.clone(), disk.device.clone()];
        names.extend(disk.name.clone());
        let place = Place { at: format!("disk.{key}.content"), names, table: ("disk", key.replace('/', "_")) };
        collect(&mut found, disk.content.as_ref(), &place);
    }
    for (key, array) in &layout.mdadm {
        let name = array.name.as_ref().unwrap_or(key);
        let names = vec![key.clone(), format!("/dev/md/{name}")];
        let place = Place { at: format!("mdadm.{key}.content"), names, table: ("mdadm", name.clone()) };
        collect(&mut found, array.content.as_ref(), &place);
    }
    for (key, group) in &layout.lvm_vg {
        let name = group.name.as_ref().unwrap_or(key);
        for (volume, one) in &group.lvs {
            let names = vec![format!("/dev/{name}/{}", one.name.as_ref().unwrap_or(volume))];
            let place =
                Place { at: format!("lvm_vg.{key}.lvs.{volume}.content"), names, table: ("device", String::new()) };
            collect(&mut found, one.content.as_ref(), &place);
        }
    }
    for (key, pool) in &layout.zpool {
        for (dataset, one) in &pool.datasets {
            let Dataset::Volume(one) = one else { continue };
            let at = format!("zpool.{key}.datasets.{dataset}.content");
            collect(
                &mut found,
                one.content.as_ref(),
                &Place { at, names: Vec::new(), table: ("device", String::new()) },
            );
        }
    }
    found
}

struct Place {
    at: String,
    names: Vec<String>,
    /// As partition labels have it.
    table: (&'static str, String),
}

impl Place {
    fn below(&self, at: &str, name: Option<String>) -> Place {
        let names = self.names.iter().cloned().chain(name).collect();
        Place { at: format!("{}.{at}", self.at), names, table: self.table.clone() }
    }
}

fn collect(found: &mut Vec<Member>, content: Option<&Content>, place: &Place) {
    match content {
        Some(Content::Gpt(gpt)) => {
            for (key, one) in &gpt.partitions {
                let path = partition_path(&partition_label(place.table.0, &place.table.1, key, one));
                collect(found, one.content.as_ref(), &place.below(&format!("partitions.{key}.content"), path));
            }
        }
        Some(Content::Table(table)) => {
            for (n, one) in table.partitions.iter().enumerate() {
                let path = one.name.as_deref().and_then(partition_path);
                collect(found, one.content.as_ref(), &place.below(&format!("partitions.{n}.content"), path));
            }
        }
        Some(Content::Luks(luks)) => {
            let name = format!("/dev/mapper/{}", luks.name);
            collect(found, luks.content.as_ref(), &place.below("content", Some(name)));
        }
        Some(Content::Zfs(one)) => {
            let (pool, at, names) = (one.pool.clone(), place.at.clone(), place.names.clone());
            found.push(Member { pool, at, names });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::Layout;
    use serde_json::{Value, json};

    fn refused(topology: &Value) -> Option<String> {
        let disk = |device: &str| {
            json!({"device": device, "content": {"type": "gpt", "partitions":
            {"zfs": {"size": "100%", "content": {"type": "zfs", "pool": "z"}}}}})
        };
        let layout = json!({
            "disk": {"a": disk("/dev/sda"), "b": disk("/dev/disk/by-id/wwn-1")},
            "zpool": {"z": {"mode": {"topology": topology}}},
        });
        Layout::read(&layout, false).err().map(|fault| protocol::Failure::from(fault).cause)
    }

    #[test]
    fn a_member_is_a_disk_of_the_layout_by_its_key_its_device_or_its_partition() {
        for names in [["a", "b"], ["/dev/sda", "/dev/disk/by-id/wwn-1"], ["/dev/disk/by-partlabel/disk-a-zfs", "b"]] {
            assert_eq!(refused(&json!({"vdev": [{"mode": "mirror", "members": names}]})), None);
        }
    }

    #[test]
    fn whatever_else_a_topology_lists_is_refused_with_its_path() {
        let vdev = json!([{"members": ["a", "b"]}]);
        for (topology, path) in [
            (json!({"vdev": [{"members": ["a", "b", "sdz"]}]}), "zpool.z.mode.topology.vdev.0.members"),
            (json!({"vdev": [{"members": ["a", "/dev/sdz"]}]}), "topology.vdev.0.members"),
            (json!({"vdev": vdev, "log": [{"members": ["sdz"]}]}), "topology.log.0.members"),
            (json!({"vdev": vdev, "special": {"members": ["sdz"]}}), "topology.special.0.members"),
            (json!({"vdev": vdev, "dedup": [{"members": ["sdz"]}]}), "topology.dedup.0.members"),
            (json!({"vdev": vdev, "spare": ["sdy"]}), "topology.spare"),
            (json!({"vdev": vdev, "cache": ["disk/by-id/wwn-2"]}), "topology.cache"),
            (json!({"vdev": vdev, "cache": ["-n"]}), "topology.cache"),
            (json!({"vdev": [{"members": ["a", "b", "a"]}]}), "topology.vdev.0.members"),
            (json!({"vdev": [{"members": []}]}), "topology.vdev.0.members"),
            (json!({"cache": ["a", "b"]}), "topology.vdev"),
        ] {
            let cause = refused(&topology).unwrap_or_default();
            assert!(cause.contains(path), "{topology}: {cause}");
        }
    }

    #[test]
    fn a_member_that_no_vdev_lists_is_refused() {
        let cause = refused(&json!({"vdev": [{"members": ["a"]}]})).unwrap();
        assert!(cause.contains("disk.b.content.partitions.zfs.content") && cause.contains("no vdev"), "{cause}");
    }
}
