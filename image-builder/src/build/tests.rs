//! Whole images from a made-up kernel with made-up modules and this machine's real tools.

use super::*;
use protocol::{Failure, encoding::Sha256};
use std::{fs, path::Path, process::Command};

const RELEASE: &str = "6.1.0-test";

/// A folder with a kernel, modules for the vm profile and trust anchors.
fn inputs(folder: &Path) -> Request {
    let mut image = vec![0u8; 0x400];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
    image[0x300..0x300 + RELEASE.len()].copy_from_slice(RELEASE.as_bytes());
    fs::write(folder.join("vmlinuz"), image).unwrap();

    let modules = folder.join(RELEASE);
    fs::create_dir(&modules).unwrap();
    let mut dep = String::new();
    let overlays = [ToolSet::Xfs, ToolSet::Mdadm].into_iter().flat_map(|set| [set.modules(), set.optional_modules()]);
    for name in overlays.chain([profile::find("vm").unwrap().modules]).flatten() {
        fs::write(modules.join(format!("{name}.ko")), format!("\x7fELF {name}")).unwrap();
        dep.push_str(&format!("{name}.ko:\n"));
    }
    fs::write(modules.join("modules.dep"), dep).unwrap();
    let trust = format!(
        r#"{{"ca_spki_sha256":["{}"],"manifest_keys":["{}"],"build_time":"2026-11-01T00:00:00Z"}}"#,
        Sha256::of(b"ca"),
        data_encoding::BASE64.encode(&[7; 32]),
    );
    fs::write(folder.join("trust.json"), trust).unwrap();
    Request {
        profile: "vm".into(),
        trust: folder.join("trust.json"),
        // Any program that knows --version.
        agent: "/bin/true".into(),
        kernel: Some(folder.join("vmlinuz")),
        modules: Some(modules),
        extra_modules: vec![],
        extra_tools: vec![],
        with: Inside::default(),
        ca_bundle: None,
        build_time: None,
        out: folder.join("out"),
    }
}

/// A real mkfs.xfs and mdadm are on this machine; of the others the made-up kernel has no modules.
const OFFERED: [ToolSet; 2] = [ToolSet::Mdadm, ToolSet::Xfs];

fn initrd(report: &Report, request: &Request) -> Vec<u8> {
    let sha256 = report.image.artefacts["initrd"].sha256;
    fs::read(request.out.join("blobs").join(sha256.hex())).unwrap()
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = run(&inputs(one.path())).unwrap();
    let second = run(&inputs(two.path())).unwrap();
    assert_eq!(first.image, second.image);
    let read = |report: &Report| fs::read(&report.index).unwrap();
    assert_eq!(read(&first), read(&second));
}

#[test]
fn another_floor_for_the_clock_makes_another_initrd() {
    let folder = tempfile::tempdir().unwrap();
    let request = inputs(folder.path());
    let first = run(&request).unwrap();
    let later = Timestamp::from_unix_timestamp(4_000_000_000).unwrap();
    let second = run(&Request { build_time: Some(later), ..request }).unwrap();
    assert_ne!(first.image.artefacts["initrd"], second.image.artefacts["initrd"]);
    assert_eq!(first.image.artefacts["bzImage"], second.image.artefacts["bzImage"]);
}

#[test]
fn an_image_without_overlays_inside_has_no_more_than_their_list_and_index() {
    let folder = tempfile::tempdir().unwrap();
    let request = inputs(folder.path());
    let report = run(&request).unwrap();
    assert_eq!(report.image.overlays.keys().copied().collect::<Vec<_>>(), OFFERED);
    assert_eq!(report.absent_overlays.len(), ToolSet::ALL.len() - OFFERED.len());
    assert!(report.absent_overlays[&ToolSet::Btrfs].contains("this kernel has no btrfs"));
    let plain = zstd::decode_all(&initrd(&report, &request)[..]).unwrap();
    let has = |text: &str| plain.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("etc/centra/overlays.json") && has(&report.image.overlays[&ToolSet::Xfs].sha256.to_string()));
    assert!(has("\nxfs.ko:"), "the index covers the overlays");
    for absent in ["bin/mdadm", "bin/mkfs.xfs", "bin/lvm", "bin/cryptsetup", "6.1.0-test/xfs.ko", "\x7fELF xfs"] {
        assert!(!has(absent), "{absent}");
    }
}

#[test]
fn an_overlay_brings_what_the_image_lacks_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let request = inputs(folder.path());
    let overlay = &run(&request).unwrap().image.overlays[&ToolSet::Xfs];
    let blob = fs::read(request.out.join("blobs").join(overlay.sha256.hex())).unwrap();
    assert_eq!((Sha256::of(&blob), blob.len() as u64), (overlay.sha256, overlay.size));
    let archive = zstd::decode_all(&blob[..]).unwrap();
    assert!(archive.starts_with(b"\x0d\0\0\0\0\0\0\0nix-archive-1"));
    let has = |text: &str| archive.windows(text.len()).any(|part| part == text.as_bytes());
    for (part, expected) in [("mkfs.xfs", true), ("xfs.ko", true), ("libc.so.6\0\0\0\0", false), ("ext4.ko", false)] {
        assert_eq!(has(part), expected, "{part}");
    }
}

#[test]
fn tools_inside_an_image_are_no_overlays_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let request = Request { with: Inside::Named([ToolSet::Xfs].into()), ..inputs(folder.path()) };
    let report = run(&request).unwrap();
    assert_eq!(report.image.overlays.keys().copied().collect::<Vec<_>>(), [ToolSet::Mdadm]);
    let plain = zstd::decode_all(&initrd(&report, &request)[..]).unwrap();
    let has = |text: &str| plain.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("bin/mkfs.xfs") && has("6.1.0-test/xfs.ko") && !has("bin/mdadm"));
    let all = run(&Request { with: Inside::All, ..request }).unwrap();
    assert_eq!((all.with, all.image.overlays.len()), (OFFERED.into(), 0));
}

/// zstd and cpio as the distribution ships them read what was written.
#[test]
fn the_real_tools_list_what_a_node_needs() {
    let folder = tempfile::tempdir().unwrap();
    let request = inputs(folder.path());
    let file = folder.path().join("initrd.zst");
    fs::write(&file, initrd(&run(&request).unwrap(), &request)).unwrap();
    let listing = Command::new("sh")
        .args(["-c", "zstd -dc \"$0\" | cpio -tv --quiet"])
        .arg(&file)
        .output()
        .expect("zstd and cpio are among the packages that the tests need");
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let listing = String::from_utf8(listing.stdout).unwrap();
    for path in [
        " init\n",
        " etc/centra/trust.json\n",
        " lib/modules/6.1.0-test/modules.dep\n",
        " lib/modules/6.1.0-test/ext4.ko\n",
        " bin/mkfs.ext4\n",
        " bin/mkfs.vfat\n",
        " dev/console\n",
        "ld-linux-x86-64.so.2\n",
        " sbin/modprobe -> /init\n",
    ] {
        assert!(listing.contains(path), "{path:?} in:\n{listing}");
    }
}

fn refused(change: impl FnOnce(&mut Request)) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    let mut request = inputs(folder.path());
    change(&mut request);
    let failure = run(&request).unwrap_err();
    assert!(!request.out.exists(), "nothing may be written: {failure}");
    failure
}

#[test]
fn what_is_missing_is_refused_by_name_before_anything_is_written() {
    for (failure, part) in [
        (refused(|request| request.kernel = Some("/no/vmlinuz".into())), "/no/vmlinuz"),
        (refused(|request| request.kernel = Some("/bin/true".into())), "not a Linux bzImage"),
        (refused(|request| request.modules = Some("/etc".into())), RELEASE),
        (refused(|request| request.extra_modules.push("zfs".into())), "zfs"),
        (refused(|request| request.extra_tools.push("mkfs.none".into())), "mkfs.none"),
        (refused(|request| request.with = Inside::Named([ToolSet::Btrfs].into())), "btrfs"),
        (refused(|request| request.agent = "/no/agent".into()), "/no/agent"),
        (refused(|request| request.profile = "toaster".into()), "toaster"),
    ] {
        assert_eq!(failure.code, Code::Image, "{failure}");
        assert!(failure.cause.contains(part), "{failure}");
    }
    assert_eq!(refused(|request| request.trust = "/no/trust.json".into()).code, Code::TrustAnchors);
}
