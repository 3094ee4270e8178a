//! A store with a few paths, and Nix kept inside of a folder.

use crate::lab::Lab;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

pub struct World {
    folder: tempfile::TempDir,
    /// The public key that pushes are signed for.
    pub key: String,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf")).unwrap();
        let settings = "build-users-group =\nexperimental-features = nix-command\nsubstituters =\nsandbox = false\n";
        fs::write(folder.path().join("conf/nix.conf"), settings).unwrap();
        let mut world = Self { folder, key: String::new() };
        world.nix("nix-store --generate-binary-cache-key test-1 key.sec key.pub");
        world.key = fs::read_to_string(world.path("key.pub")).unwrap().trim().to_owned();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line, whatever it ends with.
    pub fn run(&self, line: &str) -> Output {
        Command::new("bash")
            .args(["-euc", line])
            .current_dir(self.folder.path())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_SSL_CERT_FILE", self.path("ca.crt"))
            .env_remove("NIX_PATH")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command line that must end well; what it prints.
    pub fn nix(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A store path of so many bytes that hardly compress.
    pub fn leaf(&self, name: &str, bytes: usize) -> String {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut state = seed;
        let mut content = Vec::with_capacity(bytes + 8);
        while content.len() < bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            content.extend((state >> 16).to_le_bytes());
        }
        content.truncate(bytes);
        fs::write(self.path(name), content).unwrap();
        self.nix(&format!("nix-store --store $PWD/source --add {name}"))
    }

    /// A store path that refers to these.
    pub fn refer(&self, name: &str, references: &[&str]) -> String {
        let words: Vec<String> = references.iter().map(|path| format!("${{builtins.storePath {path}}}")).collect();
        let expression = format!("builtins.toFile \"{name}\" \"{}\"", words.join(" "));
        fs::write(self.path("expression.nix"), expression).unwrap();
        let eval = "nix-instantiate --store $PWD/source --eval --read-write-mode expression.nix";
        self.nix(eval).trim_matches('"').to_owned()
    }

    /// A toplevel with two paths below it, of which one refers to the other.
    pub fn closure(&self) -> [String; 3] {
        let leaf = self.leaf("leaf", 300_000);
        let middle = self.refer("middle", &[&leaf]);
        let top = self.refer("top", &[&middle, &leaf]);
        [leaf, middle, top]
    }

    /// Lets Nix know the server's CA and, where it shall, an admin's token.
    pub fn trust(&self, lab: &Lab, token: Option<&str>) {
        fs::write(self.path("ca.crt"), lab.ca_pem()).unwrap();
        let netrc = token.map(|token| format!("machine 127.0.0.1 login admin password {token}\n"));
        fs::write(self.path("netrc"), netrc.unwrap_or_default()).unwrap();
    }

    /// `nix copy --to` the server's cache, with a cold memory of what it has.
    pub fn push(&self, lab: &Lab, query: &str, path: &str) -> Output {
        let url = format!("https://127.0.0.1:{}/cache?secret-key=$PWD/key.sec&{query}", lab.port("https"));
        let netrc = "--netrc-file $PWD/netrc --option download-attempts 1";
        self.run(&format!("rm -rf home; nix copy {netrc} --store $PWD/source --to \"{url}\" {path}"))
    }

    /// As [`World::push`] with the admin's token; it must succeed.
    pub fn pushed(&self, lab: &Lab, query: &str, path: &str) {
        self.trust(lab, Some(&lab.token()));
        let output = self.push(lab, query, path);
        assert!(output.status.success(), "{query}: {}\n{}", String::from_utf8_lossy(&output.stderr), lab.log());
    }

    /// Nix fetches the path over plain HTTP, signatures required, into a fresh store that it then finds whole.
    pub fn fetch(&self, lab: &Lab, path: &str) {
        let from = format!("http://127.0.0.1:{}/cache", lab.port("http"));
        let keys = format!("--option trusted-public-keys '{}'", self.key);
        self.nix(&format!(
            "chmod -R u+w target 2>/dev/null || true; rm -rf home target; \
             nix copy {keys} --from {from} --to $PWD/target {path}; \
             nix-store --store $PWD/target --verify --check-contents; \
             nix-store --store $PWD/target -qR {path}"
        ));
    }
}

/// The hash part of a store path.
pub fn hash(path: &str) -> &str {
    &path["/nix/store/".len()..][..32]
}
