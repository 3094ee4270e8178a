//! `boot-server closure ...`: the binary cache of the server.

mod import;
mod pack;
mod print;
mod progress;
mod queue;
mod source;

use super::client::Target;
use clap::Subcommand;
use progress::Progress;
use protocol::{
    Failure,
    calls::{self, Nothing},
    closures::{GcRequest, VerifyRequest},
    failure::Result,
    names::StorePath,
};

/// Fill, list, check and clean the binary cache
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy closures from another cache, or from a folder, into the server's
    ///
    /// Only what is missing is sent, references first. Whatever interrupts it, the cache stays whole, and the same
    /// command goes on where it was.
    Import(import::Import),
    /// List the closures of the cache, their sizes, and which nodes need them
    List(List),
    /// Read the whole cache and say what is damaged or missing; ends with 1 where anything is
    Verify(Verify),
    /// Remove what no node needs
    ///
    /// What stays: the system of every node that is not retired, the one it was told last to install, whatever was
    /// pushed within --keep-newer, and all that these refer to.
    Gc(Gc),
}

/// How it is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
struct List {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Only the closures of these; everything where none is given
    #[arg(value_name = "STOREPATH")]
    paths: Vec<StorePath>,
    /// Take what is damaged out of service, with everything that refers to it: the next push brings it anew
    #[arg(long)]
    remove: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Gc {
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// What was pushed within this time stays, such as 12h, 7d or 0
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
    keep_newer: u64,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

/// Runs the verb.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Import(args) => import::run(args).await,
        Verb::List(args) => list(args).await,
        Verb::Verify(args) => verify(args).await,
        Verb::Gc(args) => gc(args).await,
    }
}

async fn list(args: List) -> Result<()> {
    let list = args.target.client()?.call::<calls::Closures>(&[], &Nothing {}).await?;
    print::result(args.output, &list, print::list)
}

async fn verify(args: Verify) -> Result<()> {
    let request = VerifyRequest { paths: args.paths, remove: args.remove };
    let progress = Progress::new("checked", "paths");
    let told = |done, total| progress.steps(done, total);
    let report = args.target.client()?.work::<calls::VerifyClosures>(&[], &request, told).await?;
    drop(progress);
    print::result(args.output, &report, print::verify)?;
    let Some(first) = report.damaged.first() else { return Ok(()) };
    let cause = format!("checking the cache: {} of {} paths are wrong", report.damaged.len(), report.checked);
    let remedy = match args.remove {
        true => "push again what was taken out of service",
        false => "boot-server closure verify --remove, then push again",
    };
    Err(Failure::new(first.code, cause).with_remedy(remedy))
}

async fn gc(args: Gc) -> Result<()> {
    let request = GcRequest { dry_run: args.dry_run, keep_newer_seconds: args.keep_newer };
    let progress = Progress::new("removed", "files");
    let told = |done, total| progress.steps(done, total);
    let report = args.target.client()?.work::<calls::CollectGarbage>(&[], &request, told).await?;
    drop(progress);
    print::result(args.output, &report, |report| print::gc(report, args.dry_run))
}

/// `90`, `30m`, `12h`, `7d`, `2w`
fn seconds(text: &str) -> Result<u64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
    let number = text.strip_suffix(|last: char| last.is_ascii_alphabetic()).unwrap_or(text);
    let known = unit.is_some() || number == text;
    let wrong = || format!("{text:?} is no time such as 12h or 7d");
    let number: u64 = number.parse().ok().filter(|_| known).ok_or_else(wrong)?;
    number.checked_mul(unit.map_or(1, |(_, seconds)| *seconds)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        assert_eq!(
            ["0", "90", "30m", "12h", "7d", "2w"].map(|text| seconds(text).unwrap()),
            [0, 90, 1800, 43_200, 604_800, 1_209_600]
        );
        for text in ["", "d", "7y", "-1d", "99999999999999999999", "99999999999999w"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
