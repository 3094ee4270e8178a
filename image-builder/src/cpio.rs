//! newc, the archive format of an initrd (kernel: Documentation/driver-api/early-userspace/buffer-format).

use crate::tree::{Node, Tree};
use protocol::{Code, Failure, failure::Result};

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";

/// What differs between the headers of two entries; owner, time and device of the archive are always 0.
struct Header {
    inode: u32,
    mode: u32,
    links: u32,
    size: u32,
    device: (u32, u32),
}

/// Writes the tree as an archive. Equal trees make equal bytes.
///
/// # Errors
/// `E-IMAGE` for a file of 4 GiB or more, which the format cannot hold.
pub fn write(tree: &Tree) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (inode, (path, node)) in (1..).zip(tree.iter()) {
        let (mode, links, content, device) = match node {
            Node::Directory(mode) => (0o040_000 | mode, 2, &[][..], (0, 0)),
            Node::File(mode, content) => (0o100_000 | mode, 1, content.as_slice(), (0, 0)),
            Node::Symlink(target) => (0o120_777, 1, target.as_bytes(), (0, 0)),
            Node::Device(mode, major, minor) => (0o020_000 | mode, 1, &[][..], (*major, *minor)),
        };
        let size = u32::try_from(content.len())
            .map_err(|_| Failure::new(Code::Image, format!("archiving {path}: larger than 4 GiB")))?;
        entry(&mut archive, &Header { inode, mode, links, size, device }, path, content);
    }
    entry(&mut archive, &Header { inode: 0, mode: 0, links: 1, size: 0, device: (0, 0) }, TRAILER, &[]);
    Ok(archive)
}

fn entry(archive: &mut Vec<u8>, header: &Header, name: &str, content: &[u8]) {
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    let (major, minor) = header.device;
    let fields = [
        header.inode,
        header.mode,
        0, // owner
        0, // group
        header.links,
        0, // time
        header.size,
        0, // device of the archive, major
        0, // and minor
        major,
        minor,
        name_size,
        0, // checksum, unused
    ];
    archive.extend_from_slice(MAGIC.as_bytes());
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(content);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads an archive back, by the format's description and not by the writer's code.
    fn read(mut archive: &[u8]) -> Vec<(String, Node)> {
        let mut found = Vec::new();
        loop {
            let field = |n: usize| {
                let digits = std::str::from_utf8(&archive[6 + n * 8..14 + n * 8]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            assert_eq!(&archive[..6], b"070701");
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            for zero in [2, 3, 5, 7, 8, 12] {
                assert_eq!(field(zero), 0, "owner, group, time, device and checksum are 0");
            }
            let name = String::from_utf8(archive[110..110 + name_size - 1].to_vec()).unwrap();
            let start = (110 + name_size).next_multiple_of(4);
            let content = archive[start..start + size].to_vec();
            if name == "TRAILER!!!" {
                return found;
            }
            assert_eq!(field(0) as usize, found.len() + 1, "inode numbers go up");
            let permissions = mode & 0o7777;
            let node = match mode & 0o170_000 {
                0o040_000 => Node::Directory(permissions),
                0o100_000 => Node::File(permissions, content),
                0o120_000 => Node::Symlink(String::from_utf8(content).unwrap()),
                0o020_000 => Node::Device(permissions, field(9), field(10)),
                other => panic!("type {other:o}"),
            };
            found.push((name, node));
            archive = &archive[(start + size).next_multiple_of(4)..];
        }
    }

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            prop_oneof![Just(0o755), Just(0o1777)].prop_map(Node::Directory),
            (prop_oneof![Just(0o644u32), Just(0o755)], prop::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(mode, content)| Node::File(mode, content)),
            "[a-z/]{1,12}".prop_map(Node::Symlink),
            (0u32..300, 0u32..300).prop_map(|(major, minor)| Node::Device(0o600, major, minor)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nodes in prop::collection::btree_map("[a-z]{1,9}", node(), 0..12)) {
            let mut tree = Tree::default();
            for (path, node) in nodes {
                tree.add(&format!("top/{path}"), node);
            }
            let expected: Vec<(String, Node)> = tree.iter().map(|(path, node)| (path.to_owned(), node.clone())).collect();
            prop_assert_eq!(read(&write(&tree).unwrap()), expected);
        }
    }
}
