//! Programs that go into an image are run to see that they can be.

use host::command::{prepare, run_command};
use protocol::{Code, Failure, failure::Result};
use std::path::Path;

/// What the agent calls its release; that it runs at all shows that it is one for this kind of machine.
///
/// # Errors
/// `E-IMAGE` where it cannot be run or says nothing that looks like `NAME VERSION`.
pub fn version_of(program: &Path) -> Result<String> {
    let mut command = prepare(&program.to_string_lossy(), &["--version"]);
    command.env_clear();
    let output = run_command(command, None).map_err(|failure| Failure::new(Code::Image, failure.cause))?;
    let version = output.stdout.lines().next().and_then(|line| line.split_whitespace().last()).map(str::to_owned);
    version.ok_or_else(|| {
        Failure::new(Code::Image, format!("running {} --version: it printed nothing", program.display()))
    })
}
