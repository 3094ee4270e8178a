//! `initrd-agent disk`: the engine on its own, as PID 1 runs it.

use super::print_failure;
use clap::{Args, Subcommand};
use disk::{
    apply, health,
    keys::Keys,
    mount::Mounted,
    plan::{self, Facts, Plan},
    probe, sealing,
    stack::Stack,
    tools,
};
use hardware::inventory;
use layout::Layout;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::NodeName,
    spec::{Disks, Selector, WipePolicy},
};
use serde_json::json;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A layout is text that people wrote.
const LONGEST_LAYOUT: u64 = 4 << 20;

/// What is done with a layout.
#[derive(Subcommand)]
pub enum Command {
    /// Show the exact disks and every action in order; changes nothing
    Plan(Common),
    /// Make the layout: what is on its disks is destroyed, as far as --wipe allows; nothing is left mounted
    Apply(Common),
    /// Open and mount a layout that stands, below --root
    Mount(Common),
    /// Unmount and close what `mount` has mounted
    Unmount(Common),
}

/// The arguments of each.
#[derive(Args)]
pub struct Common {
    /// disko.devices, evaluated to JSON as lib.layout of the flake does it
    #[arg(long, value_name = "FILE.json")]
    layout: PathBuf,
    /// Which disk one of the layout is: a path, hints such as serial=X,size=>=8G, or JSON; may be repeated
    #[arg(long, value_name = "NAME=SELECTOR", value_parser = selection)]
    select: Vec<(String, Selector)>,
    /// What may happen to a disk of the layout: install (only if it is empty), wipe, keep, ignore
    #[arg(long, value_name = "NAME=POLICY", value_parser = policy)]
    wipe: Vec<(String, WipePolicy)>,
    /// Keep the file system of this mount point, which must be there as laid out; may be repeated
    #[arg(long, value_name = "MOUNTPOINT")]
    keep: Vec<String>,
    /// Where the target is mounted
    #[arg(long, default_value = "/mnt", value_name = "DIR")]
    root: PathBuf,
    /// Whose identifiers the layout gets; the host's name where it is absent
    #[arg(long)]
    node: Option<NodeName>,
    /// Run the layout's hooks, which are shell text
    #[arg(long)]
    allow_hooks: bool,
    /// Discard whole disks before they are partitioned
    #[arg(long)]
    discard: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

fn selection(text: &str) -> std::result::Result<(String, Selector), String> {
    let (name, selector) = text.split_once('=').ok_or("it is not like NAME=SELECTOR")?;
    // Disks are known by their absolute paths.
    match std::fs::canonicalize(selector).ok().filter(|path| path.is_file()) {
        Some(image) => {
            Ok((name.to_owned(), Selector { device: image.to_str().map(str::to_owned), ..Selector::default() }))
        }
        None => Ok((name.to_owned(), Selector::parse(selector)?)),
    }
}

fn policy(text: &str) -> std::result::Result<(String, WipePolicy), String> {
    let (name, policy) = text.split_once('=').ok_or("it is not like NAME=POLICY")?;
    let policy = serde_json::from_value(json!(policy)).map_err(|_| "a policy is install, wipe, keep or ignore")?;
    Ok((name.to_owned(), policy))
}

/// Runs a command.
pub fn run(command: &Command) -> ExitCode {
    let (result, common) = match command {
        Command::Plan(common) => (show(common), common),
        Command::Apply(common) => (make(common), common),
        Command::Mount(common) => (mount(common), common),
        Command::Unmount(common) => (unmount(common), common),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if common.json {
                host::say!("{}", json!({ "error": failure }));
            }
            print_failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn show(common: &Common) -> Result<()> {
    let plan = common.plan()?;
    common.print(&plan, None);
    Ok(())
}

fn make(common: &Common) -> Result<()> {
    let plan = common.plan()?;
    common.refuse_images(&plan)?;
    if plan.stands() && common.keep.is_empty() {
        common.print(&plan, Some("stands already: nothing was written"));
        return Ok(());
    }
    let keys = common.ready(&plan)?;
    sealing::check(&plan)?;
    let progress = |line: &str| host::tell!("{line}");
    apply::apply(&plan, &keys, &common.root, &progress)?.close()?;
    common.print(&plan, Some("made"));
    Ok(())
}

fn mount(common: &Common) -> Result<()> {
    let plan = common.plan()?;
    common.refuse_images(&plan)?;
    if !plan.stands() {
        let cause = "mounting the layout: it does not stand on these disks as a whole";
        return Err(Failure::new(Code::DiskUnfit, cause).with_remedy("make it first: initrd-agent disk apply"));
    }
    let keys = common.ready(&plan)?;
    let opened = apply::open(&plan, &keys, &common.root)?;
    Mounted::mount(&plan, opened, &common.root)?.leave();
    common.print(&plan, Some("mounted"));
    Ok(())
}

fn unmount(common: &Common) -> Result<()> {
    let plan = common.plan_of(&common.wanted()?, true)?;
    Mounted::adopt(&plan, &common.root)?.unmount()
}

impl Common {
    fn wanted(&self) -> Result<Disks> {
        let activity = || format!("reading {}", self.layout.display());
        let mut text = Vec::new();
        let file = File::open(&self.layout).or_fail(Code::Layout, activity)?;
        file.take(LONGEST_LAYOUT + 1).read_to_end(&mut text).or_fail(Code::Layout, activity)?;
        if text.len() as u64 > LONGEST_LAYOUT {
            return Err(Failure::new(Code::Layout, format!("{}: it is larger than 4 MiB", activity()))
                .with_remedy("give disko.devices alone, evaluated to JSON"));
        }
        let read = serde_json::from_slice(&text).or_fail(Code::Layout, activity);
        let remedy = "it is no JSON: correct it at the line and column that are named";
        Ok(Disks {
            devices: read.map_err(|failure| failure.with_remedy(remedy))?,
            select: self.select.iter().cloned().collect(),
            wipe: self.wipe.iter().cloned().collect(),
            keep: self.keep.clone(),
            allow_hooks: self.allow_hooks,
            discard: self.discard,
            ..Disks::default()
        })
    }

    /// The plan, and what the disks say of their health.
    fn plan(&self) -> Result<Plan> {
        let wanted = self.wanted()?;
        let plan = self.plan_of(&wanted, false)?;
        health::examine(&plan, wanted.health)?.iter().for_each(|note| host::tell!("{note}"));
        Ok(plan)
    }

    /// `mounted`: the layout's own mounts do not count.
    fn plan_of(&self, wanted: &Disks, mounted: bool) -> Result<Plan> {
        let mut disks = inventory::disks();
        // A loop device or an image stands on no bus: it is a disk because it was named.
        let layout = Layout::read(&wanted.devices, wanted.allow_hooks)?;
        for (name, disk) in &layout.disk {
            let path = match wanted.select.get(name) {
                Some(selector) => selector.device.clone(),
                None => Some(disk.device.clone()),
            };
            let named = path.filter(|path| is_file_or_loop(path)).map(|path| inventory::disk_of_path(Path::new(&path)));
            disks.extend(named.transpose()?.filter(|disk| disks.iter().all(|known| known.name != disk.name)));
        }
        let mut contents = probe::contents(&disks);
        if mounted {
            contents.values_mut().for_each(|content| content.busy = None);
        }
        let node = self.node.clone().unwrap_or_else(host_name);
        let stack = Stack::read();
        let facts = Facts {
            node: &node,
            sites: &[],
            disks: &disks,
            contents: &contents,
            stack: &stack,
            firmware: None,
            reinstall: false,
        };
        if mounted { plan::of_open(wanted, &facts) } else { plan::make(wanted, &facts) }
    }

    /// The tools are there, and the keys.
    fn ready(&self, plan: &Plan) -> Result<Keys> {
        tools::ensure_local(&plan.tool_sets())?;
        Keys::of_files(plan.key_files())
    }

    fn refuse_images(&self, plan: &Plan) -> Result<()> {
        let image =
            plan.disks().iter().map(plan::DiskPlan::device).find(|device| Path::new(&device.to_string()).is_file());
        image.map_or(Ok(()), |image| {
            let cause = format!("opening {image}: an image file is for plan only");
            Err(Failure::new(Code::Input, cause)
                .with_remedy(format!("attach it first: losetup --partscan --find --show {image}")))
        })
    }

    fn print(&self, plan: &Plan, done: Option<&str>) {
        if self.json {
            let mut json = plan.json();
            json["result"] = json!(done);
            host::say!("{json:#}");
            return;
        }
        plan.lines().iter().for_each(|line| host::say!("{line}"));
        done.into_iter().for_each(|done| host::say!("{done}"));
    }
}

fn is_file_or_loop(path: &str) -> bool {
    path.starts_with("/dev/loop") || Path::new(path).is_file()
}

/// A name that is no name of a node, such as one with dots, is as good a seed.
fn host_name() -> NodeName {
    let name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_lowercase();
    let label = name.split('.').next().unwrap_or_default();
    label.parse().unwrap_or_else(|_| "localhost".parse().unwrap_or_else(|_| unreachable!("a constant label")))
}
