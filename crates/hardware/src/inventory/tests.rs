//! Small trees in the shape that QEMU machines show, captured by hand.

use super::*;
use protocol::inventory::{Firmware, Transport};
use std::{fs, os::unix::fs::symlink, path::Path};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir(tree.0.path().join("sys")).unwrap();
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// A link between two paths of the tree.
    fn link(&self, at: &str, to: &str) -> &Self {
        let (at, to) = (self.path(at), self.path(to));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::create_dir_all(&to).unwrap();
        symlink(to, at).unwrap();
        self
    }

    /// A disk at `device`, with the files that every disk has.
    fn disk(&self, name: &str, device: &str, sectors: u64) -> String {
        let block = format!("{device}/block/{name}");
        self.file(&format!("{block}/size"), format!("{sectors}\n"))
            .file(&format!("{block}/queue/logical_block_size"), "512\n")
            .file(&format!("{block}/queue/rotational"), "0\n")
            .file(&format!("{block}/ro"), "0\n")
            .file(&format!("{block}/removable"), "0\n")
            .link(&format!("{block}/device"), device)
            .link(&format!("sys/block/{name}"), &block);
        block
    }

    fn read(&self) -> Inventory {
        read_from(&Roots::captured(self.0.path().to_owned()))
    }

    fn only_disk(&self) -> protocol::inventory::Disk {
        let disks = self.read().disks;
        assert_eq!(disks.len(), 1, "{disks:?}");
        disks.into_iter().next().unwrap()
    }
}

const PCI: &str = "sys/devices/pci0000:00";

#[test]
fn a_virtio_disk_has_its_serial_and_path() {
    let tree = Tree::new();
    let block = tree.disk("vda", &format!("{PCI}/0000:00:03.0/virtio1"), 16_777_216);
    tree.file(&format!("{block}/serial"), "root-disk").file(&format!("{PCI}/0000:00:03.0/virtio1/vendor"), "0x1af4\n");
    let disk = tree.only_disk();
    assert_eq!(disk.serial.as_deref(), Some("root-disk"));
    assert_eq!(disk.size, 8 << 30);
    assert_eq!(disk.transport, Transport::Virtio);
    assert_eq!(disk.by_path.as_deref(), Some("pci-0000:00:03.0"));
    assert_eq!(disk.by_id, ["virtio-root-disk"]);
    assert_eq!(disk.hctl, None);
}

#[test]
fn an_nvme_disk_has_its_serial_wwn_and_namespace() {
    let tree = Tree::new();
    let device = format!("{PCI}/0000:00:04.0/nvme/nvme0");
    let block = tree.disk("nvme0n1", &device, 8);
    tree.file(&format!("{device}/serial"), "NVME0001            \n")
        .file(&format!("{device}/model"), "QEMU NVMe Ctrl                          \n")
        .file(&format!("{block}/wwid"), "eui.5254000000000001\n")
        .file(&format!("{block}/nsid"), "1\n");
    let disk = tree.only_disk();
    assert_eq!((disk.serial.as_deref(), disk.model.as_deref()), (Some("NVME0001"), Some("QEMU NVMe Ctrl")));
    assert_eq!(disk.wwn.as_deref(), Some("eui.5254000000000001"));
    assert_eq!(disk.transport, Transport::Nvme);
    assert_eq!(disk.by_path.as_deref(), Some("pci-0000:00:04.0-nvme-1"));
    let named = ["nvme-eui.5254000000000001", "nvme-QEMU_NVMe_Ctrl_NVME0001", "nvme-QEMU_NVMe_Ctrl_NVME0001_1"];
    assert_eq!(disk.by_id[..3], named);
}

#[test]
fn a_sata_disk_has_its_serial_page_and_port() {
    let tree = Tree::new();
    let device = format!("{PCI}/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0");
    let block = tree.disk("sda", &device, 8);
    tree.file(&format!("{device}/vpd_pg80"), b"\x00\x80\x00\x14 QM00005             ")
        .file(&format!("{device}/wwid"), "t10.ATA     QEMU HARDDISK   QM00005\n")
        .file(&format!("{device}/vendor"), "ATA     \n")
        .file(&format!("{device}/model"), "QEMU HARDDISK   \n")
        .file(&format!("{block}/queue/rotational"), "1\n")
        .file("sys/class/ata_port/ata3/port_no", "3\n");
    let disk = tree.only_disk();
    assert_eq!(disk.serial.as_deref(), Some("QM00005"));
    assert_eq!(disk.wwn, None, "a t10 name is no world-wide name");
    assert_eq!((disk.transport, disk.rotational), (Transport::Sata, true));
    assert_eq!(disk.hctl.as_deref(), Some("2:0:0:0"));
    assert_eq!(disk.by_path.as_deref(), Some("pci-0000:00:1f.2-ata-3.0"));
    assert_eq!(disk.by_id[0], "ata-QEMU_HARDDISK_QM00005");
}

#[test]
fn a_virtio_scsi_disk_is_a_scsi_disk_of_the_first_host() {
    let tree = Tree::new();
    let device = format!("{PCI}/0000:00:05.0/virtio2/host6/target6:0:1/6:0:1:0");
    tree.disk("sdb", &device, 8);
    tree.file(&format!("{device}/wwid"), "naa.5000c50015ea71ac\n");
    let disk = tree.only_disk();
    assert_eq!(disk.transport, Transport::Scsi);
    assert_eq!(disk.wwn.as_deref(), Some("naa.5000c50015ea71ac"));
    assert_eq!(disk.by_path.as_deref(), Some("pci-0000:00:05.0-scsi-0:0:1:0"));
    assert_eq!(disk.by_id, ["wwn-0x5000c50015ea71ac"]);
}

#[test]
fn a_usb_stick_is_removable_and_has_the_serial_of_its_plug() {
    let tree = Tree::new();
    let plug = format!("{PCI}/0000:00:06.0/usb2/2-1");
    let device = format!("{plug}/2-1:1.0/host7/target7:0:0/7:0:0:0");
    let block = tree.disk("sdc", &device, 8);
    tree.file(&format!("{plug}/serial"), "STICK-1\n")
        .file(&format!("{plug}/idVendor"), "46f4\n")
        .file(&format!("{PCI}/0000:00:06.0/usb2/serial"), "0000:00:06.0\n")
        .file(&format!("{PCI}/0000:00:06.0/usb2/idVendor"), "1d6b\n")
        .file(&format!("{block}/removable"), "1\n");
    let disk = tree.only_disk();
    assert_eq!((disk.transport, disk.removable), (Transport::Usb, true));
    assert_eq!(disk.serial.as_deref(), Some("STICK-1"));
    assert_eq!(disk.by_path.as_deref(), Some("pci-0000:00:06.0-usb-0:1:1.0-scsi-0:0:0:0"));
}

#[test]
fn what_is_no_disk_is_left_out() {
    let tree = Tree::new();
    for name in ["sr0", "fd0", "mmcblk0boot0"] {
        tree.disk(name, &format!("{PCI}/0000:00:07.0/{name}"), 8);
    }
    let hidden = tree.disk("nvme0c0n1", &format!("{PCI}/0000:00:08.0/nvme/nvme0"), 8);
    tree.file(&format!("{hidden}/hidden"), "1\n")
        .file("sys/block/loop0/size", "8\n")
        .file("sys/block/dm-0/size", "8\n");
    assert_eq!(tree.read().disks, []);
}

#[test]
fn cards_have_their_own_address_and_tunnels_are_left_out() {
    let tree = Tree::new();
    let card = format!("{PCI}/0000:00:02.0/virtio0/net/eth0");
    tree.file(&format!("{card}/type"), "1\n")
        .file(&format!("{card}/address"), "52:54:00:00:00:01\n")
        .file(&format!("{card}/carrier"), "1\n")
        .file(&format!("{card}/speed"), "-1\n")
        .link(&format!("{card}/device"), &format!("{PCI}/0000:00:02.0/virtio0"))
        .link(&format!("{PCI}/0000:00:02.0/virtio0/driver"), "sys/bus/virtio/drivers/virtio_net")
        .link("sys/class/net/eth0", &card)
        .file("sys/class/net/lo/type", "772\n")
        .file("sys/class/net/br0/type", "1\n")
        .file("sys/class/net/br0/address", "52:54:00:00:00:02\n");
    let nics = tree.read().nics;
    assert_eq!(nics.len(), 1, "{nics:?}");
    assert_eq!(nics[0].mac.as_str(), "52:54:00:00:00:01");
    assert_eq!(nics[0].driver.as_deref(), Some("virtio_net"));
    assert_eq!((nics[0].link, nics[0].speed), (true, None));
}

#[test]
fn the_machine_tells_its_firmware_and_numbers() {
    let tree = Tree::new();
    tree.file("sys/class/dmi/id/product_serial", "SN-1\n")
        .file("sys/class/dmi/id/product_uuid", "52540000-0000-0000-0000-0000000000AB\n")
        .file("sys/class/dmi/id/sys_vendor", "QEMU\n")
        .file("sys/firmware/efi/fw_platform_size", "64\n")
        .file("sys/class/tpm/tpm0/tpm_version_major", "2\n")
        .file("sys/bus/pci/devices/0000:00:1f.2/vendor", "0x8086\n")
        .file("sys/bus/pci/devices/0000:00:1f.2/device", "0x2922\n")
        .file("sys/bus/pci/devices/0000:00:1f.2/class", "0x010601\n")
        .file("proc/meminfo", "MemTotal: 1024 kB\n")
        .file("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
    let inventory = tree.read();
    assert_eq!((inventory.firmware, inventory.tpm), (Firmware::Uefi, true));
    assert_eq!(inventory.memory_bytes, 1 << 20);
    assert_eq!(inventory.kernel, "6.1.0-56-amd64");
    assert_eq!(inventory.pci[0].class, "010601");
    let bootif: Mac = "52:54:00:00:00:09".parse().unwrap();
    let claims = claims(&inventory, Some(&bootif));
    assert_eq!(claims.serial.as_deref(), Some("SN-1"));
    assert_eq!(claims.uuid.as_deref(), Some("52540000-0000-0000-0000-0000000000ab"));
    assert_eq!(claims.macs, [bootif]);
}

#[test]
fn an_empty_a_broken_and_a_missing_tree_are_read_as_nothing() {
    assert_eq!(Tree::new().read(), Inventory::default());
    assert_eq!(read_from(&Roots::captured("/no/such/folder".into())), Inventory::default());
    let tree = Tree::new();
    tree.file("sys/block/sda/size", b"\xff\xff").link("sys/block/sda/device", "sys/devices/x");
    symlink(tree.path("sys/block/loop"), tree.path("sys/block/loop")).unwrap();
    fs::create_dir_all(tree.path("sys/class/net/eth0/address")).unwrap();
    assert_eq!(tree.only_disk().size, 0);
}

#[test]
fn the_running_machine_is_read_as_well() {
    let inventory = read();
    assert!(!inventory.kernel.is_empty());
    assert!(Path::new("/proc/meminfo").exists() && inventory.memory_bytes > 0);
}
