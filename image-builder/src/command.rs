//! The one place for child processes.

use protocol::{Code, Failure, failure::Result};
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// What the agent calls its release; that it runs at all shows that it is one for this kind of machine.
///
/// # Errors
/// `E-IMAGE` where it cannot be run or says nothing that looks like `NAME VERSION`.
pub fn version_of(program: &Path) -> Result<String> {
    let failed = |cause: String| Failure::new(Code::Image, format!("running {} --version: {cause}", program.display()));
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).env_clear();
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.lines().next().and_then(|line| line.split_whitespace().last()).map(str::to_owned);
    version.ok_or_else(|| failed("it printed nothing".to_owned()))
}
