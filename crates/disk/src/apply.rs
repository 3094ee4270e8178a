//! Carries a plan out, action by action, and closes what it opened.

use super::{
    action::{Action, Arg, Command, Device, Key, Open, Which},
    confine::{self, Wanted},
    device_node::{kernel_name, sector_size, sysfs_number, wait},
    exclusive, health,
    keys::{Keys, path_of},
    mount,
    opened::Opened,
    partition_table,
    partitions::{Extent, Partition, Table},
    place::Room,
    plan::{DiskPlan, Plan},
    private_dev::{PRIVATE, PrivateDev, check_same_disk},
    probe, sealing, swap,
    teardown::{reread_partitions, teardown},
    tool::{check_shell, prepare_private, run_hook, tool},
    wipe,
};
use host::command;
use nix::mount::{MntFlags, MsFlags, umount2};
use protocol::{
    Code, Failure,
    failure::OrFail,
    failure::Result,
    report::{Fate, Lost},
    size,
};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

const RESYNC_KIB_PER_SECOND: &str = "2000";

/// Makes the layout. What was on its disks is gone, but for what the plan keeps. The result is open.
///
/// # Errors
/// `E-DISK-IO`, `E-DISK-UNFIT` where a disk is not the one of the plan any more, `E-DISK-NOT-CLEAN`, `E-DISK-KEY`,
/// `E-TPM`, `E-TOOL`. What was opened is closed again then.
pub fn apply(plan: &Plan, keys: &Keys, root: &Path, progress: &dyn Fn(&str)) -> Result<Opened> {
    check_shell(plan)?;
    mount::load_ahead(plan);
    let mut run = Run::new(plan, keys, root)?;
    let total = plan.actions.len();
    for (action, n) in plan.actions.iter().zip(1..) {
        let began = Instant::now();
        run.action(action)?;
        progress(&format!("{n}/{total} {action} ({:.1} s)", began.elapsed().as_secs_f64()));
    }
    // Last of all, and after everything has reached the disks: from here on the layout is known as whole.
    nix::unistd::sync();
    plan.disks.iter().filter(|disk| is_sealed(disk)).try_for_each(seal)?;
    Ok(run.opened)
}

/// Opens a layout that stands.
///
/// # Errors
/// As [`apply`].
pub fn open(plan: &Plan, keys: &Keys, root: &Path) -> Result<Opened> {
    let mut run = Run::new(plan, keys, root)?;
    plan.open.iter().try_for_each(|action| run.action(action))?;
    Ok(run.opened)
}

struct Run<'a> {
    plan: &'a Plan,
    keys: &'a Keys,
    root: &'a Path,
    opened: Opened,
    key_files: KeyFiles,
}

/// Removed on drop.
struct KeyFiles(Vec<PathBuf>);

impl Drop for KeyFiles {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, keys: &'a Keys, root: &'a Path) -> Result<Self> {
        Ok(Run { plan, keys, root, opened: Opened::nothing(plan)?, key_files: KeyFiles(Vec::new()) })
    }

    fn dev(&self) -> &PrivateDev {
        self.opened.dev()
    }

    fn action(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Clear(devices) => {
                let disks = devices.iter().map(|one| Ok(&self.disk(one)?.disk)).collect::<Result<Vec<_>>>()?;
                disks.iter().try_for_each(|disk| health::probe_write(disk))?;
                teardown(&disks, self.plan.discard).map(drop)
            }
            Action::Table { device, table } => self.table(device, table),
            Action::Wipe(device) => wipe::wipe(&self.resolve(device)?),
            Action::Run(command) => self.run(command, None),
            Action::Swap { device, uuid, label } => {
                let path = self.resolve(device)?;
                swap::make(&path, *uuid, label.as_deref())
                    .or_fail(Code::DiskIo, || format!("making swap space on {}", path.display()))
            }
            Action::Expect { device, size } => self.expect(device, *size),
            Action::Within { device, format, options, commands, which } => {
                self.within(device, (format, options), commands, *which)
            }
            Action::Seal { device, key, pcrs } => self.seal_key(device, key, pcrs),
            Action::KeyFile(path) => self.key_file(path),
            Action::Hook { text, at, variables } => {
                let variable = |(name, value): &(&'static str, Arg)| match value {
                    Arg::Device(device) => Ok((*name, self.argument(device)?)),
                    other => Ok((*name, other.to_string())),
                };
                self.dev().show_disks()?;
                let variables = variables.iter().map(variable).collect::<Result<Vec<_>>>()?;
                run_hook(at, text, &variables, self.dev())
            }
        }
    }

    fn disk(&self, device: &Device) -> Result<&DiskPlan> {
        let found = self.plan.disks.iter().find(|disk| disk.device() == *device);
        found.ok_or_else(|| Failure::new(Code::DiskIo, format!("looking for {device}: the plan has no such disk")))
    }

    fn table(&self, device: &Device, table: &Table) -> Result<()> {
        if matches!(device, Device::Disk { .. }) {
            let plan = self.disk(device)?;
            let (table, extents) = plan.table.as_ref().ok_or_else(|| gone(device))?;
            let file = exclusive::open_exclusive(&plan.disk)?;
            let room = Room::new(plan.disk.size, super::plan::sector_bytes(&plan.disk));
            return self.write_table(file, device, table, extents, room, false);
        }
        let path = self.resolve(device)?;
        let activity = || format!("opening {device}");
        let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_EXCL).open(&path);
        let mut file = options.or_fail(Code::DiskIo, activity)?;
        let bytes = file.seek(SeekFrom::End(0)).or_fail(Code::DiskIo, activity)?;
        let room = Room::new(bytes, sector_size(&path));
        let extents = partition_table::place(table, room).map_err(|(number, why)| {
            Failure::new(Code::DiskUnfit, format!("partitioning {device}: partition {number} has no place: {why:?}"))
        })?;
        // An array has no table of its own to be sealed: the disks below it do.
        self.write_table(file, device, table, &extents, room, true)
    }

    fn write_table(
        &self,
        file: File,
        device: &Device,
        table: &Table,
        extents: &[Extent],
        room: Room,
        finished: bool,
    ) -> Result<()> {
        let activity = || format!("partitioning {device}");
        let file = partition_table::write(file, table, extents, room, finished).or_fail(Code::DiskIo, activity)?;
        // SAFETY: BLKRRPART takes no argument; the descriptor is open for the length of the call.
        unsafe { reread_partitions(file.as_raw_fd()) }.or_fail(Code::DiskIo, activity)?;
        drop(file);
        let base = self.resolve(device)?;
        wait(&format!("the partitions of {device}"), || {
            let now = probe::partitions(&kernel_name(&base)?);
            let there = |(one, extent): (&Partition, &Extent)| {
                let name = now.get(&one.number)?;
                let start = sysfs_number(name, "start")?.checked_mul(512)?;
                (start == extent.first * room.sector && probe::device_path(name).exists()).then_some(())
            };
            table.partitions.iter().zip(extents).map(there).collect::<Option<Vec<()>>>()
        })
        .map(drop)
    }

    /// The node of a device of the plan, whose disk is still the one of the plan.
    fn resolve(&self, device: &Device) -> Result<PathBuf> {
        let mut below = device;
        while let Device::Partition(of, _) = below {
            below = of;
        }
        if matches!(below, Device::Disk { .. }) {
            check_same_disk(&self.disk(below)?.disk)?;
        }
        self.dev().nodes().node_of(device)
    }

    /// The words of a command line, and the keys that some of them name: they must be open while it runs.
    fn words(&self, wanted: &[Arg], inside: Option<&Path>) -> Result<(Vec<String>, Vec<File>)> {
        let mut shown = Vec::new();
        let mut arguments = Vec::new();
        for argument in wanted {
            arguments.push(match argument {
                Arg::Text(text) => text.clone(),
                Arg::Device(device) => self.argument(device)?,
                Arg::Root => self.root.to_string_lossy().into_owned(),
                Arg::Key(Key { file, passphrase }) => {
                    let file = self.keys.file(file, *passphrase)?;
                    let path = path_of(&file);
                    shown.push(file);
                    path
                }
                Arg::Inside(path) => {
                    let path = inside.unwrap_or(Path::new("/")).join(path);
                    let parent = path.parent().unwrap_or(Path::new("/"));
                    fs::create_dir_all(parent).or_fail(Code::DiskIo, || format!("creating {}", parent.display()))?;
                    path.to_string_lossy().into_owned()
                }
            });
        }
        Ok((arguments, shown))
    }

    fn run(&mut self, wanted: &Command, inside: Option<&Path>) -> Result<()> {
        self.dev().show_disks()?;
        let (arguments, shown) = self.words(&wanted.arguments, inside)?;
        let input = wanted.input.as_ref().map(|key| self.keys.bytes(&key.file, key.passphrase)).transpose()?;
        if wanted.program == "lvm" || wanted.program == "mdadm" {
            prepare_private()?;
        }
        let result = command::run_command(tool(wanted.program, &arguments, self.dev())?, input);
        drop(shown);
        match result {
            Err(_) if wanted.may_fail => return Ok(()),
            other => other?,
        };
        if wanted.program == "mdadm" && wanted.arguments.first() == Some(&Arg::from("--create")) {
            self.resync_later(wanted);
        }
        if let Some(open) = &wanted.opens {
            self.opened.add(open.clone());
        }
        if !wanted.makes.is_empty() {
            self.dev().publish();
        }
        Ok(())
    }

    fn seal_key(&self, device: &Device, key: &[Arg], pcrs: &BTreeSet<u8>) -> Result<()> {
        self.dev().show_disks()?;
        let (key, _shown) = self.words(key, None)?;
        let at = self.argument(device)?;
        let cryptsetup = |arguments: &[String], input: Option<&[u8]>| {
            Ok(command::run_command(tool("cryptsetup", arguments, self.dev())?, input)?.stdout)
        };
        let volume = sealing::Volume { at: &at, key: &key, cryptsetup: &cryptsetup };
        sealing::seal(&volume, pcrs, sealing::by_this_machine)
            .map_err(|failure| failure.context(format!("sealing a key of {device}")))
    }

    /// A new mirror is made equal once the machine has booted from it; until then an installation needs the disks. The
    /// limit is the running array's own, and gone with it.
    fn resync_later(&self, create: &Command) {
        let Some(Open::Array(name)) = &create.opens else { return };
        let kernel_name = self.dev().nodes().wait_for(&Device::Array(name.clone())).ok();
        let Some(kernel_name) = kernel_name else { return };
        let limit = Path::new("/sys/class/block").join(kernel_name).join("md/sync_speed_max");
        // RAID 0 has none.
        let _ = fs::write(limit, RESYNC_KIB_PER_SECOND);
    }

    fn argument(&self, device: &Device) -> Result<String> {
        self.resolve(device)?;
        Ok(self.dev().show(device)?.to_string_lossy().into_owned())
    }

    /// Of what is kept, all is there as laid out.
    fn expect(&self, device: &Device, wanted: Option<u64>) -> Result<()> {
        let looking = || format!("looking for {device}, below file systems that are to be kept");
        let unfit = |why: String| {
            Failure::new(Code::DiskUnfit, format!("{}: {why}; nothing was written", looking()))
                .with_remedy("correct the layout, or take its file systems out of disks.keep if they may be destroyed")
        };
        let name = self.dev().nodes().wait_briefly(device).ok_or_else(|| unfit("it is not there".to_owned()))?;
        let found = sysfs_number(&name, "size").and_then(|sectors| sectors.checked_mul(512));
        match (wanted, found) {
            (Some(wanted), Some(found)) if wanted != found => {
                Err(unfit(format!("it has {}, and the layout says {}", size::human(found), size::human(wanted))))
            }
            _ => Ok(()),
        }
    }

    fn within(
        &mut self,
        device: &Device,
        (format, options): (&str, &str),
        commands: &[Command],
        which: Which,
    ) -> Result<()> {
        prepare_private()?;
        let source = self.argument(device)?;
        let folder = Path::new(PRIVATE).join("within");
        let activity = || format!("mounting {device} to make subvolumes");
        fs::create_dir_all(&folder).or_fail(Code::DiskIo, activity)?;
        let wanted = Wanted { format, source: &source, flags: MsFlags::empty(), data: options };
        confine::mount_at(&wanted, self.dev().root(), &folder).or_fail(Code::DiskIo, activity)?;
        let is_there = |command: &&Command| {
            let mut paths = command.arguments.iter();
            paths.any(|word| matches!(word, Arg::Inside(path) if folder.join(path).symlink_metadata().is_ok()))
        };
        let wanted = commands.iter().filter(|command| which == Which::All || !is_there(command));
        let result = wanted.collect::<Vec<_>>().into_iter().try_for_each(|command| self.run(command, Some(&folder)));
        let unmounted = umount2(&folder, MntFlags::empty()).or_fail(Code::DiskIo, || format!("unmounting {device}"));
        result.and(unmounted)
    }

    /// zfs insists on reading its key from the path that its property names.
    fn key_file(&mut self, path: &str) -> Result<()> {
        let path = Path::new(path);
        if path.exists() {
            return Ok(());
        }
        let activity = || format!("putting the key file {} where zfs reads it", path.display());
        let bytes = self.keys.bytes(&path.to_string_lossy(), false)?;
        path.parent().map_or(Ok(()), fs::create_dir_all).or_fail(Code::DiskKey, activity)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path);
        let mut file = file.or_fail(Code::DiskKey, activity)?;
        self.key_files.0.push(path.to_owned());
        file.write_all(bytes).or_fail(Code::DiskKey, activity)
    }
}

/// Of what is kept in part, the node's own: it is of this layout now.
fn is_sealed(disk: &DiskPlan) -> bool {
    match disk.fate {
        Fate::Make { .. } => true,
        Fate::KeepInPart { loses } => loses != Lost::Foreign,
        Fate::Keep | Fate::Wipe { .. } => false,
    }
}

/// The table once more, with the identifier of a layout that is whole.
fn seal(disk: &DiskPlan) -> Result<()> {
    let Some((table, extents)) = &disk.table else { return Ok(()) };
    check_same_disk(&disk.disk)?;
    let path = probe::device_path(&disk.disk.name);
    let activity = || format!("completing the partition table of {}", path.display());
    let file = OpenOptions::new().read(true).write(true).open(&path).or_fail(Code::DiskIo, activity)?;
    let room = Room::new(disk.disk.size, super::plan::sector_bytes(&disk.disk));
    partition_table::write(file, table, extents, room, true).map(drop).or_fail(Code::DiskIo, activity)
}

fn gone(device: &Device) -> Failure {
    Failure::new(Code::DiskIo, format!("partitioning {device}: the plan has no table for it"))
}
