use super::{super::plan::Identity, *};
use crate::{action::Device, plan::table};
use layout::{Layout, examples::hybrid_boot};
use serde_json::{Value, json};
use std::process::Command;

const MIB: u64 = 1 << 20;

/// Writes the table of disk `main` of a layout to an image and gives it back.
fn image(devices: &Value, bytes: u64) -> (tempfile::NamedTempFile, Vec<Extent>) {
    let layout = Layout::read(devices, false).unwrap();
    let own = Identity::new(&"n1".parse().unwrap(), &[], devices);
    let device = Device::Disk { name: "main".into(), path: "/dev/vda".into() };
    let table = table::of(layout.disk["main"].content.as_ref().unwrap(), &device, &own);
    let room = Room::new(bytes, 512);
    let extents = place(&table, room).unwrap();
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(bytes).unwrap();
    write(image.reopen().unwrap(), &table, &extents, room, true).unwrap();
    (image, extents)
}

fn sfdisk(image: &tempfile::NamedTempFile, more: &[&str]) -> String {
    let output = Command::new("sfdisk").args(more).arg("--dump").arg(image.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lines such as `/tmp/x1 : start= 2048, size= ...` without the name and the spaces.
fn entries(dump: &str) -> Vec<String> {
    let lines = dump.lines().filter_map(|line| line.split_once(" : "));
    lines.map(|(_, entry)| entry.replace(' ', "")).collect()
}

#[test]
fn sgdisk_and_sfdisk_find_nothing_wrong_with_a_gpt() {
    let (image, _) = image(&hybrid_boot(), 512 * MIB);
    let verified = Command::new("sgdisk").arg("--verify").arg(image.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&verified.stdout).contains("No problems found"), "{verified:?}");
    let dump = sfdisk(&image, &[]);
    for part in
        ["label: gpt", "name=\"disk-main-root\"", "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "RequiredPartition"]
    {
        assert!(dump.contains(part), "{dump}");
    }
}

#[test]
fn a_hybrid_mbr_has_the_protective_entry_where_the_layout_wants_it() {
    let mut layout = hybrid_boot();
    let gpt = &mut layout["disk"]["main"]["content"];
    gpt["partitions"]["boot"]["hybrid"] = json!({"mbrPartitionType": "0x0c", "mbrBootableFlag": true});
    let nested = ["--label-nested", "dos"];
    let (first, _) = image(&layout, 512 * MIB);
    assert_eq!(
        entries(&sfdisk(&first, &nested)),
        ["start=1,size=2047,type=ee", "start=2048,size=2048,type=c,bootable"]
    );
    layout["disk"]["main"]["content"]["efiGptPartitionFirst"] = json!(false);
    let (last, _) = image(&layout, 512 * MIB);
    assert_eq!(entries(&sfdisk(&last, &nested)), ["start=2048,size=2048,type=c,bootable", "start=1,size=2047,type=ee"]);
}

#[test]
fn an_msdos_table_has_its_logical_partitions_inside_of_the_extended_one() {
    let layout = json!({"disk": {"main": {"device": "/dev/vda", "content": {"type": "table", "format": "msdos", "partitions": [
        {"name": "boot", "start": "1MiB", "end": "101MiB", "bootable": true, "fs-type": "fat32"},
        {"name": "more", "part-type": "extended", "start": "101MiB", "end": "100%"},
        {"name": "a", "part-type": "logical", "start": "102MiB", "end": "202MiB", "fs-type": "linux-swap"},
        {"name": "b", "part-type": "logical", "start": "202MiB", "end": "100%", "flags": ["lvm"]},
    ]}}}});
    let (image, spans) = image(&layout, 512 * MIB);
    let dump = sfdisk(&image, &[]);
    assert!(dump.contains("label: dos"), "{dump}");
    let expected = [
        "start=2048,size=204800,type=c,bootable".to_owned(),
        "start=206848,size=841728,type=f".to_owned(),
        "start=208896,size=204800,type=82".to_owned(),
        format!("start={},size={},type=8e", spans[3].first, spans[3].last - spans[3].first + 1),
    ];
    assert_eq!(entries(&dump), expected);
    assert!(dump.contains("5 : start=") && dump.contains("6 : start="), "{dump}");
}
