//! Machines that enrol at once: hello, enrol, certificate, manifest, each over TLS of its own, with everything checked that an
//! agent checks, and every acknowledgement durable. The machines are on the same cores.
//!
//! `cargo bench -p boot-server --bench enrolments -- [--machines 1000] [--at-once 64] [--to certificate]`

#![allow(clippy::unwrap_used, reason = "a measurement that panics is none")]
#![allow(dead_code, clippy::disallowed_methods, reason = "the laboratory is the tests'")]

#[path = "../tests/suite/lab.rs"]
mod lab;
#[path = "../tests/suite/machine.rs"]
mod machine;

use lab::Lab;
use machine::Machine;
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

fn main() {
    let machines = option("--machines", 1000);
    let at_once = option("--at-once", 64);
    let to = std::env::args().skip_while(|word| word != "--to").nth(1).unwrap_or_else(|| "manifest".to_owned());
    let with_manifest = to == "manifest";
    let lab = Lab::open();
    let mac =
        |number: usize| format!("52:54:00:{:02x}:{:02x}:{:02x}", number >> 16 & 255, number >> 8 & 255, number & 255);
    let specs: Vec<Value> = (0..machines).map(|number| lab::spec(&format!("n{number}"), &mac(number))).collect();
    // As many as one call takes.
    specs.chunks(1000).for_each(|chunk| lab.apply_spec(&Value::Array(chunk.to_vec())));
    let waiting: VecDeque<Machine> =
        (0..machines).map(|number| Machine::new(&mac(number), &format!("run-{number}"))).collect();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (lab, waiting) = (Arc::new(lab), Arc::new(Mutex::new(waiting)));
    let (before, start) = (cpu(lab.process()), Instant::now());
    let mut took: Vec<Duration> = runtime.block_on(async {
        let tasks: Vec<_> =
            (0..at_once).map(|_| tokio::spawn(enrol_all(lab.clone(), waiting.clone(), with_manifest))).collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await.unwrap());
        }
        took
    });
    let (wall, cpu) = (start.elapsed(), cpu(lab.process()) - before);
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{machines} enrolments, hello to {to}, {at_once} at once: {:.0}/s; {:.1} s in all; each p50 {:.0} ms, p99 {:.0} ms; the server: \
         CPU {:.2} ms each, at most {} MiB",
        machines as f64 / wall.as_secs_f64(),
        wall.as_secs_f64(),
        at(50),
        at(99),
        cpu.as_secs_f64() * 1e3 / machines as f64,
        peak_memory(lab.process()) / 1024,
    );
}

async fn enrol_all(lab: Arc<Lab>, waiting: Arc<Mutex<VecDeque<Machine>>>, with_manifest: bool) -> Vec<Duration> {
    let mut took = Vec::new();
    loop {
        let next = waiting.lock().unwrap().pop_front();
        let Some(machine) = next else { return took };
        let start = Instant::now();
        let node = machine.admitted(&lab).await;
        if with_manifest {
            node.manifest(&lab).await;
        }
        took.push(start.elapsed());
    }
}

fn option(name: &str, default: usize) -> usize {
    let mut words = std::env::args().skip_while(|word| word != name).skip(1);
    words.next().map_or(default, |value| value.parse().unwrap())
}

/// User and system time of a process.
fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// KiB that a process has had at most.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
