//! The operator's hooks: bounded in time and output, and ended with all that they started.

use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

/// How much of a hook's output is kept: its end.
const TAIL_BYTES: usize = 4096;

/// Runs a hook to its end, with nothing on standard input; the end of what it printed.
///
/// # Errors
/// `E-TOOL` where it cannot be started, takes longer than `patience`, or ends otherwise than with status 0. What it has
/// started is ended with it.
pub async fn run(
    program: &Path,
    arguments: &[&str],
    environment: &[(&'static str, String)],
    patience: Duration,
) -> Result<String> {
    let line = std::iter::once(program.to_string_lossy().as_ref())
        .chain(arguments.iter().copied())
        .collect::<Vec<_>>()
        .join(" ");
    let failed = |cause: String| Failure::new(Code::Tool, format!("running {line}: {cause}"));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    #[allow(clippy::disallowed_methods, reason = "this is that one place")]
    let mut child = command
        .spawn()
        .map_err(|error| failed(error.to_string()).with_remedy("the configured hook must be an executable file"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(patience, async {
        let (out, err) = tokio::join!(tail(out), tail(err));
        (out, err, child.wait().await)
    });
    let Ok((out, err, status)) = ended.await else {
        end_group(&child);
        let cause = format!("it was still running after {} s", patience.as_secs());
        return Err(
            failed(cause).with_remedy("mend the hook, or allow it more time in config.toml; then run the verb again")
        );
    };
    let status = status.or_fail(Code::Tool, || format!("running {line}"))?;
    if status.success() {
        return Ok(out);
    }
    let said = if err.is_empty() { out } else { err };
    Err(failed(format!("{status}: {said}")).with_remedy("mend what the hook says, then run the verb again"))
}

/// Reads to the end and keeps the last of it, trimmed.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        kept.drain(..kept.len().saturating_sub(TAIL_BYTES));
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

fn end_group(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id {
        // Gone already is as good.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, patience: Duration) -> Result<String> {
        run(Path::new("/bin/sh"), &["-c", script], &[("CENTRA_NODE", "n1".to_owned())], patience).await
    }

    #[tokio::test]
    async fn a_hook_gets_its_facts_and_only_the_end_of_much_output_is_kept() {
        assert_eq!(sh("echo on $CENTRA_NODE", Duration::from_secs(20)).await.unwrap(), "on n1");
        let much = sh("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end", Duration::from_secs(20)).await.unwrap();
        assert!(much.len() <= TAIL_BYTES && much.ends_with("end"));
    }

    #[tokio::test]
    async fn a_hook_that_fails_or_hangs_is_named_with_its_last_words() {
        let failure = sh("echo no route >&2; exit 3", Duration::from_secs(20)).await.unwrap_err();
        assert!(failure.code == Code::Tool && failure.cause.contains("exit status: 3: no route"), "{failure}");
        let failure = sh("sleep 60 & sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(failure.cause.contains("still running"), "{failure}");
        assert!(run(Path::new("/no/such/hook"), &[], &[], Duration::from_secs(1)).await.is_err());
    }
}
