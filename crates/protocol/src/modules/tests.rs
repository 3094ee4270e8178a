use super::*;
use proptest::prelude::*;

const DEP: &str = "\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/crypto/crc32c_generic.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
";
const ALIAS: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000001v* virtio_net
alias crypto-crc32c crc32c_generic
alias crypto-crc32c crc32c_intel
alias fs-ext4 ext4
alias gone* not_there
";
const SOFTDEP: &str = "softdep ext4 pre: crypto-crc32c\nsoftdep jbd2 pre: crypto-crc32c nothing-has-this\n";

fn index() -> ModuleIndex {
    ModuleIndex::parse(IndexFiles { dep: DEP, alias: ALIAS, softdep: SOFTDEP, builtin: "kernel/fs/nls/nls_base.ko\n" })
}

#[test]
fn a_name_is_the_same_with_dashes_and_whatever_its_compression() {
    for path in ["kernel/a/virtio-rng.ko", "virtio_rng.ko.xz", "b/virtio-rng.ko.zst", "virtio-rng"] {
        assert_eq!(name_of(path), "virtio_rng");
    }
}

#[test]
fn a_device_resolves_to_its_driver_and_an_alias_to_all_its_modules() {
    let index = index();
    assert_eq!(index.resolve("virtio:d00000001v00001AF4"), ["virtio_net"]);
    assert_eq!(index.resolve("crypto-crc32c"), ["crc32c_generic", "crc32c_intel"]);
    assert_eq!(index.resolve("virtio-net"), ["virtio_net"]);
    assert!(index.resolve("gone-x").is_empty());
    assert!(index.is_builtin("nls_base"));
}

#[test]
fn dependencies_come_first_and_soft_ones_with_them() {
    let order = index();
    let order = order.load_order(&["ext4"]).unwrap();
    let at = |name: &str| order.iter().position(|module| *module == name).unwrap();
    for need in ["crc16", "mbcache", "jbd2", "crc32c_generic", "crc32c_intel"] {
        assert!(at(need) < at("ext4"), "{order:?}");
    }
    assert!(at("crc32c_generic") < at("jbd2"));
}

#[test]
fn an_unknown_module_is_named() {
    assert_eq!(index().load_order(&["zfs"]), Err(UnknownModule("zfs".into())));
    assert_eq!(index().load_order(&["nls_base"]), Ok(vec![]));
}

#[test]
fn a_cycle_of_dependencies_comes_to_an_end() {
    let index = ModuleIndex::parse(IndexFiles { dep: "a.ko: b.ko\nb.ko: a.ko\n", ..IndexFiles::default() });
    assert_eq!(index.load_order(&["a"]).unwrap().len(), 2);
}

#[test]
fn a_reduced_index_answers_as_the_whole_one_does() {
    let whole = index();
    let keep: BTreeSet<&str> = whole.load_order(&["ext4"]).unwrap().into_iter().collect();
    let files = whole.reduced(&keep);
    let reduced =
        ModuleIndex::parse(IndexFiles { dep: &files.dep, alias: &files.alias, softdep: &files.softdep, builtin: "" });
    assert_eq!(reduced.load_order(&["ext4"]), whole.load_order(&["ext4"]));
    assert!(reduced.resolve("virtio:d00000001v00001AF4").is_empty());
}

/// An index of `n` modules in which module i needs some of those before it.
fn acyclic() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..20).prop_map(|modules| {
        let needs = |(i, picks): (usize, Vec<prop::sample::Index>)| {
            if i == 0 { vec![] } else { picks.iter().map(|pick| pick.index(i)).collect() }
        };
        modules.into_iter().enumerate().map(needs).collect()
    })
}

proptest! {
    #[test]
    fn every_module_comes_behind_all_that_it_needs_and_once(modules in acyclic()) {
        let line = |(i, needs): (usize, &Vec<usize>)| {
            format!("m{i}.ko:{}\n", needs.iter().map(|need| format!(" m{need}.ko")).collect::<String>())
        };
        let dep: String = modules.iter().enumerate().map(line).collect();
        let index = ModuleIndex::parse(IndexFiles { dep: &dep, ..IndexFiles::default() });
        let last = format!("m{}", modules.len() - 1);
        let order = index.load_order(&[&last]).unwrap();
        for (position, name) in order.iter().enumerate() {
            prop_assert_eq!(order.iter().filter(|other| *other == name).count(), 1);
            for need in &index.modules()[*name].needs {
                prop_assert!(order[..position].contains(&need.as_str()));
            }
        }
    }

    #[test]
    fn any_text_is_an_index(dep in "\\PC{0,80}", alias in "(alias \\PC{0,20}\n){0,3}", softdep in "(softdep \\PC{0,20}\n){0,3}") {
        let index = ModuleIndex::parse(IndexFiles { dep: &dep, alias: &alias, softdep: &softdep, builtin: &dep });
        let names: Vec<&str> = index.modules().keys().map(String::as_str).collect();
        let _ = index.load_order(&names);
    }
}
