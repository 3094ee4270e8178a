//! The laboratory itself.

use anyhow::Result;
use qemu_tests::disk_lab::{Bus, DiskLab, LabDisk};
use serde_json::Value;
use std::time::Duration;

/// Names and serial numbers as the agent sees them.
fn names(lab: &mut DiskLab) -> Result<Vec<String>> {
    let inventory: Value = serde_json::from_str(&lab.ok("initrd-agent inventory")?)?;
    let disks = inventory["disks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |disk: &Value, key: &str| disk[key].as_str().unwrap_or("?").to_owned();
    Ok(disks.iter().map(|disk| format!("{} {}", text(disk, "name"), text(disk, "serial"))).collect())
}

#[test]
fn a_laboratory_shows_its_disks_and_lets_them_come_and_go() {
    let disks = [
        LabDisk::new(Bus::Virtio, "first", 16).sectors(4096, 4096),
        LabDisk::new(Bus::Virtio, "second", 16).sectors(512, 4096),
        LabDisk::new(Bus::Nvme, "late", 16),
        LabDisk::new(Bus::Ahci, "sata", 16).wwn(0x5000_c500_0000_0001),
        LabDisk::new(Bus::Scsi, "scsi", 16).read_only(),
        LabDisk::new(Bus::Usb, "stick", 16),
    ];
    let run = || -> Result<()> {
        let mut lab = DiskLab::boot_with("harness", &disks, &[0, 1, 3, 4, 5])?;
        assert_eq!(names(&mut lab)?, ["sda sata", "sdb scsi", "sdc stick", "vda first", "vdb second"]);
        let sectors = lab.ok("cd /sys/block; cat vda/queue/logical_block_size vdb/queue/physical_block_size sdb/ro")?;
        assert_eq!(sectors, "4096\n4096\n1\n");

        let failed = lab.run("echo so; echo else >&2; exit 3")?;
        assert_eq!((failed.status, failed.stdout.as_str(), failed.stderr.as_str()), (3, "so\n", "else\n"));
        let endless = lab.run_for("echo begun; sleep 1000", b"", Duration::from_secs(1))?;
        assert_eq!((endless.status, endless.stdout.as_str()), (137, "begun\n"));

        lab.plug(2)?;
        lab.ok("modprobe nvme; until [ -b /dev/nvme0n1 ]; do sleep 0.1; done")?;
        lab.unplug(0)?;
        lab.ok("until [ ! -b /dev/vda ]; do sleep 0.1; done")?;
        assert_eq!(names(&mut lab)?, ["nvme0n1 late", "sda sata", "sdb scsi", "sdc stick", "vdb second"]);

        let before = lab.digests()?;
        lab.put("/tmp/word", b"kept")?;
        lab.ok("dd if=/tmp/word of=/dev/vdb conv=fsync")?;
        let after = lab.digests()?;
        let changed: Vec<usize> = (0..before.len()).filter(|&index| before[index] != after[index]).collect();
        assert_eq!(changed, [1]);
        lab.cut_power()?;
        lab.power_on(&[1, 0])?;
        assert_eq!(names(&mut lab)?, ["vda second", "vdb first"]);
        assert_eq!(lab.ok("dd if=/dev/vda bs=4 count=1 2>/dev/null")?, "kept");
        Ok(())
    };
    run().expect("a laboratory");
}
