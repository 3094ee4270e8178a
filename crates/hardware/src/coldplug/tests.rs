//! A made-up machine: "loading" a module makes the devices appear that its driver would bring.

use super::*;
use protocol::modules::glob;
use std::{cell::RefCell, fs, rc::Rc};

struct Machine {
    folder: tempfile::TempDir,
    loaded: Rc<RefCell<Vec<String>>>,
}

const DEP: &str = "\
k/virtio_pci.ko: k/virtio.ko
k/virtio.ko:
k/virtio_blk.ko.zst: k/virtio.ko
k/ahci.ko: k/libata.ko k/scsi_mod.ko
k/libata.ko: k/scsi_mod.ko
k/scsi_mod.ko:
k/sd_mod.ko: k/scsi_mod.ko
k/crc32c_intel.ko:
k/ext4.ko: k/gone.ko
k/xfs.ko: k/virtio.ko
";
const ALIAS: &str = "\
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias virtio:d00000002v* virtio_blk
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias scsi:t-0x00* sd_mod
alias cpu:type:x86* crc32c_intel
alias cpu:type:x86* xfs
alias fs-ext4 ext4
";

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), loaded: Rc::default() };
        fs::create_dir(machine.folder.path().join("m")).unwrap();
        fs::write(machine.folder.path().join("m/modules.dep"), DEP).unwrap();
        fs::write(machine.folder.path().join("m/modules.alias"), ALIAS).unwrap();
        fs::create_dir(machine.folder.path().join("m/k")).unwrap();
        for (path, _) in
            DEP.lines().filter_map(|line| line.split_once(':')).filter(|(path, _)| !path.ends_with("xfs.ko"))
        {
            fs::write(machine.folder.path().join("m").join(path), "").unwrap();
        }
        machine
    }

    fn device(&self, path: &str, modalias: &str) {
        device(self.folder.path(), path, modalias);
    }

    fn loader(&self) -> Loader<impl Fn(&Path) -> Result<(), String> + use<>> {
        let (folder, loaded) = (self.folder.path().to_owned(), self.loaded.clone());
        let insert = move |path: &Path| {
            let name = protocol::modules::name_of(path.to_str().unwrap());
            match name.as_str() {
                "virtio_pci" => device(&folder, "pci/0/virtio0", "virtio:d00000002v00001AF4\n"),
                "crc32c_intel" => return Err("No such device".to_owned()),
                _ => {}
            }
            loaded.borrow_mut().push(name);
            Ok(())
        };
        Loader::open(&self.folder.path().join("m"), insert).unwrap()
    }

    fn scan(&self, loader: &mut Loader<impl Fn(&Path) -> Result<(), String>>) -> Report {
        loader.scan_all(self.folder.path())
    }
}

fn device(sys: &Path, path: &str, modalias: &str) {
    let folder = sys.join("devices").join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("modalias"), modalias).unwrap();
}

#[test]
fn a_bus_that_a_driver_brings_gets_its_drivers_in_the_same_scan() {
    let machine = Machine::new();
    machine.device("pci/0", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n");
    let report = machine.scan(&mut machine.loader());
    assert_eq!(report.loaded, ["virtio", "virtio_pci", "virtio_blk"]);
    assert_eq!(report.failed, []);
}

#[test]
fn a_device_that_the_kernel_tells_of_gets_its_driver_without_a_look() {
    let machine = Machine::new();
    let mut loader = machine.loader();
    let told = uevent::Heard { modaliases: vec!["virtio:d00000002v00001AF4".into()], lost: false };
    assert_eq!(loader.hear(&told, Path::new("/no/such/sys")).loaded, ["virtio", "virtio_blk"]);
    machine.device("pci/2", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01\n");
    let lost = uevent::Heard { modaliases: vec![], lost: true };
    assert!(loader.hear(&lost, machine.folder.path()).loaded.contains(&"ahci".to_owned()));
}

#[test]
fn nothing_is_loaded_twice() {
    let machine = Machine::new();
    machine.device("pci/0", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n");
    let mut loader = machine.loader();
    machine.scan(&mut loader);
    assert_eq!(machine.scan(&mut loader), Report::default());
    machine.device("pci/1", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00\n");
    assert_eq!(machine.scan(&mut loader).loaded, Vec::<String>::new());
}

#[test]
fn a_sata_controller_brings_the_disk_driver_before_its_disks_are_found() {
    let machine = Machine::new();
    machine.device("pci/2", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01\n");
    let loaded = machine.scan(&mut machine.loader()).loaded;
    assert_eq!(loaded, ["scsi_mod", "libata", "ahci", "sd_mod"]);
}

#[test]
fn a_driver_that_will_not_load_is_reported_and_holds_up_nothing() {
    let machine = Machine::new();
    machine.device("cpu", "cpu:type:x86,ven0002\n");
    machine.device("pci/0", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n");
    machine.device("odd", "acpi:NOBODY:\n");
    let report = machine.scan(&mut machine.loader());
    assert_eq!(report.failed, [("crc32c_intel".to_owned(), "No such device".to_owned())]);
    assert_eq!(report.loaded.len(), 3);
    assert_eq!(report.describe(), "3 drivers; not loaded: crc32c_intel (No such device)");
}

#[test]
fn an_alias_is_loaded_by_name_and_a_broken_dependency_is_named() {
    let machine = Machine::new();
    let report = machine.loader().load(&["fs-ext4".to_owned(), "virtio-blk".to_owned()]);
    assert_eq!(report.failed, [("ext4".to_owned(), "no module gone".to_owned())]);
    assert_eq!(report.loaded, ["virtio", "virtio_blk"]);
}

#[test]
fn a_module_of_an_overlay_is_loaded_once_the_overlay_is_there() {
    let machine = Machine::new();
    machine.device("cpu", "cpu:type:x86,ven0002\n");
    let mut loader = machine.loader();
    let report = machine.scan(&mut loader);
    assert_eq!(report.absent, ["xfs"]);
    assert!(report.loaded.is_empty(), "nothing is loaded for it in vain: {report:?}");
    assert!(!report.describe().contains("xfs"));
    fs::write(machine.folder.path().join("m/k/xfs.ko"), "").unwrap();
    assert_eq!(loader.load(&["xfs".to_owned()]).loaded, ["virtio", "xfs"]);
}

#[test]
fn what_was_asked_for_and_is_not_there_is_named() {
    let machine = Machine::new();
    fs::write(machine.folder.path().join("m/modules.builtin"), "k/md-mod.ko\n").unwrap();
    let asked = ["md_mod", "virtio-blk", "xfs", "crc32c-intel", "zfs"].map(str::to_owned);
    let missing = machine.loader().require(&asked);
    let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["xfs", "crc32c-intel", "zfs"]);
    assert_eq!(missing[1].1, "No such device");
    fs::write(machine.folder.path().join("m/modules.alias"), "alias crypto-x crc32c_intel\nalias crypto-x virtio\n")
        .unwrap();
    assert_eq!(machine.loader().require(&["crypto-x".to_owned()]), []);
}

#[test]
fn an_initrd_without_this_kernels_modules_is_refused() {
    let failure = Loader::open(Path::new("/no/such/release"), kernel::insert).err().unwrap();
    assert_eq!(failure.code, Code::Image);
}

mod against_the_c_library {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::CString;

    fn fnmatch(pattern: &str, text: &str) -> bool {
        let (pattern, text) = (CString::new(pattern).unwrap(), CString::new(text).unwrap());
        // SAFETY: both are NUL-terminated and outlive the call.
        unsafe { libc::fnmatch(pattern.as_ptr(), text.as_ptr(), 0) == 0 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn patterns_match_as_fnmatch_says(
            pattern in "([*?a-c]|\\[[a-c]\\]|\\[!?[a-b]-c\\]|\\[a-c\\]){0,8}", text in "[a-c]{0,10}"
        ) {
            prop_assert_eq!(glob::matches(&pattern, &text), fnmatch(&pattern, &text), "{} {}", pattern, text);
        }
    }
}
