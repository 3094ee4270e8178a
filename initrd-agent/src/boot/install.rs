//! Steps 6 to 12: one run of one generation.

use super::{
    TARGET, closure_step, files, identity, manifest,
    manifest::Verified,
    prepare::Machine,
    runner::{
        Attempts::{AtMost, UntilItWorks},
        Run,
    },
    trace_of_install, wipe,
};
use crate::{bootloader, overlay, sealed::Kept};
use disk::{
    apply, health,
    keys::Keys,
    mount::Mounted,
    plan::{self, Facts, Plan},
    probe, sealing,
    stack::Stack,
};
use hardware::efi;
use host::{certificate, http::pem};
use join::revocation;
use layout::Layout;
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
    inventory::Firmware,
    manifest::Purpose,
    marker::{InstallMarker, MarkerState},
    report::{InstalledReport, PlanDecision, PlanReport},
    size::human,
    spec::{FileSpec, HealthPolicy},
    step::Step,
    trust::Believed,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const HOLD_POLL: Duration = Duration::from_secs(5);
/// Disks behind slow controllers come after everything else.
const LATE_DISKS: Duration = Duration::from_secs(10);
const LATE_DISKS_POLL: Duration = Duration::from_millis(500);

/// Installs what the manifest says, or wipes the disks where it says that. On return the disk is complete, unmounted
/// and reported.
///
/// # Errors
/// The failure that ends this run.
pub async fn install(run: &Run, machine: &Machine) -> Result<Purpose> {
    let (manifest, kept) = run.step(Step::Manifest, UntilItWorks, async || get_manifest(run, machine).await).await?;
    if is_installed_already(machine, &manifest) {
        return report_again(run, machine, &manifest).await.map(|()| Purpose::Install);
    }
    let plan = run.step(Step::Plan, AtMost(5), async || make_plan(run, machine, &manifest).await).await?;
    if manifest.purpose == Purpose::Wipe {
        return wipe::wipe(run, machine, &manifest, &plan).await.map(|()| Purpose::Wipe);
    }
    let prepared = async || prepare_target(run, machine, &manifest, &kept, &plan).await;
    let target = run.step(Step::Disk, AtMost(3), prepared).await?;
    let closure = run
        .step(Step::Closure, UntilItWorks, async || closure_step::pull(run, machine, &manifest, target.root()).await)
        .await?;
    run.step(Step::Files, AtMost(5), async || write_files(machine, &manifest, target.root()).await).await?;
    let order = run
        .step(Step::BootLoader, AtMost(1), async || install_boot_loader(machine, &manifest, &plan, target.root()))
        .await?;
    let report = installed_report(run, &manifest, &closure, order);
    let mut target = Some(target);
    let sealed_and_reported = async || {
        if let Some(target) = target.take() {
            seal(run, machine, &manifest, &plan, target)?;
        }
        send_report(machine, &report).await
    };
    run.step(Step::Report, UntilItWorks, sealed_and_reported).await?;
    Ok(Purpose::Install)
}

/// The node's key as the target is to keep it: a chip that does not do as it should is met before anything is wiped.
async fn get_manifest(run: &Run, machine: &Machine) -> Result<((Verified, Kept), String)> {
    let run = run.telemetry.run();
    let manifest = manifest::fetch(&machine.server, &machine.anchors, &machine.identity, &machine.node, run).await?;
    let kept = match manifest.purpose {
        Purpose::Install => {
            let (policy, pem) = (manifest.key_kept, machine.identity.key_pem());
            // A chip takes its time; heartbeats go on.
            let kept = tokio::task::spawn_blocking(move || Kept::by(policy, pem)).await;
            kept.or_fail(Code::Internal, || "closing the node's key")??
        }
        Purpose::Wipe => Kept::Plain(machine.identity.key_pem()),
    };
    let what = match manifest.purpose {
        Purpose::Install => manifest.system.toplevel.to_string(),
        Purpose::Wipe => "wipe the disks, for the node is retired".to_owned(),
    };
    let detail = format!("{} generation {}: {what}", manifest.node, manifest.generation);
    Ok(((manifest, kept), detail))
}

/// The disk carries this generation whole: the report of it was lost, or the server has lost its memory.
fn is_installed_already(machine: &Machine, manifest: &Verified) -> bool {
    machine.identity.found.as_ref().is_some_and(|marker| {
        marker.node == manifest.node
            && marker.generation == manifest.generation
            && marker.state == MarkerState::Installed
    })
}

async fn report_again(run: &Run, machine: &Machine, manifest: &Verified) -> Result<()> {
    run.note(Step::Report, "this disk carries this generation already: nothing is written, and it is reported again");
    let report = installed_report(run, manifest, &closure::Summary::default(), efi::Ordered::default());
    run.step(Step::Report, UntilItWorks, async || send_report(machine, &report).await).await
}

async fn make_plan(run: &Run, machine: &Machine, manifest: &Verified) -> Result<(Plan, String)> {
    let deadline = Instant::now() + LATE_DISKS;
    let mut told = false;
    let plan = loop {
        match plan_now(machine, manifest) {
            Err(failure) if failure.code == Code::DiskNotFound && Instant::now() < deadline => {
                if !told {
                    run.note(Step::Plan, "no disk of this machine is the one that was meant: waiting for late ones");
                    told = true;
                }
                tokio::time::sleep(LATE_DISKS_POLL).await;
            }
            other => break other?,
        }
    };
    // A disk that fails is wiped as far as it can be.
    let health = if manifest.purpose == Purpose::Wipe { HealthPolicy::Warn } else { manifest.disks.health };
    health::examine(&plan, health)?.iter().for_each(|note| run.note(Step::Plan, note));
    sealing::check(&plan)?;
    let lines = plan.lines();
    for line in &lines {
        run.console.line(&format!("   {line}"));
    }
    let report = PlanReport {
        run: run.telemetry.run(),
        generation: manifest.generation,
        lines: lines.clone(),
        resumes: plan.stands(),
        hold: manifest.disks.hold,
        disks: Some(plan.planned_disks()),
    };
    let mut told = false;
    while machine.server.plan(&report).await?.decision == PlanDecision::Hold {
        if !told {
            run.note(Step::Plan, "the plan is held: waiting for an admin to approve it");
            told = true;
        }
        tokio::time::sleep(HOLD_POLL).await;
    }
    let detail = lines.into_iter().filter(|line| line.starts_with("disk")).collect::<Vec<_>>().join("; ");
    Ok((plan, detail))
}

fn plan_now(machine: &Machine, manifest: &Verified) -> Result<Plan> {
    let disks = hardware::inventory::disks();
    let (contents, stack) = (probe::contents(&disks), Stack::read());
    let facts = Facts {
        node: &manifest.node,
        sites: &machine.anchors.sites(),
        disks: &disks,
        contents: &contents,
        stack: &stack,
        firmware: (manifest.purpose == Purpose::Install).then_some(machine.inventory.firmware),
        reinstall: true,
    };
    match manifest.purpose {
        Purpose::Wipe => plan::wiping(&manifest.disks, &facts),
        Purpose::Install => plan::make(&manifest.disks, &facts),
    }
}

/// Mounts what an interrupted run of this generation left, or makes the layout anew.
async fn prepare_target(
    run: &Run,
    machine: &Machine,
    manifest: &Verified,
    kept: &Kept,
    plan: &Plan,
) -> Result<(Mounted, String)> {
    for loaded in overlay::ensure(&machine.server, &plan.tool_sets()).await? {
        if loaded.fetched > 0 {
            run.note(Step::Disk, &format!("tools fetched: {} ({})", loaded.set, human(loaded.fetched)));
        }
    }
    let keys = disk_keys(machine, manifest, plan).await?;
    let root = Path::new(TARGET);
    if let Some(mounted) = resumed(manifest, kept, plan, &keys)? {
        return Ok((mounted, "an interrupted installation is carried on".to_owned()));
    }
    let progress = |line: &str| run.note(Step::Disk, line);
    let opened = apply::apply(plan, &keys, root, &progress)?;
    let mounted = Mounted::mount(plan, opened, root)?;
    // From here on a power cut leads back to this disk: with its key the node is known again at once.
    write_key(root, kept, manifest)?;
    let marker = marker(run, machine, manifest, MarkerState::Installing);
    files::write_marker(root, &marker)?;
    if let Some(mountpoint) = plan.readable_without_tools() {
        trace_of_install::leave(&root.join(mountpoint.trim_start_matches('/')), &marker, kept)?;
    }
    Ok((mounted, format!("{} disks partitioned, formatted and mounted", plan.disks().len())))
}

/// Only a layout that is encrypted needs the node's secrets this early.
async fn disk_keys(machine: &Machine, manifest: &Verified, plan: &Plan) -> Result<Keys> {
    if plan.key_files().is_empty() {
        return Ok(Keys::default());
    }
    let secrets = machine.server.secrets(manifest.generation).await?;
    Keys::of_secrets(plan.key_files(), &secrets.files)
}

/// The target as an interrupted run of this generation left it, mounted; `None` where there is none.
fn resumed(manifest: &Verified, kept: &Kept, plan: &Plan, keys: &Keys) -> Result<Option<Mounted>> {
    if !plan.stands() {
        return Ok(None);
    }
    let root = Path::new(TARGET);
    let opened = apply::open(plan, keys, root).and_then(|opened| Mounted::mount(plan, opened, root));
    let mounted = match opened {
        Ok(mounted) => mounted,
        Err(failure) => {
            tracing::info!("looking for an interrupted installation: {failure}");
            return Ok(None);
        }
    };
    match trace_of_install::read_marker(root).filter(|marker| marker.node == manifest.node) {
        Some(marker) if marker.generation == manifest.generation && marker.state == MarkerState::Installing => {
            write_key(root, kept, manifest)?;
            Ok(Some(mounted))
        }
        Some(marker) if marker.generation >= manifest.generation && marker.state == MarkerState::Installed => {
            let cause = format!("mounting the target: it carries generation {} already", marker.generation);
            Err(Failure::new(Code::GenerationUsed, cause))
        }
        // Dropped here: unmounted and closed, before it is made anew.
        _ => Ok(None),
    }
}

fn write_key(root: &Path, kept: &Kept, manifest: &Verified) -> Result<()> {
    match kept {
        Kept::Plain(key) => {
            files::write_own(root, &manifest.node, "key", 0o600, key.as_bytes())?;
            files::forget_closed_key(root, &manifest.node)
        }
        Kept::Closed(closed) => files::write_closed_key(root, &manifest.node, closed),
    }
}

fn marker(run: &Run, machine: &Machine, manifest: &Verified, state: MarkerState) -> InstallMarker {
    InstallMarker {
        node: manifest.node.clone(),
        generation: manifest.generation,
        run: run.telemetry.run(),
        state,
        toplevel: manifest.system.toplevel.clone(),
        server: machine.server.url().to_owned(),
        ca_spki_sha256: machine.anchors.ca_spki_sha256.clone(),
        manifest_keys: machine.anchors.manifest_keys.clone(),
        written: Timestamp::now_utc(),
    }
}

async fn write_files(machine: &Machine, manifest: &Verified, root: &Path) -> Result<((), String)> {
    let secrets = machine.server.secrets(manifest.generation).await?;
    if secrets.generation != manifest.generation {
        return Err(Failure::new(Code::Protocol, "fetching the secrets: they are for another generation"));
    }
    let own = own_files(machine).await?;
    let kept: Vec<FileSpec> = secrets.files.into_iter().filter(files::is_kept).collect();
    for files in [&manifest.files, &own, &kept] {
        files::write_all(root, files)?;
    }
    files::write_own(root, &manifest.node, "crt", 0o644, machine.certificate.as_bytes())?;
    let count = manifest.files.len() + own.len() + 1;
    Ok(((), format!("{count} files, {} secrets", kept.len())))
}

/// The marker of NixOS; what the node believes at its first boot: the roots, and the certificates that are revoked.
async fn own_files(machine: &Machine) -> Result<Vec<FileSpec>> {
    let chain = pem::decode(&machine.certificate)?;
    let believed = Believed {
        ca_spki_sha256: machine.anchors.ca_spki_sha256.clone(),
        manifest_keys: machine.anchors.manifest_keys.clone(),
        issued_under: chain.last().and_then(|root| certificate::spki(root)),
        nonce: identity::nonce()?,
    };
    let (believe, _) = machine.server.trust(&believed).await?;
    let file = |path: &str, mode: &str, content: String| FileSpec {
        path: path.to_owned(),
        mode: mode.to_owned(),
        content: content.into(),
    };
    Ok(vec![
        file("/etc/NIXOS", "0644", String::new()),
        file("/etc/nixos/secrets/ca.crt", "0644", believe.roots),
        file(&format!("/etc/nixos/secrets/{}", revocation::FILE), "0644", believe.revoked),
    ])
}

fn install_boot_loader(
    machine: &Machine,
    manifest: &Verified,
    plan: &Plan,
    root: &Path,
) -> Result<(efi::Ordered, String)> {
    let layout = Layout::read(&manifest.disks.devices, manifest.disks.allow_hooks)?;
    let asked = |name: &str| layout.disk.get(name).map_or("", |disk| disk.device.as_str());
    let disks: Vec<_> = plan.disks().iter().map(|one| (asked(one.name()), one.disk())).collect();
    let entry = bootloader::install(root, &manifest.system.toplevel, machine.inventory.firmware, &disks)?;
    let shown = entry.strip_prefix(root).unwrap_or(&entry).display().to_string();
    if machine.inventory.firmware == Firmware::Bios {
        return Ok((efi::Ordered::default(), shown));
    }
    let filled = |(esp, at): (efi::Esp, Option<&str>)| {
        let programs = at.map(|at| efi::loader::programs(&root.join(at.trim_start_matches('/')))).unwrap_or_default();
        efi::Filled { esp, programs }
    };
    let (with_programs, empty): (Vec<_>, Vec<_>) =
        plan.esps()?.into_iter().map(filled).partition(|one| !one.programs.is_empty());
    let order =
        efi::set_boot_order(if with_programs.is_empty() { &empty } else { &with_programs }, manifest.boot.order)?;
    let detail = format!("{shown}; boot order: {}", order.after.join(", "));
    Ok((order, detail))
}

fn installed_report(
    run: &Run,
    manifest: &Verified,
    closure: &closure::Summary,
    order: efi::Ordered,
) -> InstalledReport {
    InstalledReport {
        run: run.telemetry.run(),
        generation: manifest.generation,
        boot_order: order.after,
        boot_order_before: order.before,
        paths_fetched: closure.paths_fetched,
        paths_present: closure.paths_present,
        nar_bytes: closure.nar_bytes,
        agent_peak_rss: telemetry::peak_rss(),
    }
}

/// The generation is used up: marked on the disk, on the platter, before anybody is told.
fn seal(run: &Run, machine: &Machine, manifest: &Verified, plan: &Plan, target: Mounted) -> Result<()> {
    if let Some(mountpoint) = plan.readable_without_tools() {
        trace_of_install::forget(&target.root().join(mountpoint.trim_start_matches('/')))?;
    }
    files::write_marker(target.root(), &marker(run, machine, manifest, MarkerState::Installed))?;
    nix::unistd::sync();
    target.unmount()
}

async fn send_report(machine: &Machine, report: &InstalledReport) -> Result<((), String)> {
    let reply = machine.server.installed(report).await?;
    if !reply.recorded {
        return Err(Failure::new(Code::ServerUnreachable, "reporting the installation: the server did not record it"));
    }
    Ok(((), format!("generation {} is installed", report.generation)))
}
