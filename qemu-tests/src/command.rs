//! The one place for child processes: what fails says which command it was and how its output ended.

use anyhow::{Context, Result, bail};
use std::{ffi::OsStr, process::Command};

/// Most of a child's output that an error repeats.
const TAIL: usize = 2000;

/// A command from its words.
pub fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Runs to the end and returns standard output.
///
/// # Errors
/// The program could not be started, or its status is not 0.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let done = command.output().with_context(|| format!("starting {shown}"))?;
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr);
        bail!("{shown}: {}\n{}{}", done.status, tail(&stdout), tail(&stderr));
    }
    Ok(stdout)
}

/// Runs to the end; see [`output`].
///
/// # Errors
/// As [`output`].
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Shorthand for [`run`] of a program and its words.
///
/// # Errors
/// As [`output`].
pub fn sh(words: &[&str]) -> Result<()> {
    let (program, args) = words.split_first().context("an empty command")?;
    run(&mut command(program, args))
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_the_end_of_what_it_said() {
        let error = output(&mut command("sh", ["-c", "echo so >&2; exit 3"])).expect_err("status 3").to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 3") && error.ends_with("so\n"), "{error}");
    }
}
