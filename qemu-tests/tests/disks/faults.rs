//! Sectors of all sizes, disks that fail, and power that fails.

use crate::transcript::Transcript;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    disk_lab::{Bus, DiskLab, LabDisk},
    paths,
};
use serde_json::json;
use std::{thread::sleep, time::Instant};

const CUTS: u32 = 2;

fn own(name: &str) -> Result<Transcript> {
    let folder = paths::workspace().join("qemu-tests/layouts");
    Transcript::read(&folder.join(format!("{name}.json")), &folder.join(format!("{name}.txt")))
}

#[test]
fn a_run_that_was_cut_anywhere_starts_again_to_the_same_result() {
    let disks = ["first", "second"].map(|serial| LabDisk::new(Bus::Virtio, serial, 1024).volatile());
    let run = || -> Result<()> {
        let transcript = own("raid1-luks-lvm")?;
        let mut lab = DiskLab::boot("power-cut", &disks)?;
        transcript.put(&mut lab)?;
        let begin = Instant::now();
        transcript.run(&mut lab, "apply")?.success()?;
        let whole_run = begin.elapsed();
        for cut in 1..=CUTS {
            let after = whole_run.mul_f64(lab.random().part());
            lab.cut_power()?;
            lab.erase(0)?;
            lab.erase(1)?;
            lab.power_on(&[0, 1])?;
            transcript.put(&mut lab)?;
            lab.start(&transcript.agent("apply"))?;
            sleep(after);
            println!("cut {cut} after {after:.1?} of {whole_run:.1?}");
            lab.restart()?;
            transcript.check(&mut lab).with_context(|| format!("after cut {cut}"))?;
        }
        // The disks alone: nothing of the result was in the memory of the machine.
        lab.restart()?;
        transcript.put(&mut lab)?;
        transcript.run(&mut lab, "mount")?.success().context("mounting after a restart")?;
        transcript.compare(&mut lab)
    };
    run().expect("the same result");
}

#[test]
fn what_a_machine_does_not_flush_is_lost_in_a_power_cut() {
    let disks = ["flushed", "unflushed"].map(|serial| LabDisk::new(Bus::Virtio, serial, 16).volatile());
    let run = || -> Result<()> {
        let mut lab = DiskLab::boot("unflushed", &disks)?;
        lab.ok("tr '\\0' x </dev/zero | dd of=/tmp/xs bs=64k count=64 iflag=fullblock
            dd if=/tmp/xs of=/dev/vda bs=64k oflag=direct conv=fsync
            dd if=/tmp/xs of=/dev/vdb bs=64k oflag=direct")?;
        lab.cut_power()?;
        let bytes = |index| -> Result<usize> {
            let image = std::fs::read(lab.image_of(index))?;
            Ok(image.iter().filter(|&&byte| byte == b'x').count())
        };
        let (flushed, unflushed) = (bytes(0)?, bytes(1)?);
        println!("{flushed} and {unflushed} of {} bytes are left", 4 << 20);
        ensure!(flushed == 4 << 20, "{} bytes that were flushed are lost", (4 << 20) - flushed);
        ensure!(unflushed < 4 << 20, "nothing was lost");
        Ok(())
    };
    run().expect("the loss");
}

/// Start and size of every partition, bytes.
fn spans(lab: &mut DiskLab, device: &str, sector: u64) -> Result<Vec<(u64, u64)>> {
    let table: serde_json::Value = serde_json::from_str(&lab.ok(&format!("sfdisk --json {device}"))?)?;
    ensure!(table["partitiontable"]["sectorsize"] == sector, "{device}: {table}");
    let partitions = table["partitiontable"]["partitions"].as_array().context("partitions")?;
    let bytes =
        |one: &serde_json::Value, key: &str| -> Result<u64> { Ok(one[key].as_u64().context("a number")? * sector) };
    partitions.iter().map(|one| Ok((bytes(one, "start")?, bytes(one, "size")?))).collect()
}

#[test]
fn sectors_are_respected_and_disks_that_fail_are_refused() {
    let writes_fail = "[inject-error]\nevent = \"write_aio\"\nerrno = \"5\"\n";
    let disks = [
        LabDisk::new(Bus::Virtio, "native-4k", 256).sectors(4096, 4096),
        LabDisk::new(Bus::Virtio, "emulated", 256).sectors(512, 4096),
        LabDisk::new(Bus::Nvme, "nvme-4k", 256).sectors(4096, 4096),
        LabDisk::new(Bus::Nvme, "worn-out", 256),
        LabDisk::new(Bus::Virtio, "dead", 256).faults(writes_fail),
    ];
    let layout = json!({ "disk": { "main": { "device": "/dev/none", "content": { "type": "gpt", "partitions": {
        "ESP": { "size": "64M", "type": "EF00", "content": { "type": "filesystem", "format": "vfat", "mountpoint": "/boot" } },
        "odd": { "size": "3001K", "priority": 2000 },
        "root": { "size": "100%", "content": { "type": "filesystem", "format": "ext4", "mountpoint": "/" } },
    } } } } });
    let run = || -> Result<()> {
        let mut lab = DiskLab::boot("sectors", &disks)?;
        lab.put("/tmp/layout.json", layout.to_string().as_bytes())?;
        let agent = |verb: &str, serial: &str| {
            // A node of its own for each: the same installation twice in one machine is refused.
            format!("initrd-agent disk {verb} --layout /tmp/layout.json --node {serial} --select main=serial={serial}")
        };
        for (serial, device, sector) in
            [("native-4k", "/dev/vda", 4096), ("emulated", "/dev/vdb", 512), ("nvme-4k", "/dev/nvme0n1", 4096)]
        {
            lab.ok(&agent("apply", serial)).with_context(|| format!("applying to {serial}"))?;
            let spans = spans(&mut lab, device, sector)?;
            ensure!(spans.len() == 3, "{device} has {spans:?}");
            ensure!(spans.iter().all(|(start, _)| start % (1 << 20) == 0), "{device} is not aligned: {spans:?}");
            ensure!(spans[0] == (1 << 20, 64 << 20), "{device} has {spans:?}");
            ensure!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{device}: {spans:?}");
            lab.ok(&format!(
                "{} && cp /tmp/layout.json /mnt/boot/ && {}",
                agent("mount", serial),
                agent("unmount", serial)
            ))
            .with_context(|| format!("writing a file on {serial}"))?;
        }

        lab.set_property(3, "smart_critical_warning", 4)?;
        let refusal = lab.run(&agent("apply", "worn-out"))?;
        ensure!(refusal.status == 1 && refusal.stderr.contains("E-DISK-FAILING"), "{refusal:?}");

        let refusal = lab.run(&agent("apply", "dead"))?;
        ensure!(refusal.status == 1 && refusal.stderr.contains("E-DISK-"), "{refusal:?}");
        ensure!(!lab.ok("cat /proc/mounts")?.contains("/mnt"), "something is still mounted");
        Ok(())
    };
    run().expect("all sectors and faults");
}
