//! The one place for child processes: the command line, the status and the end of stderr go into the error.

pub mod hook;

use protocol::{Code, Failure, failure::Result};
use std::{
    ffi::OsStr,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

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
pub fn run_command(mut command: Command, input: Option<&[u8]>) -> Result<Output> {
    let line = command_line(&command);
    let failed = |cause: String| Failure::new(Code::Tool, format!("running {line}: {cause}"));
    tracing::debug!("running {line}");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let (Some(mut pipe), Some(bytes)) = (stdin, input) {
            // A tool that does not read its input breaks the pipe; its status tells the story.
            scope.spawn(move || drop(pipe.write_all(bytes)));
        }
        child.wait_with_output()
    })
    .map_err(|error| failed(error.to_string()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
        return Err(failed(format!("{}: {}", output.status, tail(said))));
    }
    Ok(Output { stdout, stderr })
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
    fn a_missing_tool_is_a_failure_and_not_a_panic() {
        assert_eq!(run::<&str>("/does/not/exist", &[]).unwrap_err().code, Code::Tool);
    }

    #[test]
    fn the_tail_of_multibyte_output_is_cut_at_a_character() {
        let text = "ä".repeat(TAIL_BYTES);
        assert!(tail(&text).len() <= TAIL_BYTES);
    }
}
