//! Processes that run beside a test and end with it, however it ends.

use anyhow::{Context, Result, bail};
use std::{
    fs::OpenOptions,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A process that is killed when this is dropped, and by the kernel when the thread that started it is gone.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a command with its output appended to a log.
    ///
    /// # Errors
    /// The log cannot be opened or the program not be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let err = out.try_clone().context("duplicating the log")?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // SAFETY: prctl is a plain system call, fit for the time between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        #[allow(clippy::disallowed_methods, reason = "what runs beside the tests ends with this value")]
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Process { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// An error with the end of its log, if it has ended.
    ///
    /// # Errors
    /// It has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().with_context(|| format!("waiting for {}", self.name))? {
            bail!("{} has ended ({status}):\n{}", self.name, crate::wait::last_lines(&self.log, 30));
        }
        Ok(())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
