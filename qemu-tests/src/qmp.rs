//! QEMU's control socket, as much of it as is needed.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// A connection that is past its greeting.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and negotiates.
    ///
    /// # Errors
    /// There is no QEMU, or it does not answer.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| format!("connecting to {}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).context("setting a timeout")?;
        let mut qmp = Qmp { reader: BufReader::new(stream) };
        qmp.read().context("reading QEMU's greeting")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns what it returned.
    ///
    /// # Errors
    /// QEMU refuses it or does not answer.
    pub fn execute(&mut self, name: &str, arguments: &Value) -> Result<Value> {
        let line = format!("{}\n", json!({ "execute": name, "arguments": arguments }));
        self.reader.get_mut().write_all(line.as_bytes()).with_context(|| format!("sending {name} to QEMU"))?;
        loop {
            let answer = self.read().with_context(|| format!("reading QEMU's answer to {name}"))?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refused {name}: {error}");
            }
            if let Some(result) = answer.get("return") {
                return Ok(result.clone());
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU has closed the connection");
        }
        Ok(serde_json::from_str(&line)?)
    }
}
