//! A folder with a cache that real Nix made, the agent's binary, and eyes for what it installed.

use qemu_tests::drawn_closure::{self, Contents, Draw, Made, Node, file};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Everything of one test; removed at its end.
pub struct World {
    folder: tempfile::TempDir,
    /// The public key of the cache, as Nix writes it.
    pub key: String,
    /// The toplevel's store path.
    pub toplevel: String,
}

impl World {
    /// Makes a cache of `closure`, whose last path is the toplevel.
    pub fn new(closure: &[Made], compression: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf")).unwrap();
        let settings = "build-users-group =\nexperimental-features = nix-command\nsubstituters =\nsandbox = false\n";
        fs::write(folder.path().join("conf/nix.conf"), settings).unwrap();
        let toplevel = format!("/nix/store/{}", closure.last().unwrap().base);
        let mut world = Self { folder, key: String::new(), toplevel };
        world.nix("nix-store --generate-binary-cache-key test-1 key.sec key.pub");
        world.key = fs::read_to_string(world.path("key.pub")).unwrap().trim().to_owned();
        let mut export = fs::File::create(world.path("export")).unwrap();
        drawn_closure::export(closure, &mut export).unwrap();
        world.nix("nix-store --store $PWD/source --import < export");
        let to = format!("file://$PWD/cache?compression={compression}&secret-key=$PWD/key.sec");
        world.nix(&format!("nix copy --store $PWD/source --to \"{to}\" {}", world.toplevel));
        world
    }

    /// A folder of the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary cache.
    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Runs a command line with Nix kept inside of this folder.
    pub fn nix(&self, line: &str) -> Output {
        let output = Command::new("bash")
            .args(["-euc", line])
            .current_dir(self.folder.path())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env_remove("NIX_PATH")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The store that `nix copy` makes of the cache.
    pub fn reference(&self) -> PathBuf {
        let from = format!("file://{}", self.cache().display());
        self.nix(&format!(
            "nix copy --from {from} --to $PWD/reference {} --trusted-public-keys {}",
            self.toplevel, self.key
        ));
        self.path("reference")
    }

    /// `closure install` of the toplevel into the folder `root`, with few and short retries.
    pub fn agent(&self, urls: &[&str], key: &str) -> Command {
        self.agent_into("root", urls, key)
    }

    /// The same into another folder of the world.
    pub fn agent_into(&self, root: &str, urls: &[&str], key: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
        command.args(["closure", "install", "--json", "--attempts", "3", "--timeout", "3", "--trusted-key", key]);
        for url in urls {
            command.args(["--from", url]);
        }
        command.arg("--root").arg(self.path(root)).arg(&self.toplevel);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Installs and returns what it printed last: the summary.
    pub fn install(&self, urls: &[&str]) -> serde_json::Value {
        let output = self.agent(urls, &self.key).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        last_json(&output)["summary"].clone()
    }

    /// Installs, which must fail with this code. Nothing half done may be left, and nothing unregistered.
    pub fn refused(&self, urls: &[&str], key: &str, code: &str) -> String {
        let output = self.agent(urls, key).output().unwrap();
        assert!(!output.status.success());
        let failure = last_json(&output)["failure"].clone();
        assert_eq!(failure["code"], code, "{failure}");
        let registered = registered(&self.path("root"));
        for entry in fs::read_dir(self.path("root/nix/store")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with('.'), "{name} is left");
        }
        assert!(!registered.contains(&self.toplevel));
        failure["cause"].as_str().unwrap().to_owned()
    }

    /// Lets Nix judge the installed store.
    pub fn verify(&self) {
        self.nix(
            "nix-store --store $PWD/root --verify --check-contents 2>&1 | tee verify.log; ! grep -q error verify.log",
        );
        self.nix(&format!("nix store verify --store $PWD/root --all --trusted-public-keys {}", self.key));
        let query = self.nix(&format!("nix-store --store $PWD/root -qR {}", self.toplevel));
        let paths = String::from_utf8(query.stdout).unwrap().lines().count();
        assert_eq!(paths, registered(&self.path("root")).len());
    }
}

/// Runs it to its end; whether it succeeded, and the largest resident size it had, in KiB. (What `wait4` says of a
/// child begins with the size of the process that started it.)
pub fn peak_rss(command: &mut Command) -> (bool, u64) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = now.unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            return (ended.success(), peak);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn last_json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("no output: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(line).unwrap()
}

/// Type, mode, time, size and target of every object of a store.
pub fn listing(root: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut folders = vec![root.join("nix/store")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            if inside == "nix/store/.links" {
                continue;
            }
            let metadata = path.symlink_metadata().unwrap();
            let target = fs::read_link(&path).map(|target| target.as_os_str().as_bytes().escape_ascii().to_string());
            let size = if metadata.is_file() { metadata.len() } else { 0 };
            let (mode, time) = (metadata.mode(), (metadata.mtime(), metadata.mtime_nsec()));
            lines.insert(format!("{inside} {mode:o} {time:?} {size} {target:?}", target = target.ok()));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    lines
}

/// The rows of ValidPaths and Refs, without ids and times.
pub fn rows(root: &Path) -> BTreeSet<String> {
    let database = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).unwrap();
    let mut lines = BTreeSet::new();
    for sql in [
        "select path || ' ' || hash || ' ' || ifnull(deriver, '-') || ' ' || narSize || ' ' || ifnull(ultimate, '-')
            || ' ' || ifnull(sigs, '-') || ' ' || ifnull(ca, '-') from ValidPaths",
        "select a.path || ' -> ' || b.path from Refs, ValidPaths a, ValidPaths b
            where a.id = referrer and b.id = reference",
    ] {
        let mut statement = database.prepare(sql).unwrap();
        lines.extend(statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    }
    lines
}

/// The registered paths; none where there is no database yet.
pub fn registered(root: &Path) -> BTreeSet<String> {
    let Ok(database) = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")) else {
        return BTreeSet::new();
    };
    let Ok(mut statement) = database.prepare("select path from ValidPaths") else { return BTreeSet::new() };
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A closure with everything that a store path may be.
pub fn edge_cases() -> Vec<Made> {
    let mut draw = Draw(42);
    let mut path = |name: &str, references: &[&Made], itself: bool, root: Node| {
        let base = draw.base(name);
        let mut references: Vec<String> = references.iter().map(|made| made.base.clone()).collect();
        references.extend(itself.then(|| base.clone()));
        Made { base, references, root }
    };
    let plain = path("plain-file", &[], false, file(b"just a file\n"));
    let program = Node::File { executable: true, contents: Contents::Drawn { size: 70_001, seed: 3 } };
    let program = path("program", &[], true, program);
    let link = path("link", &[&plain], false, Node::Symlink(format!("/nix/store/{}", plain.base).into_bytes()));
    let empty = path("empty-folder", &[], false, Node::Directory(vec![]));
    let mut deep = file(b"bottom");
    for _ in 0..100 {
        deep = Node::Directory(vec![(b"d".to_vec(), deep)]);
    }
    let many = (0..500).map(|number| (format!("{number}").into_bytes(), file(b"x"))).collect();
    let odd = Node::Directory(vec![
        (b"Case".to_vec(), file(b"A")),
        (b"case".to_vec(), file(b"a")),
        (b"\xff\xfe not text".to_vec(), file(b"")),
        (vec![b'n'; 255], file(b"long name")),
        (b"large".to_vec(), Node::File { executable: false, contents: Contents::Drawn { size: 9 << 20, seed: 5 } }),
        (b"nowhere".to_vec(), Node::Symlink(b"../../does/not/exist".to_vec())),
        (b"long".to_vec(), Node::Symlink(vec![b'l'; 4000])),
        (b"many".to_vec(), Node::Directory(many)),
        (b"empty".to_vec(), Node::Directory(vec![])),
        (b"deep".to_vec(), deep),
    ]);
    let odd = path("odd-names", &[&program, &link], true, odd);
    let top = Node::Directory(vec![(b"init".to_vec(), Node::Symlink(b"/bin/x".to_vec()))]);
    let top = path("nixos-system", &[&odd, &empty, &link], false, top);
    vec![plain, program, link, empty, odd, top]
}

/// A key that the test itself can sign with, for narinfos that Nix would not make.
pub struct Forge {
    pair: Ed25519KeyPair,
}

impl Forge {
    pub fn new() -> Self {
        Self { pair: Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap() }
    }

    pub fn key(&self) -> String {
        format!("forge-1:{}", data_encoding::BASE64.encode(self.pair.public_key().as_ref()))
    }

    /// A signed narinfo without references for an uncompressed NAR `nar/x.nar`.
    pub fn narinfo(&self, path: &str, nar: &[u8], nar_size: u64) -> String {
        self.narinfo_with(path, "x.nar", nar, nar_size, &[])
    }

    /// The same for a NAR of this name, and with references (base names, in ascending order).
    pub fn narinfo_with(&self, path: &str, name: &str, nar: &[u8], nar_size: u64, references: &[String]) -> String {
        let hash = protocol::encoding::nix_base32_encode(&protocol::encoding::Sha256::of(nar).0);
        let full: Vec<String> = references.iter().map(|base| format!("/nix/store/{base}")).collect();
        let fingerprint = format!("1;{path};sha256:{hash};{nar_size};{}", full.join(","));
        let signature = data_encoding::BASE64.encode(self.pair.sign(fingerprint.as_bytes()).as_ref());
        format!(
            "StorePath: {path}\nURL: nar/{name}\nCompression: none\nNarHash: sha256:{hash}\nNarSize: {nar_size}\n\
             References: {}\nSig: forge-1:{signature}\n",
            references.join(" ")
        )
    }
}
