//! Identifiers of a node's own, the same in every run: that is how its own disks are known again.

use protocol::{encoding::Sha256, names::NodeName};
use serde_json::Value;
use uuid::Uuid;

/// Whose identifiers, and of which layout.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Node and site: two sites may have nodes of the same name.
    owners: Vec<String>,
    layout: [u8; 16],
}

/// Bytes of a table's identifier that say whose it is; those behind say of which layout. Both without the bits that
/// RFC 9562 fixes.
const OWNER: std::ops::Range<usize> = 0..6;
const LAYOUT: std::ops::Range<usize> = 9..16;

impl Identity {
    /// Of a node, for `disko.devices` as they were given. `sites`: hashes of the CA's keys, the current one first;
    /// none on the command line.
    pub fn new(node: &NodeName, sites: &[Sha256], devices: &Value) -> Self {
        let mut owners: Vec<String> = sites.iter().map(|site| format!("{}/{node}", site.hex())).collect();
        if owners.is_empty() {
            owners.push(node.to_string());
        }
        Identity { owners, layout: hash(&format!("centra layout/1 {devices}")) }
    }

    /// Of a part of the layout.
    pub fn guid(&self, what: &str) -> Uuid {
        custom(self.bytes(what))
    }

    /// Of a partition table: one while the layout is being made, another one once all of it stands.
    pub fn table(&self, what: &str, finished: bool) -> Uuid {
        let mut bytes = self.bytes(what);
        if finished {
            bytes[LAYOUT].copy_from_slice(&self.layout[LAYOUT]);
        }
        custom(bytes)
    }

    /// The table was made for this node and this part of its layout, whatever the layout was then.
    pub fn owns(&self, what: &str, table: Uuid) -> bool {
        self.owners.iter().any(|owner| of_owner(owner, what)[OWNER] == table.as_bytes()[OWNER])
    }

    /// 32 bits for an msdos table.
    pub fn signature(&self, what: &str, finished: bool) -> u32 {
        let what = if finished { format!("{what} {}", custom(self.layout)) } else { what.to_owned() };
        let [a, b, c, d, ..] = self.bytes(&what);
        // 0 is no signature.
        u32::from_be_bytes([a, b, c, d]) | 1
    }

    fn bytes(&self, what: &str) -> [u8; 16] {
        self.owners.first().map_or([0; 16], |owner| of_owner(owner, what))
    }
}

fn of_owner(owner: &str, what: &str) -> [u8; 16] {
    hash(&format!("centra guid/1 {owner} {what}"))
}

fn hash(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::of(text.as_bytes()).0[..16]);
    bytes
}

/// RFC 9562, version 8: vendor-specific.
fn custom(bytes: [u8; 16]) -> Uuid {
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_known_as_the_nodes_own_whatever_its_layout_was() {
        let of = |node: &str, layout: u32| Identity::new(&node.parse().unwrap(), &[], &json!(layout));
        let (first, second, other) = (of("a", 1), of("a", 2), of("b", 1));
        assert_ne!(first.table("disk main", true), second.table("disk main", true));
        assert_eq!(first.table("disk main", false), second.table("disk main", false));
        assert_ne!(first.table("disk main", true), first.table("disk main", false));
        assert!(second.owns("disk main", first.table("disk main", true)));
        assert!(!second.owns("disk other", first.table("disk main", true)));
        assert!(!other.owns("disk main", first.table("disk main", true)));
    }

    #[test]
    fn a_node_of_the_same_name_at_another_site_is_another_owner() {
        let of = |sites: &[&str]| {
            let sites: Vec<Sha256> = sites.iter().map(|site| Sha256::of(site.as_bytes())).collect();
            Identity::new(&"a".parse().unwrap(), &sites, &json!(1))
        };
        let (here, there) = (of(&["here"]), of(&["there"]));
        assert!(!there.owns("disk main", here.table("disk main", true)));
        // After the site's CA has got a new key, its disks are still its own.
        assert!(of(&["new", "here"]).owns("disk main", here.table("disk main", true)));
    }
}
