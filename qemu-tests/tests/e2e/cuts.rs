//! Power cuts of a whole machine while it writes a store, at random times. The disk keeps what was flushed and loses the
//! rest. After each cut Nix must find every registered path whole, and an installation that goes on from there must
//! end in the store that `nix copy` makes.
//!
//! The machine boots the image's kernel and initrd directly, with a script for PID 1 that mounts the disk and runs the
//! closure engine: twenty times the whole way would take an hour.

use anyhow::{Context, Result, ensure};
use qemu_tests::{
    child::Process,
    command::{command, output, run},
    disk::Disk,
    lab::{self, Lab},
    network::HOST,
    server::Admission,
    wait,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

const CUTS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(120);
const STARTED: &str = "cuts: the engine starts";
const DONE: &str = "cuts: the engine is done";

#[test]
fn after_20_power_cuts_every_registered_path_is_whole_and_the_end_is_the_same() {
    lab::test("cuts", Admission::OpenLab, |lab| {
        let bench = Bench::prepare(lab)?;
        let disk = Disk::create(lab.dir(), "disk-cuts", 2048)?;
        disk.format_ext4("cuts")?;
        let whole_run = bench.time_of_a_whole_run(&disk)?;
        disk.format_ext4("cuts")?;
        let (mut resumed, mut state) = (0, u64::from(std::process::id()));
        for cut in 1..=CUTS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let after = whole_run.mul_f64((state >> 33) as f64 / f64::from(1u32 << 31));
            let ended = bench.run_and_cut(&disk, after)?;
            let registered = bench.judge(&disk).with_context(|| format!("cut {cut}, after {after:?}"))?;
            println!("cut {cut} after {after:.1?}: {registered} paths registered");
            resumed += u32::from(registered > 0 && !ended);
            if ended {
                disk.format_ext4("cuts")?;
            }
        }
        ensure!(resumed > 0, "no cut came between the first registration and the end");
        Ok(())
    });
}

/// What all cuts share.
struct Bench<'a> {
    lab: &'a Lab,
    kernel: PathBuf,
    initrd: PathBuf,
    /// The store that `nix copy` makes of the same cache.
    reference: PathBuf,
    console: PathBuf,
}

impl<'a> Bench<'a> {
    fn prepare(lab: &'a Lab) -> Result<Self> {
        let dir = lab.dir();
        let (kernel, initrd) = (lab.prepared.system.kernel.image.clone(), dir.join("cuts-initrd"));
        let overlay = overlay(lab)?;
        let mut combined = fs::read(initrd_of_image(lab)?)?;
        combined.resize(combined.len().next_multiple_of(512), 0);
        combined.extend(fs::read(overlay)?);
        fs::write(&initrd, combined)?;
        let reference = dir.join("reference");
        let system = &lab.prepared.system;
        run(nix(dir, "nix")?
            .args(["copy", "--no-check-sigs", "--from", &format!("file://{}", system.binary_cache.display())])
            .args(["--to".as_ref(), reference.as_os_str(), system.toplevel.as_ref()]))?;
        Ok(Self { lab, kernel, initrd, reference, console: dir.join("cuts.console") })
    }

    fn time_of_a_whole_run(&self, disk: &Disk) -> Result<Duration> {
        let _machine = self.power_on(disk)?;
        self.wait_for(STARTED)?;
        let begin = Instant::now();
        self.wait_for(DONE)?;
        Ok(begin.elapsed())
    }

    /// Whether the engine came to its end before.
    fn run_and_cut(&self, disk: &Disk, after: Duration) -> Result<bool> {
        let machine = self.power_on(disk)?;
        self.wait_for(STARTED)?;
        sleep(after);
        drop(machine);
        Ok(wait::read_log(&self.console).contains(DONE))
    }

    fn power_on(&self, disk: &Disk) -> Result<Process> {
        let _ = fs::remove_file(&self.console);
        let network = &self.lab.network;
        let mut qemu = network.command("qemu-system-x86_64", ["-nodefaults", "-display", "none", "-no-user-config"]);
        qemu.args(["-machine", "q35,graphics=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        qemu.args(["-m", "512", "-device", "virtio-rng-pci"]);
        qemu.args(["-chardev", &format!("file,id=console,path={}", self.console.display())]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd);
        qemu.args(["-append", "console=ttyS0 rdinit=/cuts/init panic=-1 quiet"]);
        let drive = format!("if=none,id=disk,format=raw,cache=writeback,file={}", disk.path.display());
        qemu.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"]);
        let tap = network.tap()?;
        qemu.args(["-netdev", &format!("tap,id=net0,ifname={tap},script=no,downscript=no")]);
        qemu.args(["-device", "virtio-net-pci,netdev=net0,mac=52:54:00:77:00:77,romfile="]);
        Process::start("QEMU", &mut qemu, &self.lab.dir().join("cuts.qemu-log"))
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        wait::until(text, PATIENCE, || Ok(wait::read_log(&self.console).contains(text).then_some(())))
            .with_context(|| format!("the console ends with\n{}", wait::last_lines(&self.console, 30)))
    }

    /// Looks at a copy of the disk: the machine goes on from the disk itself.
    fn judge(&self, disk: &Disk) -> Result<usize> {
        let dir = self.lab.dir();
        let (copy, place) = (dir.join("cuts-copy.raw"), dir.join("cuts-mount"));
        run(command("cp", ["--sparse=always"]).arg(&disk.path).arg(&copy))?;
        fs::create_dir_all(&place)?;
        run(command("mount", ["-o", "loop"]).arg(&copy).arg(&place))?;
        let judged = self.judge_store(&place);
        run(&mut command("umount", [&place]))?;
        judged
    }

    fn judge_store(&self, root: &Path) -> Result<usize> {
        let dir = self.lab.dir();
        let mut registered = 0;
        if root.join("nix/var/nix/db/db.sqlite").exists() {
            run(nix(dir, "nix-store")?.arg("--store").arg(root).args(["--verify", "--check-contents"]))?;
            let all = output(nix(dir, "nix")?.args(["path-info", "--all", "--store"]).arg(root))?;
            registered = all.lines().count();
        }
        let system = &self.lab.prepared.system;
        let agent = qemu_tests::paths::binary("initrd-agent")?;
        let mut install = self.lab.network.command(agent, ["closure", "install", "--trusted-key", &system.public_key]);
        install.args(["--from", &format!("http://{HOST}:8080/cache")]).arg("--root").arg(root);
        run(install.arg(&system.toplevel))?;
        ensure!(listing(root)? == listing(&self.reference)?, "the store differs from what nix copy makes");
        ensure!(dump(dir, root)? == dump(dir, &self.reference)?, "the database differs from what nix copy makes");
        run(nix(dir, "nix-store")?.arg("--store").arg(root).args(["--verify", "--check-contents"]))?;
        Ok(registered)
    }
}

/// Nix with settings and caches of its own.
fn nix(dir: &Path, program: &str) -> Result<std::process::Command> {
    let settings = dir.join("nix-conf");
    fs::create_dir_all(&settings)?;
    fs::write(settings.join("nix.conf"), "build-users-group =\nexperimental-features = nix-command\n")?;
    let mut nix = command(program, Vec::<String>::new());
    nix.env("NIX_CONF_DIR", settings).env("HOME", dir.join("nix-home"));
    Ok(nix)
}

/// Registered paths with hashes, sizes, derivers and references.
fn dump(dir: &Path, root: &Path) -> Result<String> {
    output(nix(dir, "nix-store")?.arg("--store").arg(root).arg("--dump-db"))
}

/// Type, mode, time, size and target of everything in the store.
fn listing(root: &Path) -> Result<Vec<String>> {
    let mut find = command("find", [root.join("nix/store")]);
    find.args(["-mindepth", "1", "-name", ".links", "-prune", "-o"]);
    let text = output(find.args(["-type", "d", "-printf", "%P %m %T@\\n", "-o", "-printf", "%P %y %m %T@ %s %l\\n"]))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

/// The initrd that machines boot.
fn initrd_of_image(lab: &Lab) -> Result<PathBuf> {
    let index = fs::read_to_string(lab.prepared.site.join("images/vm.json"))?;
    let index: serde_json::Value = serde_json::from_str(&index)?;
    let digest = index["artefacts"]["initrd"]["sha256"].as_str().context("the image's index names no initrd")?;
    Ok(lab.prepared.site.join("images/blobs").join(digest))
}

/// A cpio archive with busybox and the script that is PID 1.
fn overlay(lab: &Lab) -> Result<PathBuf> {
    let tree = lab.dir().join("overlay/cuts");
    fs::create_dir_all(&tree)?;
    fs::copy(&lab.prepared.system.busybox, tree.join("busybox"))?;
    let system = &lab.prepared.system;
    let script = format!(
        "#!/cuts/busybox sh
B=/cuts/busybox
$B mkdir -p /proc /sys /dev /mnt /tmp
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
for module in virtio_pci virtio_blk virtio_net ext4; do /init -q -- $module; done
until [ -b /dev/vda ]; do $B sleep 0.1; done
$B ip link set lo up
$B ip addr add 10.77.0.50/24 dev eth0
$B ip link set eth0 up
$B mount -t ext4 /dev/vda /mnt
echo '{STARTED}'
/init closure install --from http://{HOST}:8080/cache --trusted-key '{key}' --root /mnt {toplevel}
$B umount /mnt
echo '{DONE}'
$B sleep 1000
",
        key = system.public_key,
        toplevel = system.toplevel,
    );
    fs::write(tree.join("init"), script)?;
    fs::set_permissions(tree.join("init"), fs::Permissions::from_mode(0o755))?;
    let archive = lab.dir().join("overlay.cpio");
    let line =
        format!("cd {} && find . | cpio -o -H newc --quiet > {}", tree.with_file_name("").display(), archive.display());
    run(&mut command("sh", ["-c", &line]))?;
    Ok(archive)
}
