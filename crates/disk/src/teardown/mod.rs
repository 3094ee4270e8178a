//! Takes down what stands on disks, from the top, and removes every trace of it.

use super::{
    exclusive::{self, open_exclusive},
    health, mapper,
    probe::{self, Busy},
    stack::{Kind, Node, Stack},
    wipe,
};
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Disk};
use std::{
    ffi::CString,
    fs::{self, File},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long the kernel may take to drop partitions and holders.
const PATIENCE: Duration = Duration::from_secs(5);
/// Discarded at once; a whole disk in one call could not be stopped.
const DISCARD_STEP: u64 = 16 << 30;

nix::ioctl_none!(reread_partitions, 0x12, 95);
// Its number says nothing of the range that it takes.
nix::ioctl_write_ptr_bad!(discard_range, nix::request_code_none!(0x12, 119), [u64; 2]);

/// One act of the teardown, on the device of this kernel name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The kernel stops swapping to it.
    SwapOff(String),
    /// Signatures are removed from it.
    Wipe(String),
    /// The mapping is closed, or the array stopped.
    Close(String),
}

/// The steps that leave nothing on the disks, each level wiped before it is closed, those on top first. The disks
/// themselves, and their partitions, are wiped after all of them.
///
/// # Errors
/// In words, where something must not be or cannot be taken down: it is mounted, stands on another disk as well, or
/// is neither an array nor a mapping.
pub fn steps(stack: &Stack, disks: &[&str]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for node in stack.top_down(disks) {
        if !node.mounts.is_empty() {
            return Err(format!("{} is mounted at {}", node.label(), node.mounts.join(", ")));
        }
        if node.swap {
            steps.push(Step::SwapOff(node.name.clone()));
        }
        let is_chosen = disks.contains(&node.name.as_str());
        let on_chosen = disks.iter().any(|disk| stack.get(disk).is_some_and(|disk| disk.above.contains(&node.name)));
        match &node.kind {
            _ if is_chosen => {}
            Kind::Partition if on_chosen => {}
            Kind::Partition => steps.push(Step::Wipe(node.name.clone())),
            Kind::Mapper { .. } | Kind::Array { .. } if !node.is_multipath() => {
                let below = stack.disks_below(&node.name);
                if let Some(other) = below.iter().find(|disk| !disks.contains(disk)) {
                    return Err(format!("{} stands on {other} as well", node.label()));
                }
                steps.extend([Step::Wipe(node.name.clone()), Step::Close(node.name.clone())]);
            }
            _ => return Err(format!("{} cannot be taken down", node.label())),
        }
    }
    Ok(steps)
}

/// Takes down what stands on these disks, wipes every level and the disks, discards them if that is asked for, and
/// makes sure that nothing is left. What was on them is gone. Gives a line for each thing that was done.
///
/// # Errors
/// `E-DISK-UNFIT` before anything is done where a disk is in use or is another one than that of the plan,
/// `E-DISK-IO`, and `E-DISK-NOT-CLEAN` with what is left.
pub fn teardown(disks: &[&Disk], discard: bool) -> Result<Vec<String>> {
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    let activity = || format!("taking down what stands on {}", names.join(", "));
    for disk in disks {
        let path = probe::device_path(&disk.name);
        let opening = || format!("opening {}", path.display());
        let file = File::open(&path).or_fail(Code::DiskIo, opening)?;
        exclusive::check(disk, &file).map_err(|failure| failure.context(opening()))?;
    }
    let stack = Stack::read();
    let steps = steps(&stack, &names).map_err(|why| Failure::new(Code::DiskUnfit, format!("{}: {why}", activity())))?;
    let mut lines = Vec::new();
    for step in &steps {
        lines.extend(run(step, &stack)?);
    }
    for disk in disks {
        lines.extend(erase(disk, &stack, discard)?);
    }
    for disk in disks {
        assert_clean(disk)?;
    }
    Ok(lines)
}

fn run(step: &Step, stack: &Stack) -> Result<Option<String>> {
    let (Step::SwapOff(name) | Step::Wipe(name) | Step::Close(name)) = step;
    let Some(node) = stack.get(name) else { return Ok(None) };
    let label = node.label();
    match step {
        Step::SwapOff(_) => {
            swap_off(node)?;
            Ok(Some(format!("stopped swapping to {label}")))
        }
        // An array or mapping that does not work may be closed all the same: what lies below is wiped as well.
        Step::Wipe(_) if !takes_writes(node) => Ok(None),
        Step::Wipe(_) => Ok(Some(match wipe::wipe(&probe::device_path(name)) {
            Ok(()) => format!("wiped {label}"),
            Err(failure) => format!("could not wipe {label}: {}", failure.cause),
        })),
        Step::Close(_) => {
            mapper::close(node)?;
            Ok(Some(format!("closed {label}")))
        }
    }
}

/// A suspended mapping would take the write and never give an answer.
fn takes_writes(node: &Node) -> bool {
    let is_set = |attribute: &str| {
        let path = format!("/sys/class/block/{}/{attribute}", node.name);
        fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
    };
    node.size > 0 && !is_set("ro") && !is_set("dm/suspended")
}

fn swap_off(node: &Node) -> Result<()> {
    let path = probe::device_path(&node.name);
    let activity = || format!("stopping to swap to {}", path.display());
    let text = CString::new(path.as_os_str().as_bytes()).or_fail(Code::DiskIo, activity)?;
    // SAFETY: the path is a string that ends with zero and lives until the call returns.
    match unsafe { libc::swapoff(text.as_ptr()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).or_fail(Code::DiskIo, activity),
    }
}

/// Removes every signature from a disk and its partitions, as they were and as the kernel sees them.
fn erase(disk: &Disk, stack: &Stack, discard: bool) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let device = open_exclusive(disk)?;
    health::probe_write_open(disk, &device)?;
    let mut areas = vec![(0, disk.size)];
    let partitions = stack.get(&disk.name).into_iter().flat_map(|node| &node.above).filter_map(|name| stack.get(name));
    let inside = |node: &&Node| {
        node.kind == Kind::Partition && node.size > 0 && node.start.saturating_add(node.size) <= disk.size
    };
    areas.extend(partitions.filter(inside).map(|node| (node.start, node.size)));
    areas.extend(hidden_partitions(&device, disk));
    areas.sort_unstable();
    areas.dedup();
    // The disk's own table last: until it is gone, a run that is cut short finds the partitions again.
    areas.reverse();
    wipe::clean(&device, &disk.name, &areas)?;
    lines.push(format!("wiped {} and {} partitions of it", disk.name, areas.len() - 1));
    if discard {
        lines.push(discard_all(&device, disk));
        // What a disk answers for a discarded block is its own affair.
        wipe::clean(&device, &disk.name, &areas)?;
    }
    reread(&device, &disk.name)?;
    Ok(lines)
}

/// Partitions of a table that the kernel does not show, as of one whose first copy is gone.
fn hidden_partitions(device: &File, disk: &Disk) -> Vec<(u64, u64)> {
    let sector = u64::from(disk.sector_size.max(512));
    let table = probe::table(device, disk.sector_size);
    let extents = table.iter().flat_map(|table| table.partitions.values());
    let area = |first: u64, last: u64| {
        let (start, end) = (first.checked_mul(sector)?, last.checked_add(1)?.checked_mul(sector)?);
        (start < end && end <= disk.size).then(|| (start, end - start))
    };
    extents.filter_map(|extent| area(extent.first, extent.last)).collect()
}

fn discard_all(device: &File, disk: &Disk) -> String {
    let mut from = 0;
    while from < disk.size {
        let length = DISCARD_STEP.min(disk.size - from);
        // SAFETY: BLKDISCARD reads two u64, which live until the call returns.
        if let Err(error) = unsafe { discard_range(device.as_raw_fd(), &[from, length]) } {
            return format!("{} takes no discards: {error}", disk.name);
        }
        from += length;
    }
    format!("discarded {}", disk.name)
}

/// Makes the kernel read the partition table of an open disk again.
///
/// # Errors
/// `E-DISK-NOT-CLEAN` where a partition stays in use, else `E-DISK-IO`.
pub fn reread(device: &File, name: &str) -> Result<()> {
    // SAFETY: BLKRRPART takes no argument; the descriptor is open for the length of the call.
    let attempt = || unsafe { reread_partitions(device.as_raw_fd()) }.map_err(std::io::Error::from);
    let activity = || format!("re-reading the partition table of {name}");
    match mapper::patiently(attempt) {
        // A device that cannot have partitions, as a loop device that was not told to look for any.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            Err(Failure::new(Code::DiskNotClean, format!("{}: one of its partitions is still in use", activity())))
        }
        done => done.map(drop).or_fail(Code::DiskIo, activity),
    }
}

fn assert_clean(disk: &Disk) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut content = probe::content(disk, &Stack::read());
        content.signatures.retain(|signature| !signature.is_unknown());
        let partitions = probe::partitions(&disk.name);
        if content.is_empty() && partitions.is_empty() {
            return Ok(());
        }
        // udev looks at a disk that changed, too, which makes it busy for a moment.
        let passes = matches!(content.busy, Some(Busy::Claimed { .. } | Busy::Held { .. })) || !partitions.is_empty();
        if !passes || Instant::now() > deadline {
            let left = if content.is_empty() { "its partitions".to_owned() } else { content.describe() };
            let cause = format!("looking whether {} is clean: still there: {left}", disk.name);
            return Err(Failure::new(Code::DiskNotClean, cause));
        }
        sleep(Duration::from_millis(50));
    }
}

/// Closes every array and mapping of this machine from the top, and stops swapping to them, without wiping anything.
/// For the initrd alone, where nobody but an earlier process of the agent can have made them.
pub fn close_all() -> Vec<String> {
    let stack = Stack::read();
    let mut lines = Vec::new();
    for node in stack.top_down(&stack.names()) {
        let closed = match node.kind {
            _ if node.swap => swap_off(node),
            Kind::Mapper { .. } | Kind::Array { .. } => mapper::close(node),
            _ => continue,
        };
        lines.push(match closed {
            Ok(()) => format!("closed {}", node.label()),
            Err(failure) => failure.to_string(),
        });
    }
    lines
}

#[cfg(test)]
mod tests;
