//! The tools of the overlays and the operator's hooks: each sees the plan's disks alone, and no udev.

use super::{
    confine::{self, fence::Fence},
    plan::Plan,
    private_dev::{PRIVATE, PrivateDev, private_folder, working_folder},
    stack::Stack,
};
use host::command;
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{fs, path::Path, process::Command};

/// LVM without udev, a cache of devices, a daemon or a backup; a pool that was just made needs no check.
const LVM_CONFIG: &str = "devices { use_devicesfile = 0 obtain_device_list_from_udev = 0 external_device_info_source = \"none\" }\n\
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

/// Runs shell text of the operator's with these variables; `at` is where it stands.
///
/// # Errors
/// `E-TOOL`.
pub fn run_hook(at: &str, text: &str, variables: &[(&str, String)], dev: &PrivateDev) -> Result<()> {
    let arguments = ["-euc".to_owned(), text.to_owned()];
    let fence = fence(dev);
    dev.show_disks()
        .and_then(|()| tool(SHELL, &arguments, dev))
        .and_then(|mut hook| {
            hook.envs(variables.iter().map(|(name, value)| (name, value)));
            fence.iter().for_each(|fence| fence.enclose(&mut hook));
            command::run_command(hook, None)
        })
        .map(drop)
        .map_err(|failure| failure.context(format!("running the hook {at}")))
}

/// Around a hook: it could make nodes of its own.
fn fence(dev: &PrivateDev) -> Option<Fence> {
    let stack = Stack::read();
    let others: Vec<(u32, u32)> = stack.of_others(&dev.disks()).into_iter().map(|node| node.number).collect();
    let fence = Fence::against(&others, &dev.root().with_extension("fence"));
    let no_fence = |error: &_| tracing::warn!("fencing hooks off from other disks: {error}; they see none of them");
    fence.inspect_err(no_fence).ok()
}

/// A tool that sees nothing but the devices of `dev`. Nobody else makes nodes there: tools do it by themselves.
///
/// # Errors
/// `E-TOOL`.
pub fn tool(program: &str, arguments: &[String], dev: &PrivateDev) -> Result<Command> {
    let mut command = command::prepare(program, arguments);
    command.env("DM_DISABLE_UDEV", "1").env("MDADM_NO_UDEV", "1").env("LVM_SYSTEM_DIR", PRIVATE);
    command.env("LVM_SUPPRESS_FD_WARNINGS", "1").env("LC_ALL", "C");
    confine::enter(&mut command, dev.root(), &working_folder()).or_fail(Code::Tool, || format!("running {program}"))?;
    Ok(command)
}

/// A folder that only root sees, and LVM's configuration in it.
pub fn prepare_private() -> Result<()> {
    let activity = || format!("preparing {PRIVATE}");
    for path in [PRIVATE, "/run/lock/lvm"] {
        private_folder(Path::new(path)).or_fail(Code::DiskIo, activity)?;
    }
    fs::write(Path::new(PRIVATE).join("lvm.conf"), LVM_CONFIG).or_fail(Code::DiskIo, activity)
}
