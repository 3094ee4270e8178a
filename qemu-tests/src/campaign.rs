//! Power cuts of a whole machine while it writes a store, at random times, on a disk that loses what was not flushed.
//! After each cut Nix must find every registered path whole, and an installation that goes on from there must end in the
//! store that `nix copy` makes.
//!
//! The machine boots the image's kernel and initrd directly, with a script for PID 1 that mounts the disk and runs the
//! closure engine: the whole way each time would take hours.

use crate::{
    child::Process,
    command::{command, output, run},
    disk::Disk,
    lab::Lab,
    network::HOST,
    paths,
    power_cut::{Flush, Random, Sector, VolatileDisk},
    vmlinux, wait,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);
const STARTED: &str = "cuts: the engine starts";
const DONE: &str = "cuts: the engine is done";
/// How often a machine is looked at as if it were cut, before it is.
const LOOKS: u32 = 2;

/// What all cuts share.
pub struct Campaign<'a> {
    lab: &'a Lab,
    kernel: PathBuf,
    initrd: PathBuf,
    /// The store that `nix copy` makes of the same cache.
    reference: PathBuf,
    console: PathBuf,
    tap: String,
    disk: Disk,
}

/// A disk after a cut.
struct Cut {
    image: PathBuf,
    after: Duration,
    /// Whether the engine had come to its end.
    ended: bool,
}

impl<'a> Campaign<'a> {
    /// Builds what the machine boots and what its store is compared with.
    ///
    /// # Errors
    /// Nix or a tool fails.
    pub fn prepare(lab: &'a Lab) -> Result<Self> {
        let dir = lab.dir();
        let (kernel, initrd) = (vmlinux::of(&lab.prepared.system.kernel.image)?, dir.join("cuts-initrd"));
        // The machine is slower at unpacking than this host.
        run(command("zstd", ["-q", "-d", "-f", "-o"]).arg(&initrd).arg(initrd_of_image(lab)?))?;
        let mut combined = fs::read(&initrd)?;
        combined.resize(combined.len().next_multiple_of(512), 0);
        combined.extend(fs::read(overlay(lab)?)?);
        fs::write(&initrd, combined)?;
        let reference = dir.join("reference");
        let system = &lab.prepared.system;
        run(nix(dir, "nix")?
            .args(["copy", "--no-check-sigs", "--from", &format!("file://{}", system.binary_cache.display())])
            .args(["--to".as_ref(), reference.as_os_str(), system.toplevel.as_ref()]))?;
        let (console, tap) = (dir.join("cuts.console"), lab.network.tap()?);
        let disk = Disk::create(dir, "disk-cuts", 2048)?;
        Ok(Self { lab, kernel, initrd, reference, console, tap, disk })
    }

    /// What flushes are for: on a disk that forgets them, a run that came to its end does not survive every cut. Says how
    /// long the run took.
    ///
    /// # Errors
    /// All cuts were survived: such a campaign would miss a missing flush.
    pub fn a_disk_that_forgets_its_flushes_is_caught(&self, random: &mut Random) -> Result<Duration> {
        self.disk.format_ext4("cuts")?;
        let volatile = self.volatile(Flush::Forgotten)?;
        let machine = self.power_on(&volatile)?;
        self.wait_for(STARTED)?;
        let begin = Instant::now();
        self.wait_for(DONE)?;
        let whole_run = begin.elapsed();
        let cuts = (0..4).map(|look| self.look(&volatile, look, whole_run, random)).collect::<Result<Vec<_>>>()?;
        drop(machine);
        let caught = cuts.iter().map(|cut| self.judge(cut)).filter(Result::is_err).count();
        println!("without flushes {caught} of {} cuts after a whole run of {whole_run:.1?} are caught", cuts.len());
        ensure!(caught > 0, "a store that was never flushed is found whole after every cut");
        Ok(whole_run)
    }

    /// Cuts machines off until so many cuts have been judged. Each machine goes on from what the one before it has left.
    ///
    /// # Errors
    /// What a cut left is damaged, or no cut hit the middle.
    pub fn cut(&self, cuts: u32, whole_run: Duration, random: &mut Random) -> Result<()> {
        self.disk.format_ext4("cuts")?;
        let (mut judged, mut resumed) = (0, 0);
        while judged < cuts {
            for cut in self.run_and_cut(whole_run, random)? {
                judged += 1;
                let registered = self.judge(&cut).with_context(|| format!("cut {judged}, after {:?}", cut.after))?;
                println!("cut {judged} after {:.1?}: {registered} paths registered", cut.after);
                resumed += u32::from(registered > 0 && !cut.ended);
                if cut.ended && cut.image == self.disk.path {
                    self.disk.format_ext4("cuts")?;
                }
            }
        }
        ensure!(resumed > 0, "no cut came between the first registration and the end");
        Ok(())
    }

    /// Runs the engine, looks a few times at what a cut would leave, and cuts.
    fn run_and_cut(&self, whole_run: Duration, random: &mut Random) -> Result<Vec<Cut>> {
        let end = whole_run.mul_f64(random.part());
        let mut moments: Vec<Duration> = (0..LOOKS).map(|_| end.mul_f64(random.part())).collect();
        moments.sort_unstable();
        let volatile = self.volatile(Flush::Obeyed)?;
        let machine = self.power_on(&volatile)?;
        self.wait_for(STARTED)?;
        let begin = Instant::now();
        let mut cuts = Vec::new();
        for (moment, look) in moments.into_iter().zip(0..) {
            sleep(moment.saturating_sub(begin.elapsed()));
            cuts.push(self.look(&volatile, look, moment, random)?);
        }
        sleep(end.saturating_sub(begin.elapsed()));
        drop(machine);
        volatile.lose_power(random)?;
        cuts.push(Cut { image: self.disk.path.clone(), after: end, ended: self.has_ended() });
        Ok(cuts)
    }

    /// What a cut would leave at this moment. Whether the engine is done is read first: it may only have come further.
    fn look(&self, disk: &VolatileDisk, number: u32, after: Duration, random: &mut Random) -> Result<Cut> {
        let (ended, image) = (self.has_ended(), self.lab.dir().join(format!("cuts-look-{number}.raw")));
        disk.copy_as_if_cut(random, &image)?;
        Ok(Cut { image, after, ended })
    }

    fn has_ended(&self) -> bool {
        wait::read_log(&self.console).contains(DONE)
    }

    fn volatile(&self, flush: Flush) -> Result<VolatileDisk> {
        VolatileDisk::serve(&self.disk.path, &self.lab.dir().join("cuts.nbd"), Sector::Physical, flush)
    }

    fn power_on(&self, disk: &VolatileDisk) -> Result<Process> {
        let _ = fs::remove_file(&self.console);
        let network = &self.lab.network;
        let mut qemu = network.command("qemu-system-x86_64", ["-nodefaults", "-display", "none", "-no-user-config"]);
        qemu.args(["-machine", "q35,graphics=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        qemu.args(["-m", "512", "-device", "virtio-rng-pci"]);
        qemu.args(["-chardev", &format!("file,id=console,path={}", self.console.display())]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd);
        qemu.args(["-append", "console=ttyS0 rdinit=/cuts/init panic=-1 quiet cryptomgr.notests"]);
        qemu.arg("-blockdev").arg(disk.blockdev("disk").to_string());
        qemu.args(["-device", "virtio-blk-pci,drive=disk"]);
        qemu.args(["-netdev", &format!("tap,id=net0,ifname={},script=no,downscript=no", self.tap)]);
        qemu.args(["-device", "virtio-net-pci,netdev=net0,mac=52:54:00:77:00:77,romfile="]);
        Process::start("QEMU", &mut qemu, &self.lab.dir().join("cuts.qemu-log"))
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        wait::until(text, PATIENCE, || Ok(wait::read_log(&self.console).contains(text).then_some(())))
            .with_context(|| format!("the console ends with\n{}", wait::last_lines(&self.console, 30)))
    }

    /// Looks at a copy of the disk: the machine goes on from the disk itself. Says how many paths are registered.
    fn judge(&self, cut: &Cut) -> Result<usize> {
        let dir = self.lab.dir();
        let (copy, place) = (dir.join("cuts-copy.raw"), dir.join("cuts-mount"));
        run(command("cp", ["--sparse=always"]).arg(&cut.image).arg(&copy))?;
        fs::create_dir_all(&place)?;
        run(command("mount", ["-o", "loop"]).arg(&copy).arg(&place))?;
        let judged = self.judge_store(&place, cut.ended);
        run(&mut command("umount", [&place]))?;
        judged
    }

    fn judge_store(&self, root: &Path, ended: bool) -> Result<usize> {
        let dir = self.lab.dir();
        let mut registered = 0;
        if root.join("nix/var/nix/db/db.sqlite").exists() {
            run(nix(dir, "nix-store")?.arg("--store").arg(root).args(["--verify", "--check-contents"]))?;
            let all = output(nix(dir, "nix")?.args(["path-info", "--all", "--store"]).arg(root))?;
            registered = all.lines().count();
        }
        let system = &self.lab.prepared.system;
        let total = system.closure.len();
        ensure!(!ended || registered == total, "the engine was done, yet {registered} of {total} paths are registered");
        let agent = paths::binary("initrd-agent")?;
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
fn nix(dir: &Path, program: &str) -> Result<Command> {
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
