use super::*;
use std::{fs, path::PathBuf};

/// A /dev with one disk, which is a loop device without a file, and another disk's node beside it in the file system.
struct Stage {
    dev: tempfile::TempDir,
    foreign: tempfile::TempDir,
}

const SHOWN: u64 = 7 << 8;
const FOREIGN: u64 = (7 << 8) | 1;

impl Stage {
    /// Nothing where device nodes cannot be made and opened: not as root, or in a container.
    fn new() -> Option<Self> {
        let stage = Stage { dev: tempfile::tempdir().unwrap(), foreign: tempfile::tempdir().unwrap() };
        let made = [("loop0", SHOWN, stage.dev.path()), ("foreign", FOREIGN, stage.foreign.path())];
        for (name, number, folder) in made {
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
            nix::sys::stat::mknod(&folder.join(name), nix::sys::stat::SFlag::S_IFBLK, mode, number).ok()?;
            fs::File::open(folder.join(name)).ok()?;
        }
        fs::File::create(stage.dev.path().join("null")).unwrap();
        Some(stage)
    }

    fn run(&self, script: &str) -> (bool, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("FOREIGN", self.foreign.path());
        enter(&mut command, self.dev.path(), Path::new("/proc")).unwrap();
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

fn stage() -> Option<Stage> {
    let stage = Stage::new();
    if stage.is_none() {
        skipped("confined tools", "device nodes cannot be made and opened here");
    }
    stage
}

fn skipped(what: &str, why: &str) {
    let note = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.ci/skipped");
    drop(Command::new(note).args(["note", what, why]).status());
}

#[test]
fn a_tool_opens_the_disk_that_is_shown_and_no_other_by_whatever_name() {
    let Some(stage) = stage() else { return };
    let (opened, said) = stage.run("exec 3</dev/loop0");
    assert!(opened, "{said}");
    let agent = std::process::id();
    for path in [
        "/dev/loop1".to_owned(),
        "dev/loop1".to_owned(),
        "../dev/loop1".to_owned(),
        "loop1".to_owned(),
        "$FOREIGN/foreign".to_owned(),
        "/proc/1/root/dev/loop1".to_owned(),
        format!("/proc/{agent}/root/dev/loop1"),
        format!("/proc/{agent}/cwd/../../dev/loop1"),
    ] {
        let (opened, said) = stage.run(&format!("exec 3<{path}"));
        assert!(!opened, "{path} was opened: {said}");
    }
}

#[test]
fn a_hook_opens_no_disk_of_others_by_a_node_of_its_own() {
    let Some(stage) = stage() else { return };
    let place = stage.foreign.path().join("groups");
    let fence = match fence::Fence::against(&[(7, 1)], &place) {
        Ok(fence) => fence,
        Err(error) => return skipped("control groups of devices", &error.to_string()),
    };
    let opened = |fence: Option<&fence::Fence>, number: u32| {
        let mut hook = Command::new("sh");
        let node = format!("rm -f /dev/own; mknod /dev/own b 7 {number} && exec 3</dev/own");
        hook.args(["-c", &node]);
        enter(&mut hook, stage.dev.path(), Path::new("/proc")).unwrap();
        fence.iter().for_each(|fence| fence.enclose(&mut hook));
        hook.output().unwrap().status.success()
    };
    assert!(opened(None, 1) && opened(Some(&fence), 0) && !opened(Some(&fence), 1));
    drop(fence);
    assert!(!place.exists());
}

#[test]
fn a_tool_sees_no_process_but_its_own_and_ends_with_what_it_started() {
    let Some(stage) = stage() else { return };
    let marker = stage.foreign.path().join("later");
    let script = "echo $$; (sleep 1; : >$FOREIGN/later) >/proc/1/fd/1 2>&1 & ls -d /proc/[0-9]*";
    let (done, said) = stage.run(script);
    assert!(done && said.starts_with("1\n") && !said.contains(&format!("/proc/{}\n", std::process::id())), "{said}");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!marker.exists());
}

#[test]
fn how_a_tool_ends_and_why_it_does_not_start_is_known() {
    let Some(stage) = stage() else { return };
    let status = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        enter(&mut command, stage.dev.path(), Path::new("/proc")).unwrap();
        command.status().unwrap()
    };
    assert_eq!(status("exit 3").code(), Some(3));
    let mut missing = Command::new("/no/such/tool");
    enter(&mut missing, stage.dev.path(), Path::new("/proc")).unwrap();
    assert_eq!(missing.output().unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut much = Command::new("sh");
    much.args(["-c", "yes | head -c 200000"]);
    enter(&mut much, stage.dev.path(), Path::new("/proc")).unwrap();
    assert_eq!(much.output().unwrap().stdout.len(), 200_000);
}

#[test]
fn a_mount_option_reaches_no_disk_that_is_not_shown() {
    let Some(stage) = stage() else { return };
    let target = tempfile::tempdir().unwrap();
    let tmpfs = Wanted { format: "tmpfs", source: "tmpfs", flags: MsFlags::MS_NOATIME, data: "size=1m,mode=700" };
    mount_at(&tmpfs, stage.dev.path(), target.path()).unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let path = target.path().to_string_lossy();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(&*path)).unwrap();
    assert!(line.contains("noatime") && line.contains("size=1024k") && line.contains("mode=700"), "{line}");
    // A program that another test starts at this moment holds the mount's descriptor until it is executed.
    nix::mount::umount2(target.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    for source in ["/dev/loop1", "dev/loop1", &*stage.foreign.path().join("foreign").to_string_lossy()] {
        let ext4 = Wanted { format: "ext4", source, flags: MsFlags::empty(), data: "" };
        let error = mount_at(&ext4, stage.dev.path(), target.path()).unwrap_err();
        assert!([libc::ENOENT, libc::EACCES].contains(&error.raw_os_error().unwrap_or(0)), "{source}: {error}");
    }
}
