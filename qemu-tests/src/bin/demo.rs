//! `make demo`: an empty machine is powered on and becomes a member of an etcd cluster, with nobody logged in to it.

use anyhow::{Context, Result, bail};
use clap::Parser;
use qemu_tests::{
    etcd::Etcd,
    lab::{self, Lab, Prepared},
    machine::{BootFrom, Firmware, Machine},
    node, paths,
    server::Admission,
    timeline::{self, Event, Row},
    wait,
};
use serde_json::Value;
use std::{
    io::{IsTerminal, Write},
    thread::sleep,
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// The node of the demo.
const NODE: &str = "node-01";
/// The way takes a minute or two; after this something is wrong.
const PATIENCE: Duration = Duration::from_secs(420);

/// Boot an empty machine from the network and watch it join a cluster.
#[derive(Parser)]
struct Args {
    /// Start the machine with SeaBIOS instead of UEFI firmware.
    #[arg(long)]
    bios: bool,
    /// Leave everything running until Enter is pressed, to look around.
    #[arg(long)]
    hold: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let begin = Instant::now();
    title("Preparing: the demo system (Debian packages, built by Nix) and the boot image");
    let prepared = lab::prepare()?;
    println!("{} store paths, toplevel {}", prepared.system.closure.len(), prepared.system.toplevel);
    println!(
        "boot image (kernel + initrd): {:.1} MiB; {:.1} s",
        mebibytes(prepared.image_bytes),
        begin.elapsed().as_secs_f64()
    );

    title("Starting the boot-server and an etcd member outside the machine");
    let mut lab = Lab::open("demo", Admission::OpenLab)?;
    lab.keep_files();
    let etcd = lab.etcd()?;
    print!("{}", etcd.ctl(&lab.network, &["member", "list", "-w", "table"])?);
    let firmware = if args.bios { Firmware::Bios } else { Firmware::Uefi };
    let mut machine = lab.machine(firmware)?;
    lab.server.apply(&lab.network, &node::spec(NODE, &machine, &prepared.system))?;

    title(&format!("Power on: {firmware:?} firmware, {} MiB of memory, an empty disk", machine.memory));
    let power_on = OffsetDateTime::now_utc();
    machine.power_on(&lab.network, BootFrom::Network)?;
    let watched = watch(&lab, &mut machine);
    if watched.is_err() {
        eprintln!("the console ends with\n{}\n", wait::last_lines(&machine.console(), 25));
        eprintln!("the boot-server's log ends with\n{}\n", lab.server.log_end());
        look_further(&lab, &machine, false);
    }
    report(&lab, &watched?, &etcd, prepared, power_on)?;
    look_further(&lab, &machine, args.hold);
    if args.hold {
        println!("\nPress Enter to end.");
        std::io::stdin().read_line(&mut String::new()).context("reading a line")?;
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Prints what happens until the node is ready, and returns it.
fn watch(lab: &Lab, machine: &mut Machine) -> Result<Value> {
    let start = Instant::now();
    let live = std::io::stdout().is_terminal();
    let mut seen = 0;
    loop {
        let node = lab.server.describe(&lab.network, NODE)?;
        let events = Event::all(&node)?;
        for event in events.iter().skip(seen).filter(|event| live || !event.is_start()) {
            erase(live);
            println!("{:>6.1} s  {}", start.elapsed().as_secs_f64(), event.line());
        }
        seen = events.len();
        match node["summary"]["state"].as_str() {
            Some("ready") => return Ok(node),
            Some(state @ ("rejected" | "conflict" | "revoked" | "retired")) => bail!("{NODE} is {state}"),
            _ if start.elapsed() > PATIENCE => bail!("{NODE} is not ready after {} s", PATIENCE.as_secs()),
            _ if !machine.is_on() => bail!("the machine is off"),
            _ => {}
        }
        if live {
            show_progress(&node["summary"]);
        }
        sleep(Duration::from_millis(300));
    }
}

/// One line that is written over: the step and how far it is.
fn show_progress(summary: &Value) {
    let Some(step) = summary["step"].as_str() else { return };
    let progress = &summary["progress"];
    let (done, total) = (progress["done_bytes"].as_u64().unwrap_or(0), progress["total_bytes"].as_u64().unwrap_or(0));
    erase(true);
    if total > 0 {
        let paths = (progress["done_paths"].as_u64().unwrap_or(0), progress["total_paths"].as_u64().unwrap_or(0));
        print!(
            "          {step}: {:.0} of {:.0} MiB, {} of {} paths",
            mebibytes(done),
            mebibytes(total),
            paths.0,
            paths.1
        );
    } else {
        print!("          {step} ...");
    }
    let _ = std::io::stdout().flush();
}

fn erase(live: bool) {
    if live {
        print!("\r\x1b[K");
    }
}

fn report(lab: &Lab, node: &Value, etcd: &Etcd, prepared: &Prepared, power_on: OffsetDateTime) -> Result<()> {
    title("The cluster");
    print!("{}", etcd.ctl(&lab.network, &["member", "list", "-w", "table"])?);
    let voters = etcd.voters(&lab.network)?;
    if voters.len() != 2 {
        bail!("{} members vote, not 2: {voters:?}", voters.len());
    }
    title("The way, from power-on");
    let rows = timeline::rows(&Event::all(node)?, power_on);
    for row in &rows {
        println!("{row}");
    }
    let end = rows.last().map_or(0.0, |row: &Row| row.start + row.took);
    println!("{end:>7.1} s  ready");
    title("Sizes");
    println!("boot image (kernel + initrd)  {:>6.1} MiB", mebibytes(prepared.image_bytes));
    println!("agent, peak resident memory   {:>6.1} MiB", mebibytes(node["agent_peak_rss"].as_u64().unwrap_or(0)));
    Ok(())
}

fn look_further(lab: &Lab, machine: &Machine, running: bool) {
    title("How to look further");
    println!("console of the machine   {}", machine.console().display());
    println!("log of the boot-server   {}", lab.server.dir.join("server.log").display());
    println!("its state and keys       {}", lab.server.dir.display());
    if running {
        let program =
            paths::binary("boot-server").map_or_else(|_| "boot-server".to_owned(), |path| path.display().to_string());
        let inside = format!("ip netns exec {} {program}", lab.network.name());
        for verb in ["get nodes", "describe node node-01", "logs node-01 -f"] {
            println!("while it runs            {inside} {verb} --dir {}", lab.server.dir.display());
        }
        println!("the page                 https://10.77.0.1:8443/ (in that network namespace)");
    } else {
        println!("`make demo ARGS=--hold` leaves everything running until Enter is pressed.");
    }
}
