//! The tools of the overlays and the operator's hooks, in the surroundings that they need where there is no udev.

use super::plan::Plan;
use host::command;
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{fs, os::unix::fs::DirBuilderExt, path::Path};

/// Where the engine keeps what only it uses.
pub const PRIVATE: &str = "/run/centra/disk";
/// LVM without udev, a cache of devices, a daemon or a backup; a pool that was just made needs no check.
const LVM_CONFIG: &str = "devices { use_devicesfile = 0 }\n\
    activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }\n\
    backup { backup = 0 archive = 0 }\n\
    global { use_lvmpolld = 0 thin_check_executable = \"\" cache_check_executable = \"\" }\n";

/// What runs hooks.
const SHELL: &str = "/bin/sh";

/// Hooks need a shell, which the images do not have unless somebody has put one in.
pub fn check_shell(plan: &Plan) -> Result<()> {
    if !plan.has_hooks() || Path::new(SHELL).exists() {
        return Ok(());
    }
    let cause = format!("running the layout's hooks: there is no {SHELL}");
    Err(Failure::new(Code::Tools, cause).with_remedy(
        "take the hooks out of the layout, or build the image with a shell: image-builder build --extra-tool /bin/sh",
    ))
}

/// Runs shell text of the operator's; `at` is where it stands.
///
/// # Errors
/// `E-TOOL`.
pub fn run_hook(at: &str, text: &str) -> Result<()> {
    command::run(SHELL, &["-euc", text]).map(drop).map_err(|failure| failure.context(format!("running the hook {at}")))
}

/// A tool with the environment that it needs where there is no udev.
pub fn tool(program: &str, arguments: &[String]) -> std::process::Command {
    let mut command = command::prepare(program, arguments);
    if !Path::new("/run/udev/control").exists() {
        command.env("DM_DISABLE_UDEV", "1").env("MDADM_NO_UDEV", "1").env("LVM_SYSTEM_DIR", PRIVATE);
    }
    command.env("LVM_SUPPRESS_FD_WARNINGS", "1").env("LC_ALL", "C");
    command
}

/// A folder that only root sees, and LVM's configuration in it.
pub fn prepare_private() -> Result<()> {
    let activity = || format!("preparing {PRIVATE}");
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    for path in [PRIVATE, "/run/lock/lvm"] {
        folder.create(path).or_fail(Code::DiskIo, activity)?;
    }
    fs::write(Path::new(PRIVATE).join("lvm.conf"), LVM_CONFIG).or_fail(Code::DiskIo, activity)
}
