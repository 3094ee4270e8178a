//! The one place for child processes: the command line, the status and the end of stderr go into the error.

pub mod hook;

use protocol::{Code, Failure, failure::Result};
use std::{
    collections::VecDeque,
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How much is kept of the output of a command that is run within a limit.
const MOST_KEPT: usize = 256 << 10;
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// How much of a tool's output goes into an error.
const TAIL_BYTES: usize = 2000;

/// What a tool that succeeded printed.
#[derive(Debug)]
pub struct Output {
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
}

/// Runs a tool to its end, with nothing on standard input.
///
/// # Errors
/// `E-TOOL` where it cannot be started, or ends otherwise than with status 0.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<Output> {
    run_command(prepare(program, arguments), None)
}

/// The same of a tool that prints what need be no text.
///
/// # Errors
/// As [`run`].
pub fn bytes<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<Vec<u8>> {
    run_to_its_end(prepare(program, arguments), None).map(|(stdout, _)| stdout)
}

/// Whether one of the folders of `path`, as `$PATH` has them, has this program.
pub fn is_on_path(program: &str, path: &OsStr) -> bool {
    let runs =
        |file: PathBuf| file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    std::env::split_paths(path).any(|folder| runs(folder.join(program)))
}

/// A command to be given an environment before [`run_command`].
pub fn prepare<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs a prepared command to its end, with `input` on standard input.
///
/// # Errors
/// As [`run`].
pub fn run_command(command: Command, input: Option<&[u8]>) -> Result<Output> {
    let (stdout, stderr) = run_to_its_end(command, input)?;
    Ok(Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr })
}

fn run_to_its_end(mut command: Command, input: Option<&[u8]>) -> Result<(Vec<u8>, String)> {
    let line = command_line(&command);
    let failed = |cause: String| Failure::new(Code::Tool, format!("running {line}: {cause}"));
    tracing::debug!("running {line}");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let (Some(mut pipe), Some(bytes)) = (stdin, input) {
            // A tool that does not read its input breaks the pipe; its status tells the story.
            scope.spawn(move || drop(pipe.write_all(bytes)));
        }
        child.wait_with_output()
    })
    .map_err(|error| failed(error.to_string()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let said = if stderr.trim().is_empty() { &stdout } else { &*stderr };
        return Err(failed(format!("{}: {}", output.status, tail(said))));
    }
    Ok((output.stdout, stderr))
}

/// Runs a prepared command to its end, but no longer than this, with nothing on standard input; of what it prints the end is
/// kept.
///
/// # Errors
/// As [`run`], and where it had to be ended. Whatever it started must have its own way to end: this waits for the end of its
/// output.
pub fn run_within(mut command: Command, limit: Duration) -> Result<Output> {
    let line = command_line(&command);
    let failed = |cause: String| Failure::new(Code::Tool, format!("running {line}: {cause}"));
    tracing::debug!("running {line}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (ended, stdout, stderr) = std::thread::scope(|scope| {
        let (out, err) = (scope.spawn(|| end_of(out)), scope.spawn(|| end_of(err)));
        let ended = wait_within(&mut child, limit);
        (ended, out.join().unwrap_or_default(), err.join().unwrap_or_default())
    });
    let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
    match ended.map_err(|error| failed(error.to_string()))? {
        None => Err(failed(format!("it was still running after {:.0} s: {}", limit.as_secs_f64(), tail(said)))),
        Some(status) if !status.success() => Err(failed(format!("{status}: {}", tail(said)))),
        Some(_) => Ok(Output { stdout, stderr }),
    }
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    let failure = Failure::new(Code::Tool, format!("running {}: {error}", command_line(command)));
    match error.kind() {
        io::ErrorKind::NotFound => {
            let program = command.get_program().to_string_lossy();
            failure.with_remedy(format!("install {program}, or have it on the PATH"))
        }
        _ => failure.with_remedy("read the cause: the program could not be started"),
    }
}

/// The status, or nothing where it had to be killed.
fn wait_within(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(POLL);
    }
}

/// Reads to the end and keeps the last of it.
fn end_of(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let (mut kept, mut chunk) = (VecDeque::new(), [0; 4096]);
    while let Ok(count @ 1..) = pipe.read(&mut chunk) {
        kept.extend(&chunk[..count]);
        kept.drain(..kept.len().saturating_sub(MOST_KEPT));
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn tail(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_tool_names_its_command_line_status_and_last_words() {
        let failure = run("sh", &["-c", "echo it hurts >&2; exit 3"]).unwrap_err();
        assert_eq!(failure.code, Code::Tool);
        for part in ["sh -c", "exit status: 3", "it hurts"] {
            assert!(failure.cause.contains(part), "{failure}");
        }
    }

    #[test]
    fn a_tool_with_a_limit_is_ended_at_it_and_of_its_output_the_end_is_kept() {
        let sh = |script: &str, limit| run_within(prepare("sh", &["-c", script]), limit);
        let much = sh("head -c 1000000 /dev/zero; echo end", Duration::from_secs(60)).unwrap();
        assert!(much.stdout.len() == MOST_KEPT && much.stdout.ends_with("end\n"));
        let failure = sh("echo half >&2; exec sleep 600", Duration::from_millis(200)).unwrap_err();
        assert!(failure.cause.contains("still running after 0 s: half"), "{failure}");
        assert!(sh("exit 3", Duration::from_secs(60)).unwrap_err().cause.contains("exit status: 3"));
    }

    #[test]
    fn a_missing_tool_is_a_failure_and_not_a_panic() {
        let missing = run::<&str>("/does/not/exist", &[]).unwrap_err();
        assert_eq!((missing.code, &*missing.remedy), (Code::Tool, "install /does/not/exist, or have it on the PATH"));
    }

    #[test]
    fn the_tail_of_multibyte_output_is_cut_at_a_character() {
        let text = "ä".repeat(TAIL_BYTES);
        assert!(tail(&text).len() <= TAIL_BYTES);
    }
}
