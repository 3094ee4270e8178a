//! What stands on what: partitions, md arrays, device-mapper and loop devices above the disks, as sysfs shows
//! them, and what the kernel does with each.

use hardware::inventory::sysfs::Dir;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Lines of a mount or swap table that are read at most.
const MOST_LINES: usize = 20_000;
/// Where a device is mounted that the mount table does not name.
const SOMEWHERE: &str = "the place of its btrfs file system";

/// What a block device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A whole disk.
    Disk,
    /// A partition of a disk or an array.
    Partition,
    /// A device-mapper device: logical volume, LUKS mapping, multipath ...
    Mapper {
        /// Its name in /dev/mapper.
        name: String,
        /// `LVM-...`, `CRYPT-LUKS2-...`, `mpath-...`; empty where its maker gave none.
        uuid: String,
    },
    /// An md array.
    Array {
        /// `raid1` ...; empty for a container and for one that is not running.
        level: String,
    },
    /// A loop device on a block device or a file.
    Loop,
    /// Something that stands on another device and that the agent cannot take down: bcache, drbd ...
    Other,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Kernel name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Device number, as the kernel counts.
    pub number: (u32, u32),
    /// Where a partition begins on its disk, bytes.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Kernel names of what stands on it: partitions and holders.
    pub above: BTreeSet<String>,
    /// Where it is mounted.
    pub mounts: Vec<String>,
    /// The kernel swaps to it.
    pub swap: bool,
}

impl Node {
    /// How an operator knows it: `md0`, `LVM volume vg-root`, `LUKS mapping crypted`.
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Mapper { name, uuid } => match uuid.split('-').next().unwrap_or("") {
                "LVM" => format!("LVM volume {name}"),
                "CRYPT" => format!("dm-crypt mapping {name}"),
                "mpath" => format!("multipath disk {name}"),
                _ => format!("device-mapper device {name}"),
            },
            Kind::Array { level } if !level.is_empty() => format!("{} ({level})", self.name),
            Kind::Array { .. } => format!("{} (an md array that does not run)", self.name),
            _ => self.name.clone(),
        }
    }

    /// It is a disk of several paths, put together by multipath.
    pub fn is_multipath(&self) -> bool {
        matches!(&self.kind, Kind::Mapper { uuid, .. } if uuid.starts_with("mpath-"))
    }
}

/// Every block device of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    nodes: BTreeMap<String, Node>,
}

impl Stack {
    /// The running machine's.
    pub fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut stack = Self::read_from(Path::new("/sys"));
        stack.mark(&read("/proc/self/mountinfo"), &read("/proc/swaps"), &|path| {
            let found = fs::metadata(path).ok().filter(|found| found.rdev() != 0)?;
            Some((libc::major(found.rdev()), libc::minor(found.rdev())))
        });
        stack
    }

    /// The devices of a sysfs, without what is mounted.
    pub fn read_from(sys: &Path) -> Self {
        let sys = Dir::new(sys);
        let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
        let mut edges: Vec<(String, String)> = Vec::new();
        for block in sys.join("class/block").entries() {
            let name = block.name();
            let names = |dirs: Vec<Dir>| dirs.into_iter().map(|dir| dir.name());
            let parts = names(block.entries().into_iter().filter(|dir| dir.has("partition")).collect());
            let above: BTreeSet<String> = parts.chain(names(block.join("holders").entries())).collect();
            if let Some(file) = block.text("loop/backing_file")
                && let Some(backing) = file.strip_prefix("/dev/")
            {
                edges.push((backing.to_owned(), name.clone()));
            }
            nodes.insert(name.clone(), node(&block, name, above));
        }
        for (below, above) in edges {
            if let Some(node) = nodes.get_mut(&below) {
                node.above.insert(above);
            }
        }
        let mut stack = Self { nodes };
        // Of a file system on several disks, the mount table names one; sysfs names them all.
        for system in sys.join("fs/btrfs").entries() {
            for device in system.join("devices").entries() {
                if let Some(node) = stack.nodes.get_mut(&device.name()) {
                    node.mounts.push(SOMEWHERE.to_owned());
                }
            }
        }
        stack
    }

    /// Marks what is mounted and what is swapped to; `number` gives the device number behind a path.
    pub fn mark(&mut self, mountinfo: &str, swaps: &str, number: &dyn Fn(&str) -> Option<(u32, u32)>) {
        for line in mountinfo.lines().take(MOST_LINES) {
            let Some((device, target, source)) = mount_line(line) else { continue };
            // btrfs shows a number of its own; then what was mounted tells.
            let device = Some(device).filter(|(major, _)| *major != 0).or_else(|| number(&source));
            if let Some(node) = device.and_then(|device| self.by_number(device)) {
                node.mounts.retain(|mount| mount != SOMEWHERE);
                node.mounts.push(target);
            }
        }
        for line in swaps.lines().skip(1).take(MOST_LINES) {
            let path = unescape(line.split_whitespace().next().unwrap_or_default());
            if let Some(node) = number(&path).and_then(|device| self.by_number(device)) {
                node.swap = true;
            }
        }
    }

    fn by_number(&mut self, number: (u32, u32)) -> Option<&mut Node> {
        self.nodes.values_mut().find(|node| node.number == number)
    }

    /// One device.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Kernel names of all devices.
    pub fn names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// Everything that stands on any of these devices, and they themselves: each behind all that stands on it.
    pub fn top_down(&self, names: &[&str]) -> Vec<&Node> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            self.visit(name, &mut seen, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<&'a Node>) {
        let Some(node) = self.nodes.get(name) else { return };
        if !seen.insert(name.to_owned()) {
            return;
        }
        for above in &node.above {
            self.visit(above, seen, order);
        }
        order.push(node);
    }

    /// The devices without any below them that a device stands on, in the order of names.
    pub fn disks_below(&self, name: &str) -> Vec<&str> {
        let on = |disk: &&Node| {
            let is_bottom = !self.nodes.values().any(|other| other.above.contains(&disk.name));
            is_bottom && self.top_down(&[&disk.name]).iter().any(|node| node.name == name)
        };
        self.nodes.values().filter(on).map(|node| node.name.as_str()).collect()
    }

    /// The device is one of these disks, or stands on nothing else in the end.
    pub fn stands_on_only(&self, name: &str, disks: &[&str]) -> bool {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            if disks.contains(&name) || !seen.insert(name) {
                continue;
            }
            let below = self.nodes.values().filter(|node| node.above.contains(name)).map(|node| node.name.as_str());
            let below: Vec<&str> = below.collect();
            if below.is_empty() {
                return false;
            }
            waiting.extend(below);
        }
        true
    }

    /// Every disk that is none of these, and what stands on one, if only in part.
    pub fn of_others(&self, disks: &[&str]) -> Vec<&Node> {
        let all: Vec<&str> =
            self.nodes.values().filter(|node| node.kind == Kind::Disk).map(|node| node.name.as_str()).collect();
        self.top_down(&all).into_iter().filter(|node| !self.stands_on_only(&node.name, disks)).collect()
    }
}

/// The kernel has a block device of this number.
pub fn is_known(major: u32, minor: u32) -> bool {
    Path::new("/sys/dev/block").join(format!("{major}:{minor}")).exists()
}

fn node(block: &Dir, name: String, above: BTreeSet<String>) -> Node {
    let kind = if block.has("partition") {
        Kind::Partition
    } else if block.has("dm") {
        Kind::Mapper {
            name: block.text("dm/name").unwrap_or_else(|| name.clone()),
            uuid: block.text("dm/uuid").unwrap_or_default(),
        }
    } else if block.has("md") {
        Kind::Array { level: block.text("md/level").unwrap_or_default() }
    } else if block.has("loop") {
        Kind::Loop
    } else if block.has("device") {
        Kind::Disk
    } else {
        Kind::Other
    };
    let number = block.text("dev").and_then(|text| {
        let (major, minor) = text.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    // sysfs counts sectors of 512 bytes whatever the disk's own are.
    let bytes = |attribute: &str| block.number(attribute).unwrap_or(0).saturating_mul(512);
    Node {
        kind,
        number: number.unwrap_or((0, 0)),
        start: bytes("start"),
        size: bytes("size"),
        above,
        mounts: Vec::new(),
        swap: false,
        name,
    }
}

/// Device number, mount point and source of a line of mountinfo.
fn mount_line(line: &str) -> Option<((u32, u32), String, String)> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(2);
    let (major, minor) = front.next()?.split_once(':')?;
    let target = front.nth(1)?;
    let source = back.split(' ').nth(1)?;
    Some(((major.parse().ok()?, minor.parse().ok()?), unescape(target), unescape(source)))
}

/// The kernel writes blanks and backslashes of paths as three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(missing_docs, reason = "what other tests begin with")]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stack of `(name, kind, what stands on it)`; devices get numbers by their place.
    pub fn stack(nodes: &[(&str, Kind, &[&str])]) -> Stack {
        let node = |(index, (name, kind, above)): (usize, &(&str, Kind, &[&str]))| {
            let above = above.iter().map(|above| (*above).to_owned()).collect();
            let number = (8, u32::try_from(index).unwrap());
            let name = (*name).to_owned();
            let size = 1 << 30;
            (
                name.clone(),
                Node { name, kind: kind.clone(), number, start: 0, size, above, mounts: vec![], swap: false },
            )
        };
        Stack { nodes: nodes.iter().enumerate().map(node).collect() }
    }

    /// A mapping.
    pub fn mapper(name: &str, uuid: &str) -> Kind {
        Kind::Mapper { name: name.to_owned(), uuid: uuid.to_owned() }
    }

    fn names(nodes: &[&Node]) -> Vec<String> {
        nodes.iter().map(|node| node.name.clone()).collect()
    }

    #[test]
    fn everything_above_comes_before_what_it_stands_on() {
        let stack = stack(&[
            ("sda", Kind::Disk, &["sda1", "sda2"]),
            ("sda1", Kind::Partition, &[]),
            ("sda2", Kind::Partition, &["md0"]),
            ("sdb", Kind::Disk, &["md0"]),
            ("md0", Kind::Array { level: "raid1".into() }, &["dm-0"]),
            ("dm-0", mapper("crypted", "CRYPT-LUKS2-x"), &["dm-1"]),
            ("dm-1", mapper("vg-root", "LVM-x"), &[]),
        ]);
        assert_eq!(names(&stack.top_down(&["sda"])), ["sda1", "dm-1", "dm-0", "md0", "sda2", "sda"]);
        assert_eq!(stack.disks_below("dm-1"), ["sda", "sdb"]);
        assert!(stack.stands_on_only("dm-1", &["sda", "sdb"]) && stack.stands_on_only("sda2", &["sda"]));
        assert!(!stack.stands_on_only("dm-1", &["sda"]) && !stack.stands_on_only("nowhere", &["sda"]));
        assert_eq!(stack.get("dm-1").unwrap().label(), "LVM volume vg-root");
        assert_eq!(names(&stack.of_others(&["sda"])), ["dm-1", "dm-0", "md0", "sdb"]);
        assert!(stack.of_others(&["sda", "sdb"]).is_empty());
    }

    #[test]
    fn mounts_are_found_by_number_by_source_and_through_octal_escapes() {
        let mut stack = stack(&[("sda", Kind::Disk, &[]), ("sdb", Kind::Disk, &[]), ("sdc", Kind::Disk, &[])]);
        let mountinfo = "36 1 8:0 / /mnt/a\\040b rw - ext4 /dev/sda rw\n\
                         37 1 0:41 /sub /srv rw shared:1 - btrfs /dev/sdb rw\n\
                         38 1 0:22 / /proc rw - proc proc rw\nodd line\n";
        let swaps = "Filename Type Size Used Priority\n/dev/sdc partition 1 0 -2\n";
        stack.mark(mountinfo, swaps, &|path| match path {
            "/dev/sdb" => Some((8, 1)),
            "/dev/sdc" => Some((8, 2)),
            _ => None,
        });
        assert_eq!(stack.get("sda").unwrap().mounts, ["/mnt/a b"]);
        assert_eq!(stack.get("sdb").unwrap().mounts, ["/srv"]);
        assert!(stack.get("sdc").unwrap().swap);
    }

    #[test]
    fn a_sysfs_is_read_with_partitions_holders_and_loops_on_devices() {
        let tree = tempfile::tempdir().unwrap();
        let class = tree.path().join("class/block");
        let file = |path: &str, content: &str| {
            let path = class.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        file("sda/dev", "8:0\n");
        file("sda/device/x", "");
        file("sda/size", "2048\n");
        file("sda/sda1/partition", "1\n");
        file("sda1/partition", "1\n");
        file("sda1/start", "8\n");
        file("sda1/holders/dm-0/x", "");
        file("dm-0/dm/name", "vg-root\n");
        file("dm-0/dm/uuid", "LVM-abc\n");
        file("md0/md/level", "raid1\n");
        file("loop0/loop/backing_file", "/dev/sda1\n");
        fs::create_dir_all(tree.path().join("fs/btrfs/uuid/devices/dm-0")).unwrap();
        let stack = Stack::read_from(tree.path());
        assert_eq!(names(&stack.top_down(&["sda"])), ["dm-0", "loop0", "sda1", "sda"]);
        assert_eq!(stack.get("sda").unwrap().size, 1 << 20);
        assert_eq!(stack.get("sda1").unwrap().start, 4096);
        assert_eq!(stack.get("dm-0").unwrap().mounts, [SOMEWHERE]);
        assert_eq!(stack.get("md0").unwrap().label(), "md0 (raid1)");
    }

    #[test]
    fn a_circle_that_no_kernel_shows_ends_all_the_same() {
        let stack = stack(&[("a", Kind::Other, &["b"]), ("b", Kind::Other, &["a"])]);
        assert_eq!(stack.top_down(&["a"]).len(), 2);
    }

    proptest! {
        #[test]
        fn any_table_is_read(mounts in "\\PC{0,80}", swaps in "\\PC{0,80}") {
            let mut stack = stack(&[("sda", Kind::Disk, &[])]);
            stack.mark(&mounts, &format!("head\n{swaps}"), &|_| Some((8, 0)));
        }

        #[test]
        fn any_text_is_unescaped(text in "[\\\\0-9a-z]{0,20}") {
            let _ = unescape(&text);
        }
    }
}
