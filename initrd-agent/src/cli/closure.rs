//! `initrd-agent closure ...`: the engine alone, on any machine and into any folder.

use super::print_failure;
use closure::{Limits, Netrc, Patience, Request, Summary};
use host::http;
use indicatif::{ProgressBar, ProgressStyle};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::StorePath,
    telemetry::Progress,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// What `--help` says after the options.
const HELP: &str = "\
Binary caches:
  http://HOST[:PORT]/PATH, https://...   a server; HTTP/1.1 or HTTP/2
  https://USER:PASSWORD@HOST/PATH        one that wants a password, which --netrc-file keeps more secret
  file:///PATH                           a folder, as nix copy --to file:///PATH makes it
  ...?priority=N                         asked before caches with a higher number, whatever it says of itself
  ...?trusted-key=NAME:BASE64            the only key for paths of this cache; repeat it after &, and write %2B for +

A cache that is down, slow, or lacks or damages a path is passed over for the next one. What is registered
under --root is not fetched again, so the same command goes on after any interruption.

Example:
  initrd-agent closure install --from https://cache.nixos.org?priority=50 --from http://10.0.0.1:8080/cache \\
    --trusted-key cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY= --trusted-key site:BASE64 \\
    --root /mnt --profile /nix/store/HASH-nixos-system-NAME";

/// The closure engine alone.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Pull store paths and all they reference into a folder, verified and registered
    Install(InstallArgs),
}

/// Arguments of `closure install`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct InstallArgs {
    /// URL of a binary cache, see below; repeat for more
    #[arg(long = "from", value_name = "URL", required = true)]
    from: Vec<String>,
    /// Public key as Nix writes it, NAME:BASE64; repeat for more. Every path must be signed by one of them
    #[arg(long = "trusted-key", value_name = "KEY")]
    trusted_keys: Vec<String>,
    /// The folder that becomes / of the installed system
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Trust these CA certificates (PEM) for https instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// NARs unpacked at the same time [default: one more than cores, from 2 to 8]
    #[arg(long, value_name = "N")]
    parallelism: Option<usize>,
    /// Memory for decompression windows, in MiB; xz -9 takes 65 [default: 32, and 136 for one NAR alone]
    #[arg(long, value_name = "MIB")]
    memory: Option<usize>,
    /// How often a request may fail at one cache, with nothing gained in between [default: 5]
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Seconds that a cache may be silent [default: 30]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Bytes per second; a cache that gives less for as long as --timeout is given up [default: 1024]
    #[arg(long, value_name = "BYTES")]
    min_rate: Option<u64>,
    /// User names and passwords of caches, as curl and Nix read them
    #[arg(long, value_name = "FILE")]
    netrc_file: Option<PathBuf>,
    /// Reach caches through this proxy, http://[USER:PASSWORD@]HOST:PORT, instead of those that http_proxy,
    /// https_proxy and all_proxy name; not those in no_proxy
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Read what is registered already, and fetch again what is damaged
    #[arg(long)]
    check: bool,
    /// Make equal files one by hard links, as nix-store --optimise does; costs time, saves room
    #[arg(long)]
    optimise: bool,
    /// Make the first store path the system profile
    #[arg(long)]
    profile: bool,
    /// One JSON object per line: progress, then the summary or the failure
    #[arg(long)]
    json: bool,
    /// Store paths such as /nix/store/HASH-name
    #[arg(value_name = "STOREPATH", required = true)]
    paths: Vec<StorePath>,
}

/// Runs the command.
pub fn run(command: Command) -> ExitCode {
    let Command::Install(args) = command;
    log_to_stderr();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(Code::System, || "starting the runtime")
        .and_then(|runtime| runtime.block_on(install(&args)));
    match result {
        Ok(summary) if args.json => print_json(&serde_json::json!({ "summary": summary })),
        Ok(summary) => host::say!(
            "{} paths: {} fetched ({} MiB of NAR), {} already there",
            summary.paths_total,
            summary.paths_fetched,
            summary.nar_bytes >> 20,
            summary.paths_present
        ),
        Err(failure) => {
            if args.json {
                print_json(&serde_json::json!({ "failure": failure }));
            }
            print_failure(&failure);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Warnings, such as a cache that is passed over; `RUST_LOG=debug` shows more.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

async fn install(args: &InstallArgs) -> Result<Summary> {
    let usual = Limits::default();
    let memory = args.memory.map(|mib| mib.saturating_mul(1 << 20));
    let limits = Limits {
        parallelism: args.parallelism.unwrap_or(usual.parallelism),
        memory: memory.unwrap_or(usual.memory),
        memory_alone: memory.map_or(usual.memory_alone, |bytes| bytes as u64),
        patience: Patience {
            min_rate: args.min_rate.unwrap_or(usual.patience.min_rate),
            attempts: args.attempts.unwrap_or(usual.patience.attempts),
            stall: args.timeout.map_or(usual.patience.stall, Duration::from_secs),
            ..usual.patience
        },
        ..usual
    };
    let proxies = http::Proxies::from_environment(args.proxy.as_deref())?;
    let (sender, receiver) = watch::channel(Progress::default());
    let shown = tokio::spawn(show(receiver, args.json));
    let request = Request {
        toplevels: &args.paths,
        substituters: &args.from,
        trusted_public_keys: &args.trusted_keys,
        root: &args.root,
        check: args.check,
        optimise: args.optimise,
        http: http::Client::through(proxies, &trust(args)?, None, SystemTime::UNIX_EPOCH)?,
        netrc: args.netrc_file.as_deref().map_or(Ok(Netrc::default()), Netrc::read)?,
        limits,
    };
    let result = closure::install(request, &sender).await;
    drop(sender);
    // The display ends with its sender; whether it panicked changes nothing for the installation.
    let _ = shown.await;
    let summary = result?;
    if args.profile {
        closure::set_system_profile(&args.root, &args.paths[0])?;
    }
    Ok(summary)
}

fn trust(args: &InstallArgs) -> Result<http::Trust> {
    let Some(file) = &args.ca else { return Ok(http::Trust::System) };
    let wrong = |error| Failure::new(Code::Config, format!("reading {}: {error}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate in it".to_owned()));
    }
    Ok(http::Trust::Roots(certificates))
}

/// Shows progress until the sender is gone.
async fn show(mut progress: watch::Receiver<Progress>, json: bool) {
    if json {
        while progress.changed().await.is_ok() {
            let now = *progress.borrow_and_update();
            print_json(&serde_json::json!({ "progress": now }));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    } else if std::io::stderr().is_terminal() {
        show_bar(progress).await;
    }
}

async fn show_bar(mut progress: watch::Receiver<Progress>) {
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        bar.set_length(now.total_bytes);
        bar.set_position(now.done_bytes);
        bar.set_message(format!("{}/{} paths", now.done_paths, now.total_paths));
    }
    bar.finish_and_clear();
}

fn print_json(value: &serde_json::Value) {
    // Whoever reads the lines may have gone; the installation goes on.
    let _ = writeln!(std::io::stdout(), "{value}");
}
