//! mkfs of each kind, with identifiers of the node's own.

use super::{
    builder::{Builder, Mode},
    facts::Source,
    sizes,
};
use crate::action::{Command, Device};
use layout::Filesystem;
use uuid::Uuid;

/// A file system of its own device.
pub fn make(builder: &mut Builder<'_>, at: &str, device: &Device, one: &Filesystem, mode: Mode) {
    let own = builder.own.guid(at);
    let uuid = uuid(&one.format, &one.extra_args, own);
    builder.identify(uuid.as_deref(), "file system");
    sizes::filesystem(&mut builder.sizes, at, device, one);
    if builder.is_made(mode, &[one.mountpoint.as_ref()]) {
        builder.wipe_again(device, mode);
        builder.run(mkfs(one, device, own));
    }
    if let Some(mountpoint) = &one.mountpoint {
        let source = Source::Device(device.clone());
        builder.mount(source, &one.format, mountpoint, &one.mount_options, uuid, &one.hooks);
    }
}

/// The command that makes a file system on a device without one.
pub fn mkfs(one: &Filesystem, device: &Device, own: Uuid) -> Command {
    let is_partition = matches!(device, Device::Partition(..));
    let extra = &one.extra_args;
    let identity = |names: &[&str], given: Vec<String>| if names_uuid(extra, names) { Vec::new() } else { given };
    let uuid = own.to_string();
    let (program, own): (&'static str, Vec<String>) = match one.format.as_str() {
        "vfat" => {
            let mut own = identity(&["-i"], vec!["-i".to_owned(), volume_id(own)]);
            if !is_partition {
                own.push("-I".to_owned());
            }
            ("mkfs.vfat", own)
        }
        "xfs" => {
            let own = identity(&["uuid="], vec!["-m".to_owned(), format!("uuid={uuid}")]);
            ("mkfs.xfs", [vec!["-q".to_owned(), "-f".to_owned()], own].concat())
        }
        "f2fs" => {
            let own = identity(&["-U"], vec!["-U".to_owned(), uuid]);
            ("mkfs.f2fs", [vec!["-q".to_owned(), "-f".to_owned()], own].concat())
        }
        "btrfs" => {
            let own = identity(&["-U", "--uuid"], vec!["-U".to_owned(), uuid]);
            ("mkfs.btrfs", [vec!["-q".to_owned(), "-f".to_owned()], own].concat())
        }
        "bcachefs" => {
            let own = identity(&["-U", "--uuid"], vec![format!("--uuid={uuid}")]);
            ("mkfs.bcachefs", [vec!["-q".to_owned(), "-f".to_owned()], own].concat())
        }
        ext => {
            let program = match ext {
                "ext2" => "mkfs.ext2",
                "ext3" => "mkfs.ext3",
                _ => "mkfs.ext4",
            };
            let own = identity(&["-U"], vec!["-U".to_owned(), uuid]);
            (program, [vec!["-q".to_owned(), "-F".to_owned()], own].concat())
        }
    };
    Command::new(program, own).args(extra.clone()).arg(device)
}

/// The UUID that blkid will show, where it is ours.
pub fn uuid(format: &str, extra: &[String], own: Uuid) -> Option<String> {
    let names: &[&str] = match format {
        "vfat" => &["-i"],
        "xfs" => &["uuid="],
        _ => &["-U", "--uuid"],
    };
    if names_uuid(extra, names) {
        return None;
    }
    Some(match format {
        "vfat" => {
            let id = volume_id(own).to_uppercase();
            format!("{}-{}", &id[..4], &id[4..])
        }
        _ => own.to_string(),
    })
}

/// Whether the operator's own arguments set the identifier.
pub fn names_uuid(extra: &[String], names: &[&str]) -> bool {
    extra.iter().any(|word| names.iter().any(|name| word == name || (name.len() > 2 && word.contains(name))))
}

/// FAT has 32 bits for an identifier.
fn volume_id(own: Uuid) -> String {
    let (high, _) = own.as_u64_pair();
    format!("{:08x}", high >> 32)
}
