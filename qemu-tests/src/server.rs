//! The boot-server of a test, run and spoken to as an operator would.

use crate::{
    child::Process,
    command::{output, run},
    netboot,
    network::{BRIDGE, HOST, Network},
    paths, wait,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How machines are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// By an admin.
    Approval,
    /// By a one-time token alone.
    Token,
    /// Everybody whose claims match.
    OpenLab,
}

/// A boot-server with its folder.
#[derive(Debug)]
pub struct Server {
    /// What `init` made.
    pub dir: PathBuf,
    process: Option<Process>,
}

impl Server {
    /// Makes the folder with keys and an example configuration.
    ///
    /// # Errors
    /// `init` fails.
    pub fn init(dir: &Path) -> Result<()> {
        let init = ["init", &dir.to_string_lossy(), "--address", HOST, "--interface", BRIDGE];
        run(&mut crate::command::command(paths::binary("boot-server")?, init)).context("setting up the boot-server")
    }

    /// A server in a folder that [`Server::init`] made, with a configuration for a test; not started.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn configure(dir: &Path, admission: Admission, binary_cache: &Path) -> Result<Self> {
        let admission = match admission {
            Admission::Approval => "approval",
            Admission::Token => "token",
            Admission::OpenLab => "open-lab",
        };
        let config = format!(
            r#"address = "{HOST}"

[dhcp]
mode = "full"
interface = "{BRIDGE}"
subnet = "10.77.0.0/24"
range_start = "10.77.0.20"
range_end = "10.77.0.99"
lease_seconds = 3600
router_advertisements = true

[enrol]
admission = "{admission}"

[cache]
dir = "{}"
"#,
            binary_cache.display()
        );
        fs::write(dir.join("config.toml"), config).context("writing the boot-server's configuration")?;
        Ok(Server { dir: dir.to_owned(), process: None })
    }

    /// Starts it and waits until it is healthy.
    ///
    /// # Errors
    /// It ends, or does not become healthy.
    pub fn start(&mut self, network: &Network) -> Result<()> {
        let mut serve = network.command(paths::binary("boot-server")?, ["serve", "--config"]);
        serve.arg(self.dir.join("config.toml"));
        let process = self.process.insert(Process::start("boot-server", &mut serve, &self.dir.join("server.log"))?);
        wait::until("the boot-server's /health", Duration::from_secs(20), || {
            process.must_run()?;
            Ok(network.inside(|| netboot::get("/health")).ok().map(drop))
        })
    }

    /// Starts it again with more in its configuration.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn configure_more(&mut self, network: &Network, sections: &str) -> Result<()> {
        let path = self.dir.join("config.toml");
        let config = fs::read_to_string(&path).context("reading the boot-server's configuration")?;
        fs::write(&path, format!("{config}\n{sections}")).context("writing the boot-server's configuration")?;
        self.kill();
        self.start(network)
    }

    /// The number of its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Has it read anew what lies in its folder.
    ///
    /// # Errors
    /// It does not run.
    pub fn reload(&self) -> Result<()> {
        let process = self.process().context("the boot-server does not run")?;
        run(&mut crate::command::command("kill", ["-HUP", &process.to_string()]))
    }

    /// The end of its log, for an error.
    pub fn log_end(&self) -> String {
        wait::last_lines(&self.dir.join("server.log"), 30)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// An admin verb.
    pub fn admin(&self, network: &Network, words: &[&str]) -> Result<Command> {
        let mut admin = network.command(paths::binary("boot-server")?, words);
        admin.arg("--dir").arg(&self.dir);
        Ok(admin)
    }

    /// What an admin verb prints.
    ///
    /// # Errors
    /// It fails.
    pub fn ask(&self, network: &Network, words: &[&str]) -> Result<String> {
        output(&mut self.admin(network, words)?)
    }

    /// Applies a NodeSpec.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn apply(&self, network: &Network, spec: &Value) -> Result<()> {
        let file = self.dir.join("apply.json");
        fs::write(&file, spec.to_string()).with_context(|| format!("writing {}", file.display()))?;
        self.ask(network, &["apply", "-f", &file.to_string_lossy()]).map(drop)
    }

    /// Waits until a node is in a state.
    ///
    /// # Errors
    /// It is not in time; the error says where it stands.
    pub fn wait_state(&self, network: &Network, node: &str, state: &str, patience: Duration) -> Result<()> {
        let seconds = patience.as_secs().to_string();
        self.ask(network, &["wait", node, "--for", state, "--timeout", &seconds]).map(drop).map_err(|error| {
            let shown = self.ask(network, &["describe", "node", node]).unwrap_or_else(|error| format!("{error:#}"));
            error.context(format!("{node} is not {state}; it is\n{shown}\n"))
        })
    }

    /// All nodes, as JSON.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn nodes(&self, network: &Network) -> Result<Vec<Value>> {
        let text = self.ask(network, &["get", "nodes", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the nodes in {text}"))
    }

    /// One node in full, as JSON.
    ///
    /// # Errors
    /// The server does not answer, or knows no such node.
    pub fn describe(&self, network: &Network, node: &str) -> Result<Value> {
        let text = self.ask(network, &["describe", "node", node, "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the node in {text}"))
    }
}
