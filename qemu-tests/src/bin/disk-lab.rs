//! A disk laboratory by hand: boots a machine with disks and runs shell commands in it.

use anyhow::{Context, Result};
use clap::Parser;
use qemu_tests::disk_lab::{Bus, DiskLab, LabDisk};
use std::{
    io::{BufRead, Write},
    path::PathBuf,
    time::Instant,
};

/// Boot a machine with disks and run shell commands in it: those given, or else those read from standard input.
///
/// `initrd-agent` inside is the one of this build (or of CENTRA_BIN_DIR).
#[derive(Parser)]
struct Args {
    /// BUS:SERIAL:MEBIBYTES, with virtio, nvme, ahci, scsi or usb as BUS [default: two of virtio]
    #[arg(long = "disk", value_name = "DISK")]
    disks: Vec<LabDisk>,
    /// A file to copy to /tmp inside
    #[arg(long = "put", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A shell command; several run one after the other
    #[arg(short = 'c', value_name = "COMMAND")]
    commands: Vec<String>,
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.disks.is_empty() {
        args.disks = ["disk-a", "disk-b"].map(|serial| LabDisk::new(Bus::Virtio, serial, 2048)).into();
    }
    let begin = Instant::now();
    let mut lab = DiskLab::boot(&format!("by-hand-{}", std::process::id()), &args.disks)?;
    eprintln!("the laboratory is up after {:.1} s", begin.elapsed().as_secs_f64());
    for file in &args.files {
        let name = file.file_name().context("a file has a name")?.to_string_lossy();
        let content = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        lab.put(&format!("/tmp/{name}"), &content)?;
    }
    if args.commands.is_empty() {
        for line in std::io::stdin().lock().lines() {
            show(&mut lab, &line?)?;
        }
    }
    for command in &args.commands {
        eprintln!("+ {command}");
        show(&mut lab, command)?;
    }
    Ok(())
}

fn show(lab: &mut DiskLab, command: &str) -> Result<()> {
    let begin = Instant::now();
    let output = lab.run(command)?;
    print!("{}", output.stdout);
    std::io::stdout().flush().context("writing")?;
    eprint!("{}", output.stderr);
    eprintln!("= status {}, {:.2} s", output.status, begin.elapsed().as_secs_f64());
    Ok(())
}
