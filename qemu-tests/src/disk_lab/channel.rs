//! Scripts for the inside of a laboratory, over a virtio port; `disk-lab/init` is the other end.

use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

/// Most that one output may have, bytes; the other end cuts what is longer.
const LARGEST: usize = 4 << 20;
/// Above a script's own limit: the way there and back on a busy host.
const GRACE: Duration = Duration::from_secs(60);

/// What a script has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + signal where one has ended it, 137 where its time was up.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a script that has succeeded.
    ///
    /// # Errors
    /// Its status is not 0; the error has all that it said.
    pub fn success(self) -> Result<String> {
        ensure!(self.status == 0, "status {}\n{}{}", self.status, self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

/// The host's end.
#[derive(Debug)]
pub(super) struct Channel {
    reader: BufReader<UnixStream>,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Channel { reader: BufReader::new(stream) }
    }

    /// Sends a script and does not wait for it.
    pub(super) fn send(&mut self, script: &str, input: &[u8], limit: Duration) -> Result<()> {
        let stream = self.reader.get_mut();
        let request = format!("{} {} {}", limit.as_secs().max(1), script.len(), input.len());
        write!(stream, "{request:<63}\n{script}")?;
        stream.write_all(input).context("sending a script")
    }

    /// Waits for the end of the script that was sent.
    pub(super) fn receive(&mut self, limit: Duration) -> Result<Output> {
        self.reader.get_ref().set_read_timeout(Some(limit + GRACE)).context("setting a timeout")?;
        let mut line = String::new();
        self.reader.read_line(&mut line).context("waiting for the script's end")?;
        let (status, stdout, stderr) = head(&line)?;
        Ok(Output { status, stdout: self.text(stdout)?, stderr: self.text(stderr)? })
    }

    fn text(&mut self, size: usize) -> Result<String> {
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes).context("reading the script's output")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `STATUS SIZE SIZE`.
fn head(line: &str) -> Result<(i32, usize, usize)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [status, stdout, stderr] = words[..] else { bail!("the laboratory answers {line:?}") };
    let size = |word: &str| -> Result<usize> {
        let size = word.parse().with_context(|| format!("the laboratory answers {line:?}"))?;
        ensure!(size <= LARGEST, "the laboratory answers {line:?}: more than {LARGEST} bytes");
        Ok(size)
    };
    Ok((status.parse().with_context(|| format!("the laboratory answers {line:?}"))?, size(stdout)?, size(stderr)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_bounded() {
        assert_eq!(head("3 10 0\n").expect("an answer"), (3, 10, 0));
        for wrong in ["", "0 1", "0 1 2 3", "x 1 2", "0 -1 2", "0 99999999 0"] {
            assert!(head(wrong).is_err(), "{wrong}");
        }
    }
}
