//! The whole way of a node in the initrd, from the kernel command line to the reboot (docs/design.md section 1).

mod closure_step;
mod cmdline;
mod dhcp;
pub mod enrol;
mod files;
pub mod identity;
mod install;
mod manifest;
mod network;
mod prepare;
mod runner;
mod token;
mod tpm;
mod trace_of_install;
mod wipe;

use crate::{
    boot_server::{BootServer, Channel},
    console::Console,
    init, kernel_log,
};
use cmdline::KernelParameters;
use disk::mount;
use host::retry::{Pauses, chance};
use protocol::{
    Code, Failure, failure::OrFail, failure::Result, manifest::Purpose, names::RunId, parse, step::Step,
    trust::TrustAnchors,
};
use runner::Run;
use std::{fs, path::Path, process::ExitCode, time::Duration};
use telemetry::{LogLayer, Pace, Telemetry};
use tokio::sync::watch;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

const TRUST_ANCHORS: &str = "/etc/centra/trust.json";
/// What a new process of this boot carries on with.
const STATE: &str = "/run/centra";
/// How long the end of a run waits for the server to take the rest of the log.
const FLUSH: Duration = Duration::from_secs(10);
/// Between two runs of one boot.
const PAUSES: Pauses = Pauses { base: Duration::from_secs(30), cap: Duration::from_secs(300) };
/// Where the target is mounted.
const TARGET: &str = "/mnt";

/// Runs the way and returns the status that PID 1 acts on.
pub fn run() -> ExitCode {
    let telemetry = Telemetry::new(run_of_this_boot(), Some(Path::new(STATE)));
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let level = if command_line.contains("centra.debug") { LevelFilter::DEBUG } else { LevelFilter::INFO };
    tracing_subscriber::registry().with(level).with(LogLayer::new(telemetry.clone())).init();
    kernel_log::follow(telemetry.clone());
    let run = Run { telemetry, console: Console::open() };
    if let Ok(how) = std::env::var(init::LAST_EXIT_VARIABLE) {
        run.note(Step::Coldplug, &format!("the agent ended unexpectedly ({how}) and was started again"));
        // What it had open is not the layout's to hold, and a layout that stands is opened again.
        for line in mount::release(Path::new(TARGET)) {
            run.note(Step::Coldplug, &line);
        }
    }
    // The steps run on this thread and may block; shipping and lease run on the others.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            run.console.line(&format!("!! E-SYSTEM: starting the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(way(&run, &KernelParameters::parse(&command_line))) {
        Ok(Purpose::Install) => status(init::EXIT_REBOOT),
        Ok(Purpose::Wipe) => status(init::EXIT_POWER_OFF),
        Err(failure) => {
            run.console.line(&format!("!! {failure}\n   remedy: {}", failure.remedy));
            status(init::EXIT_AGAIN)
        }
    }
}

fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Prepares once, then does what the manifest says: again and again, until it is done or there is nothing to do.
async fn way(run: &Run, parameters: &KernelParameters) -> Result<Purpose> {
    let anchors = read_anchors()?;
    let (channel, channels) = watch::channel(None);
    tokio::spawn(telemetry::ship(run.telemetry.clone(), channels, Pace::USUAL));
    let machine = match prepare::prepare(run, parameters, anchors, &channel).await {
        Ok(machine) => machine,
        Err(failure) => {
            run.telemetry.drained(FLUSH).await;
            return Err(failure);
        }
    };
    let mut failed = 0;
    let purpose = loop {
        let failure = match install::install(run, &machine).await {
            Ok(purpose) => break purpose,
            Err(failure) => failure,
        };
        run.telemetry.drained(FLUSH).await;
        if needs_new_enrolment(failure.code) {
            return Err(failure);
        }
        failed += 1;
        let pause = PAUSES.pause(failed, chance());
        run.console.line(&format!("== this run has failed; the next begins in {:.0} s", pause.as_secs_f64()));
        // What a program of the target left mounted or open would keep the next run from its disks.
        for line in mount::release(Path::new(TARGET)) {
            run.console.line(&format!("   {line}"));
        }
        tokio::time::sleep(pause).await;
        run.telemetry.begin_run(new_run());
    };
    if !run.telemetry.drained(FLUSH).await {
        run.console.line("   the end of the log did not reach the boot-server");
    }
    Ok(purpose)
}

fn needs_new_enrolment(code: Code) -> bool {
    matches!(code, Code::EnrolUnknown | Code::EnrolConflict | Code::EnrolRejected | Code::Forbidden | Code::Tls)
}

fn read_anchors() -> Result<TrustAnchors> {
    let bytes = fs::read(TRUST_ANCHORS).or_fail(Code::TrustAnchors, || format!("reading {TRUST_ANCHORS}"))?;
    parse::json(TRUST_ANCHORS, &bytes).map_err(|failure| Failure { code: Code::TrustAnchors, ..failure })
}

/// The run that a process before this one began in this boot, or a new one.
fn run_of_this_boot() -> RunId {
    let path = Path::new(STATE).join("run");
    if let Some(run) = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()) {
        return run;
    }
    let run = new_run();
    let _ = fs::create_dir_all(STATE).and_then(|()| fs::write(&path, run.as_str()));
    run
}

fn new_run() -> RunId {
    let text = uuid::Uuid::new_v4().to_string();
    text.parse().unwrap_or_else(|_| unreachable!("a UUID is hex digits and dashes"))
}

/// Tells the shipper how the server is reached from now on.
fn announce(channel: &watch::Sender<Option<Channel>>, server: &BootServer, session: Option<&str>) {
    channel.send_replace(Some(Channel { server: server.clone(), session: session.map(str::to_owned) }));
}
