//! `measure COMMAND...`: runs it and prints wall seconds, CPU seconds and peak resident KiB, as a line on
//! standard output; the command's own output goes to standard error. For `make bench`.

use nix::sys::resource::{UsageWho, getrusage};
use std::{
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (program, arguments) = words.split_first().ok_or("usage: measure COMMAND...")?;
    let begin = Instant::now();
    #[allow(clippy::disallowed_methods, reason = "to measure exactly this child")]
    let status = Command::new(program).args(arguments).stdout(Stdio::from(std::io::stderr())).status()?;
    let wall = begin.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    println!("{wall:.2} {cpu:.2} {}", usage.max_rss());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
