//! Trees on disk: packed by real Nix and by another implementation, unpacked here, and packed again.

use super::Tree;
use crate::nar::unpack;
use proptest::prelude::*;
use std::{fs, io, os::fd::AsFd, os::unix::fs::PermissionsExt, path::Path};

/// A tree on disk, drawn by proptest; names are short so that they meet.
#[derive(Debug, Clone)]
enum Drawn {
    File(bool, Vec<u8>),
    Link(String),
    Folder(std::collections::BTreeMap<String, Drawn>),
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let leaf = prop_oneof![
        (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(exec, bytes)| Drawn::File(exec, bytes)),
        "[a-z./]{1,12}".prop_map(Drawn::Link),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        proptest::collection::btree_map("[a-zA-Z0-9_ .-]{1,3}", inner, 0..5).prop_map(|mut entries| {
            entries.retain(|name, _| name != "." && name != "..");
            Drawn::Folder(entries)
        })
    })
}

fn write(path: &Path, object: &Drawn) {
    match object {
        Drawn::File(executable, bytes) => {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 })).unwrap();
        }
        Drawn::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        Drawn::Folder(entries) => {
            fs::create_dir(path).unwrap();
            entries.iter().for_each(|(name, object)| write(&path.join(name), object));
        }
    }
}

fn packed_by_another(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    io::copy(&mut nix_nar::Encoder::new(path).unwrap(), &mut bytes).unwrap();
    bytes
}

fn packed_by_nix(path: &Path) -> Vec<u8> {
    let output = std::process::Command::new("nix-store").arg("--dump").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Packs a tree, unpacks it here, packs the result: the same bytes.
fn round_trips(object: &Drawn, pack: fn(&Path) -> Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    write(&original, object);
    let bytes = pack(&original);
    let handle = fs::File::open(folder.path()).unwrap();
    unpack(&bytes[..], &mut Tree::new(handle.as_fd(), b"copy")).unwrap();
    assert!(pack(&folder.path().join("copy")) == bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trees_packed_by_another_implementation_round_trip(object in drawn()) {
        round_trips(&object, packed_by_another);
    }
}

#[test]
fn trees_packed_by_nix_round_trip() {
    let entry = |name: &str, object: Drawn| (name.to_owned(), object);
    let object = Drawn::Folder(
        [
            entry("empty", Drawn::File(false, vec![])),
            entry("program", Drawn::File(true, vec![7; 300_001])),
            entry("Case", Drawn::File(false, b"a".to_vec())),
            entry("case", Drawn::File(false, b"b".to_vec())),
            entry(&"n".repeat(255), Drawn::Folder([].into())),
            entry("ünï", Drawn::Link("/no/where".into())),
            entry(
                "deep",
                Drawn::Folder([entry("er", Drawn::Folder([entry("x", Drawn::Link("..".into()))].into()))].into()),
            ),
        ]
        .into(),
    );
    round_trips(&object, packed_by_nix);
    for root in [Drawn::File(true, b"abc".to_vec()), Drawn::Link("x".into())] {
        round_trips(&root, packed_by_nix);
    }
}
