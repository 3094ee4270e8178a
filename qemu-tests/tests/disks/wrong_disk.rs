//! Never the wrong disk: whatever makes it unclear which disk is meant, or whether it may be used, is a refusal that
//! has written nothing.

use anyhow::{Result, ensure};
use qemu_tests::disk_lab::{Bus, DiskLab, LabDisk};
use serde_json::json;

/// What every call has; its layout is one root for each of its disks.
const LAYOUT: &str = "--layout /tmp/layout.json --node node-1";

fn put_layout(lab: &mut DiskLab, names: &[&str]) -> Result<()> {
    let disk = |at: usize| {
        let root = json!({ "size": "100%", "content": { "type": "filesystem", "format": "ext4", "mountpoint": format!("/{at}") } });
        json!({ "device": "/dev/none", "content": { "type": "gpt", "partitions": { "root": root } } })
    };
    let disks: serde_json::Map<_, _> =
        names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), disk(at))).collect();
    lab.put("/tmp/layout.json", json!({ "disk": disks }).to_string().as_bytes())
}

/// What the agent says when it refuses with this code, to plan and to apply, having written nothing.
fn refused(lab: &mut DiskLab, options: &str, code: &str) -> Result<String> {
    lab.ok("sync")?;
    let before = lab.digests()?;
    let mut said = String::new();
    for verb in ["plan", "apply"] {
        let output = lab.run(&format!("initrd-agent disk {verb} {LAYOUT} {options}"))?;
        ensure!(output.status == 1, "{verb} {options} ends with status {}:\n{}", output.status, output.stdout);
        ensure!(output.stderr.contains(code), "{verb} {options} does not say {code}:\n{}", output.stderr);
        said = output.stderr;
    }
    ensure!(before == lab.digests()?, "{options}: a disk was written to");
    Ok(said)
}

/// The device that the plan takes.
fn planned(lab: &mut DiskLab, options: &str) -> Result<String> {
    lab.ok(&format!("initrd-agent disk plan {LAYOUT} {options}"))
}

/// The plan is shown, and not carried out by a machine that cannot do all of it.
fn sealed_without_a_tpm(lab: &mut DiskLab, options: &str) -> Result<()> {
    let luks = json!({
        "type": "luks", "name": "c", "passwordFile": "/tmp/key", "settings": { "crypttabExtraOpts": ["tpm2-device=auto"] }
    });
    let table = json!({ "type": "gpt", "partitions": { "root": { "size": "100%", "content": luks } } });
    let layout = json!({ "disk": { "main": { "device": "/dev/none", "content": table } } });
    lab.put("/tmp/layout.json", layout.to_string().as_bytes())?;
    lab.put("/tmp/key", b"a key")?;
    let plan = planned(lab, options)?;
    ensure!(plan.contains("seal a key of /dev/vdc1 to the TPM (PCR 7)"), "the plan does not tell: {plan}");
    let before = lab.digests()?;
    let output = lab.run(&format!("initrd-agent disk apply {LAYOUT} {options}"))?;
    ensure!(output.status == 1 && output.stderr.contains("E-TPM"), "{}", output.stderr);
    ensure!(output.stderr.contains("take tpm2-device out"), "no remedy: {}", output.stderr);
    ensure!(before == lab.digests()?, "a disk was written to");
    Ok(())
}

#[test]
fn equal_swapped_late_and_replaced_disks_are_never_mistaken() {
    let disks = [
        LabDisk::new(Bus::Virtio, "equal", 96),
        LabDisk::new(Bus::Virtio, "equal", 96),
        LabDisk::new(Bus::Virtio, "wanted", 96),
        LabDisk::new(Bus::Virtio, "other", 96),
        LabDisk::new(Bus::Nvme, "late", 96),
    ];
    let run = || -> Result<()> {
        let mut lab = DiskLab::boot_with("wrong-disk", &disks, &[0, 1, 2])?;
        put_layout(&mut lab, &["main"])?;
        let table = refused(&mut lab, "--select main=serial=equal", "E-DISK-AMBIGUOUS")?;
        ensure!(table.contains("vda") && table.contains("vdb") && table.contains("wanted"), "no table: {table}");
        refused(&mut lab, "--select main=serial=late", "E-DISK-NOT-FOUND")?;
        let plan = planned(&mut lab, "--select main=serial=wanted")?;
        ensure!(plan.contains("/dev/vdc") && plan.contains("wanted"), "the plan names not the disk: {plan}");

        sealed_without_a_tpm(&mut lab, "--select main=serial=wanted")?;

        put_layout(&mut lab, &["one", "two"])?;
        refused(&mut lab, "--select one=/dev/vdc --select two=serial=wanted", "E-DISK-AMBIGUOUS")?;

        lab.plug(4)?;
        lab.ok("modprobe nvme; until [ -b /dev/nvme0n1 ]; do sleep 0.1; done")?;
        put_layout(&mut lab, &["main"])?;
        ensure!(planned(&mut lab, "--select main=serial=late")?.contains("/dev/nvme0n1"), "the late disk is not found");

        // The plan was for the disk that is pulled now; another one takes its place and its name.
        lab.unplug(2)?;
        lab.ok("until [ ! -b /dev/vdc ]; do sleep 0.1; done")?;
        lab.plug(3)?;
        lab.ok("until [ -b /dev/vdc ]; do sleep 0.1; done")?;
        refused(&mut lab, "--select main=serial=wanted", "E-DISK-NOT-FOUND")?;

        lab.cut_power()?;
        lab.power_on(&[2, 0, 1])?;
        put_layout(&mut lab, &["main"])?;
        let plan = planned(&mut lab, "--select main=serial=wanted")?;
        ensure!(plan.contains("/dev/vda"), "the plan is for another disk than before: {plan}");
        let others = lab.digests()?;
        lab.ok(&format!("initrd-agent disk apply {LAYOUT} --select main=serial=wanted; sync"))?;
        let after = lab.digests()?;
        let written: Vec<usize> = (0..after.len()).filter(|&disk| after[disk] != others[disk]).collect();
        ensure!(written == [2], "the disks that were written to are {written:?}");
        Ok(())
    };
    run().expect("no disk is mistaken");
}

#[test]
fn disks_in_use_or_with_foreign_content_are_refused_with_the_reason() {
    let disks = [
        LabDisk::new(Bus::Virtio, "array-a", 96),
        LabDisk::new(Bus::Virtio, "array-b", 96),
        LabDisk::new(Bus::Scsi, "volumes", 96),
        LabDisk::new(Bus::Ahci, "photographs", 96),
        LabDisk::new(Bus::Scsi, "protected", 96).read_only(),
        LabDisk::new(Bus::Usb, "stick", 96),
    ];
    let run = || -> Result<()> {
        let mut lab = DiskLab::boot("foreign", &disks)?;
        put_layout(&mut lab, &["main"])?;
        lab.ok("
            modprobe raid1 dm_mod ext4
            mdadm --create /dev/md/theirs --run --level 1 --raid-devices 2 /dev/vda /dev/vdb
            for disk in /sys/block/sd*; do
              case $(initrd-agent inventory | grep -A 2 \"\\\"name\\\": \\\"${disk##*/}\\\"\" | grep serial) in
                *volumes*) lvm pvcreate /dev/${disk##*/} && lvm vgcreate theirs /dev/${disk##*/} && lvm lvcreate -y -L 8M -n data theirs ;;
                *photographs*) mkfs.ext4 -q -L photographs /dev/${disk##*/} ;;
              esac
            done
            sleep 1")?;
        for (serial, content) in [("array-a", "raid"), ("volumes", "LVM"), ("photographs", "photographs")] {
            let said = refused(&mut lab, &format!("--select main=serial={serial}"), "E-DISK-")?;
            ensure!(said.to_lowercase().contains(&content.to_lowercase()), "{serial}: no {content} in {said}");
        }
        refused(&mut lab, "--select main=serial=photographs --wipe main=install", "E-DISK-FOREIGN")?;
        refused(&mut lab, "--select main=serial=protected --wipe main=wipe", "E-DISK-UNFIT")?;
        refused(&mut lab, "--select main=serial=stick --wipe main=wipe", "E-DISK-UNFIT")?;
        // Taking the array down would touch its other half, which is no disk of this layout.
        refused(&mut lab, "--select main=serial=array-a --wipe main=wipe", "E-DISK-")?;
        lab.ok("mkdir -p /theirs; mount -t ext4 -o ro $(findfs LABEL=photographs) /theirs")?;
        refused(&mut lab, "--select main=serial=photographs --wipe main=wipe", "E-DISK-UNFIT")?;

        lab.ok("umount /theirs")?;
        let apply =
            |serial: &str| format!("initrd-agent disk apply {LAYOUT} --select main=serial={serial} --wipe main=wipe");
        lab.ok(&apply("photographs"))?;
        // The same layout of the same node again, on another disk: the machine would boot whichever it finds.
        let said = refused(&mut lab, "--select main=serial=volumes --wipe main=wipe", "E-DISK-UNFIT")?;
        ensure!(said.contains("carries an earlier installation of this node"), "the earlier disk is not told: {said}");
        lab.ok(&apply("volumes").replace("node-1", "node-2"))?;
        put_layout(&mut lab, &["one", "two"])?;
        lab.ok(&format!("initrd-agent disk apply {LAYOUT} --select one=serial=array-a --select two=serial=array-b --wipe one=wipe --wipe two=wipe"))?;
        ensure!(lab.ok("cat /proc/mdstat")?.contains("unused devices: <none>"), "an array is left");
        Ok(())
    };
    run().expect("every refusal has its reason");
}
