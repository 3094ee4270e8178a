//! Processors and memory.

use super::sysfs::Dir;
use protocol::inventory::Cpu;
use std::collections::BTreeSet;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The running machine's, and its memory in bytes; nothing where the kernel would not say.
pub fn live() -> Option<(Cpu, u64)> {
    let wanted =
        RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted).ok()?;
    let model = system.cpus().first().and_then(|cpu| super::sysfs::clean(cpu.brand().as_bytes()));
    let cores = System::physical_core_count().unwrap_or(0);
    let cpu = Cpu { model: model.unwrap_or_default(), threads: small(system.cpus().len()), cores: small(cores) };
    Some((cpu, system.total_memory()))
}

/// Those of a captured procfs.
pub fn captured(proc: &Dir) -> (Cpu, u64) {
    let text = |name: &str| proc.bytes(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (cpuinfo(&text("cpuinfo").unwrap_or_default()), meminfo(&text("meminfo").unwrap_or_default()))
}

fn cpuinfo(text: &str) -> Cpu {
    let mut cpu = Cpu::default();
    let mut cores = BTreeSet::new();
    let mut socket = "";
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match (key.trim(), value.trim()) {
            ("processor", _) => cpu.threads = cpu.threads.saturating_add(1),
            ("model name", model) if cpu.model.is_empty() => model.clone_into(&mut cpu.model),
            ("physical id", id) => socket = id,
            ("core id", id) => {
                cores.insert((socket, id));
            }
            _ => {}
        }
    }
    cpu.cores = small(cores.len());
    cpu
}

fn meminfo(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_threads_of_one_core_are_one_core() {
        let one = |n: u32| format!("processor\t: {n}\nmodel name\t: QEMU TCG CPU\nphysical id\t: 0\ncore id\t: 0\n\n");
        let cpu = cpuinfo(&format!("{}{}", one(0), one(1)));
        assert_eq!(cpu, Cpu { model: "QEMU TCG CPU".into(), threads: 2, cores: 1 });
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(meminfo("MemTotal:         493020 kB\nMemFree: 1 kB\n"), 493_020 * 1024);
        assert_eq!(meminfo("MemTotal: lots"), 0);
    }

    #[test]
    fn the_running_machine_has_a_processor_and_memory() {
        let (cpu, memory) = live().unwrap();
        assert!(cpu.threads > 0 && memory > 0, "{cpu:?} {memory}");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            let _ = (cpuinfo(&text), meminfo(&text));
        }
    }
}
