//! PID 1 of the initrd: mounts what a kernel needs, supervises `initrd-agent boot`, reaps, reboots.
//!
//! The way itself runs in a child, so that nothing it does (a panic, an OOM kill) ends PID 1 and with it the
//! kernel. PID 1 itself does nothing that can fail without a way on.

use crate::console::Console;
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, sync},
};
use std::{
    fs,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};
use telemetry::steps::pause_after;

/// Status of the child that asks for a reboot.
pub const EXIT_REBOOT: i32 = 64;
/// Status of the child that asks for the power to be switched off.
pub const EXIT_POWER_OFF: i32 = 66;
/// Status of a child that wants to begin again, and has said why.
pub const EXIT_AGAIN: i32 = 65;
/// Tells the child how the one before it ended.
pub const LAST_EXIT_VARIABLE: &str = "CENTRA_LAST_EXIT";
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A child that lived this long starts the pauses from the beginning again.
const HEALTHY_AFTER: Duration = Duration::from_secs(300);

const MOUNTS: [(&str, &str, MsFlags, &str); 6] = [
    ("devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=0755"),
    ("proc", "/proc", NO_PROGRAMS, ""),
    ("sysfs", "/sys", NO_PROGRAMS, ""),
    ("tmpfs", "/run", NO_DEVICES, "mode=0755"),
    ("tmpfs", "/tmp", NO_DEVICES, "mode=1777"),
    ("devpts", "/dev/pts", MsFlags::MS_NOSUID, "mode=0620"),
];
const NO_DEVICES: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
const NO_PROGRAMS: MsFlags = NO_DEVICES.union(MsFlags::MS_NOEXEC);

/// Runs as PID 1 for ever.
pub fn run() -> ! {
    for (kind, target, flags, data) in MOUNTS {
        mount_one(kind, target, flags, data);
    }
    // Only mounts where the machine booted by UEFI.
    mount_one("efivarfs", "/sys/firmware/efi/efivars", NO_PROGRAMS, "");
    // The firmware's event log is in it, where there is a TPM.
    mount_one("securityfs", "/sys/kernel/security", NO_PROGRAMS, "");
    prepare_kernel();
    let console = Console::open();
    let mut last_exit: Option<String> = None;
    let mut failures = 0u32;
    loop {
        let began = Instant::now();
        let ended = supervise(last_exit.as_deref());
        match ended {
            Ended::Reboot => end_machine(&console, RebootMode::RB_AUTOBOOT, "rebooting"),
            Ended::PowerOff => end_machine(&console, RebootMode::RB_POWER_OFF, "powering off"),
            _ => {}
        }
        failures = if began.elapsed() >= HEALTHY_AFTER { 0 } else { failures + 1 };
        let pause = pause_after(failures);
        last_exit = (ended != Ended::Status(EXIT_AGAIN)).then(|| ended.describe());
        match &last_exit {
            Some(how) => console.line(&format!("!! E-INTERNAL: the agent ended: {how}")),
            None => console.line("== the way begins again"),
        }
        console.line(&format!("   it starts in {:.0} s", pause.as_secs_f64()));
        sleep(pause);
    }
}

fn mount_one(kind: &str, target: &str, flags: MsFlags, data: &str) {
    // Errors are met later, with a name, by whoever needs the mount.
    let _ = fs::create_dir_all(target);
    let _ = mount(Some(kind), target, Some(kind), flags, Some(data));
}

fn prepare_kernel() {
    // The kernel asks for modules on demand (nls tables, crypto) through a program: this one.
    let _ = fs::write("/proc/sys/kernel/modprobe", "/init");
    // A crash of the kernel must not leave the machine hanging until somebody comes.
    let _ = fs::write("/proc/sys/kernel/panic", "30");
    let debug = fs::read_to_string("/proc/cmdline")
        .is_ok_and(|line| line.split_whitespace().any(|word| word == "centra.debug"));
    if !debug {
        // Only errors of the kernel between the steps; everything is in the shipped log.
        let _ = fs::write("/proc/sys/kernel/printk", "4");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Reboot,
    PowerOff,
    Status(i32),
    Signal(String),
    NotStarted(String),
}

impl Ended {
    fn describe(&self) -> String {
        match self {
            Ended::Reboot => "it asked for a reboot".to_owned(),
            Ended::PowerOff => "it asked for the power to be switched off".to_owned(),
            Ended::Status(status) => format!("status {status}"),
            Ended::Signal(signal) => format!("signal {signal}"),
            Ended::NotStarted(error) => format!("it could not be started: {error}"),
        }
    }
}

/// Starts the child and reaps everything until that child ends.
#[allow(clippy::disallowed_methods, reason = "PID 1 reaps by hand; host::command waits for its own children only")]
fn supervise(last_exit: Option<&str>) -> Ended {
    let program = if Path::new("/proc/self/exe").exists() { "/proc/self/exe" } else { "/init" };
    let mut command = Command::new(program);
    command.arg("boot").env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
    if let Some(how) = last_exit {
        command.env(LAST_EXIT_VARIABLE, how);
    }
    let child = match command.spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(error) => return Ended::NotStarted(error.to_string()),
    };
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::empty())) {
            Ok(WaitStatus::Exited(pid, EXIT_REBOOT)) if pid == child => return Ended::Reboot,
            Ok(WaitStatus::Exited(pid, EXIT_POWER_OFF)) if pid == child => return Ended::PowerOff,
            Ok(WaitStatus::Exited(pid, status)) if pid == child => return Ended::Status(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return Ended::Signal(signal.to_string()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Ended::NotStarted(error.to_string()),
        }
    }
}

fn end_machine(console: &Console, mode: RebootMode, doing: &str) {
    console.line(&format!("== {doing}"));
    sync();
    let error = reboot(mode);
    console.line(&format!("!! E-SYSTEM: {doing}: {error:?}; switch the machine off by hand"));
    sleep(LONGEST_PAUSE);
}
