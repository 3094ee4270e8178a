//! Real Nix, in a mount namespace where /nix is a folder of our cache: this host's own /nix is never touched.

use crate::command::{command, output, run};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Becomes `sh -c`: binds the folder over /nix and runs the rest.
const IN_STORE: &str = r#"mkdir -p /nix && mount --bind "$1" /nix && shift && exec "$@""#;

/// Nix configuration: no daemon, no build users, no network.
const CONFIG: &str = "sandbox = false\nbuild-users-group =\nsubstitute = false\nexperimental-features = nix-command\n\
                      max-jobs = 2\nwarn-dirty = false\n";

/// A Nix store of our own.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
}

/// A key pair for signing store paths.
#[derive(Debug, Clone)]
pub struct Key {
    /// `name:base64`.
    pub public: String,
    /// File of the secret half.
    pub secret_file: PathBuf,
}

impl Store {
    /// Opens the store under `cache`, or makes it.
    pub fn open(cache: &Path) -> Result<Self> {
        let dir = cache.join("nix");
        let config = cache.join("nix-config");
        for folder in [&dir, &config, &cache.join("home")] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        fs::write(config.join("nix.conf"), CONFIG).context("writing nix.conf")?;
        Ok(Store { dir: cache.to_owned() })
    }

    fn nix(&self, program: &str) -> Command {
        let mut nix = command("unshare", ["-m", "sh", "-c", IN_STORE, "in-store"]);
        nix.arg(self.dir.join("nix")).arg(program);
        nix.env("NIX_CONF_DIR", self.dir.join("nix-config")).env("HOME", self.dir.join("home"));
        nix.env_remove("NIX_REMOTE").env_remove("NIX_PATH").env_remove("XDG_CACHE_HOME");
        nix
    }

    /// Builds an expression that takes `inputs` and `agent`; its result stays alive for the next run.
    ///
    /// `options` are more arguments, as Nix expressions.
    pub fn build(
        &self,
        expression: &Path,
        inputs: &Path,
        agent: &Path,
        options: &[(&str, String)],
        link: &str,
    ) -> Result<String> {
        let mut build = self.nix("nix-build");
        build.arg(expression).arg("--out-link").arg(self.dir.join(link));
        build.arg("--arg").arg("inputs").arg(inputs).arg("--arg").arg("agent").arg(agent);
        for (name, value) in options {
            build.args(["--arg", name, value]);
        }
        let built = output(&mut build).context("building the demo system")?;
        Ok(built.trim().to_owned())
    }

    /// The closure of a path.
    pub fn requisites(&self, path: &str) -> Result<Vec<String>> {
        let listed = output(self.nix("nix-store").args(["-qR", path]))?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// The key of this cache, made once.
    pub fn signing_key(&self) -> Result<Key> {
        let (secret_file, public_file) = (self.dir.join("cache.sec"), self.dir.join("cache.pub"));
        if !public_file.exists() {
            let mut make = self.nix("nix-store");
            make.arg("--generate-binary-cache-key").arg("centra-demo-1").arg(&secret_file).arg(&public_file);
            run(&mut make)?;
        }
        let public = fs::read_to_string(&public_file).with_context(|| format!("reading {}", public_file.display()))?;
        Ok(Key { public: public.trim().to_owned(), secret_file })
    }

    /// Signs the closure of a path and copies it to a static binary cache.
    pub fn push(&self, path: &str, binary_cache: &Path, key: &Key) -> Result<()> {
        let to = format!(
            "file://{}?compression=zstd&parallel-compression=true&secret-key={}",
            binary_cache.display(),
            key.secret_file.display()
        );
        run(self.nix("nix").args(["copy", "--to", &to, path])).context("pushing the demo system to its cache")
    }
}
