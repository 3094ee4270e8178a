//! The command line.

use crate::{
    build::{self, Inside},
    deploy,
};
use clap::{Parser, Subcommand};
use protocol::{Code, Failure, Timestamp, failure::Result, overlay::UnknownToolSet};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Parser)]
#[command(name = "image-builder", version, about = "Makes the boot images of nodes")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a kernel and an initrd with the index that the boot-server serves from
    Build(Box<BuildArgs>),
    /// Copy built images into the folder of a boot-server, atomically
    Deploy(DeployArgs),
}

#[derive(clap::Args)]
struct BuildArgs {
    /// Which hardware and tools: vm
    #[arg(long, default_value = "vm")]
    profile: String,
    /// trust.json that boot-server init made
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The initrd-agent binary
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// A bzImage [default: the newest /boot/vmlinuz-*-amd64]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its modules [default: /lib/modules/RELEASE]
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// A module beyond the profile's
    #[arg(long, value_name = "NAME")]
    extra_module: Vec<String>,
    /// A tool beyond the profile's, by name or path
    #[arg(long, value_name = "TOOL")]
    extra_tool: Vec<String>,
    /// Tool sets inside the image, for machines that boot without a boot-server's overlays: names with commas
    /// between, or all
    #[arg(long, value_name = "SETS", value_parser = inside)]
    with: Option<Inside>,
    /// CA certificates (PEM) for Nix caches outside
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Floor for the clock of nodes, in seconds since 1970; the image takes this or trust.json's, the later one
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    build_time: Option<i64>,
    /// Where to put blobs/ and PROFILE.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct DeployArgs {
    /// What build --out made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The boot-server's images folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Remove blobs that no index there names any more
    #[arg(long)]
    prune: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Parses the command line and runs it.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build(args) => build(*args),
        Command::Deploy(args) => deploy(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            host::tell!("{failure}\n  remedy: {}", failure.remedy);
            ExitCode::FAILURE
        }
    }
}

fn build(args: BuildArgs) -> Result<()> {
    let json = args.json;
    let report = build::run(&request(args)?)?;
    if json {
        return print_json(&report);
    }
    host::show!("{}", table(&report));
    Ok(())
}

fn request(args: BuildArgs) -> Result<build::Request> {
    let time = |seconds| {
        Timestamp::from_unix_timestamp(seconds)
            .map_err(|error| Failure::from_error(Code::Image, format!("reading --build-time {seconds}"), &error))
    };
    Ok(build::Request {
        profile: args.profile,
        trust: args.trust,
        agent: args.agent,
        kernel: args.kernel,
        modules: args.modules,
        extra_modules: args.extra_module,
        extra_tools: args.extra_tool,
        with: args.with.unwrap_or_default(),
        ca_bundle: args.ca_bundle,
        build_time: args.build_time.map(time).transpose()?,
        out: args.out,
    })
}

/// `all`, or the names of tool sets.
fn inside(text: &str) -> std::result::Result<Inside, UnknownToolSet> {
    match text {
        "all" => Ok(Inside::All),
        names => names.split(',').map(str::parse).collect::<std::result::Result<_, _>>().map(Inside::Named),
    }
}

fn table(report: &build::Report) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let image = &report.image;
    let _ = writeln!(text, "profile {}, kernel {}, agent {}", image.profile, image.kernel, image.agent_version);
    for (name, artefact) in &image.artefacts {
        let _ = writeln!(text, "  {name:<10} {:>10}  {}", mib(artefact.size), artefact.sha256);
    }
    let _ = writeln!(text, "  {:<10} {:>10}", "together", mib(report.total()));
    let _ = writeln!(text, "unpacked, {} modules:", report.modules);
    for (name, size) in &report.parts {
        let _ = writeln!(text, "  {name:<10} {:>10}", mib(*size));
    }
    if !report.absent_modules.is_empty() {
        let _ = writeln!(text, "not in this kernel: {}", report.absent_modules.join(" "));
    }
    if !report.with.is_empty() {
        let names: Vec<&str> = report.with.iter().map(|set| set.name()).collect();
        let _ = writeln!(text, "tools inside: {}", names.join(" "));
    }
    let _ = writeln!(text, "overlays:");
    for (set, artefact) in &image.overlays {
        let _ = writeln!(text, "  {:<10} {:>10}  {}", set.name(), mib(artefact.size), artefact.sha256);
    }
    for (set, cause) in &report.absent_overlays {
        let _ = writeln!(text, "  {:<10} {:>10}  {cause}", set.name(), "none");
    }
    let _ = writeln!(text, "{}", report.index.display());
    text
}

fn mib(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // for people
    let value = bytes as f64 / f64::from(1u32 << 20);
    format!("{value:.2} MiB")
}

fn deploy(args: &DeployArgs) -> Result<()> {
    let report = deploy::run(&args.from, &args.to, args.prune)?;
    if args.json {
        return print_json(&report);
    }
    let to = Path::new(&args.to).display();
    host::say!("{} ({}) to {to}, {} old blobs removed", report.profiles.join(" "), mib(report.bytes), report.pruned);
    Ok(())
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::from_error(Code::Internal, "printing the result", &error))?;
    host::say!("{json}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::overlay::ToolSet;

    #[test]
    fn tool_sets_are_named_with_commas_or_all_at_once() {
        assert_eq!(inside("all"), Ok(Inside::All));
        assert_eq!(inside("lvm,mdadm"), Ok(Inside::Named([ToolSet::Lvm, ToolSet::Mdadm].into())));
        assert!(inside("lvm,floppy").unwrap_err().to_string().contains("floppy"));
        assert!(inside("").is_err());
    }
}
