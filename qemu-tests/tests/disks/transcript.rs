//! Transcripts: what is seen in a laboratory after a layout was applied, beside the layout.
//!
//! Lines of `# text` are remarks, `> select NAME=SELECTOR`, `> key PATH=TEXT` and `> option WORDS` say how the agent is
//! called (`> plan only` where no kernel of Debian's can do more), and `$ command` is followed by what the command prints, exactly. `CENTRA_RECORD=1` writes what is seen over
//! what was expected, to be read before it is committed.

use anyhow::{Context, Result, ensure};
use qemu_tests::disk_lab::{DiskLab, Output};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Between the outputs of commands.
const MARK: &str = "=== the next command ===";

/// Shorthands for the commands: without what is different in each run.
const WORDS: &str = r#"
partitions() { # DISK: the partition table
  sfdisk --dump "$1" | sed -n -e 's/^label: /label /p' -e "s|^$1||" -e 's/ uuid=[^,]*,//;s/, uuid=[^,]*$//' \
    -e 's/^p\{0,1\}\([0-9]* *: \)/\1/p' | tr -s ' '
}
stack() { # DISK...: what stands on what; lsblk itself asks udev for the contents, which is not here
  lsblk -nrpo NAME,TYPE,SIZE "$@" | while read -r device rest; do
    echo "${device#/dev/} $rest $(blkid -p -o value -s TYPE "$device") $(blkid -p -o value -s LABEL "$device")" | tr -s ' ' | sed 's/ $//;s/^md12[0-9]/md/'
  done
}
mounts() { # what is mounted below /mnt, in the order of the paths
  findmnt -nrR -o TARGET,SOURCE,FSTYPE,OPTIONS | grep '^/mnt' | sed 's|/dev/md12[0-9]|/dev/md|;s/,inode64//' | sort
}
"#;

/// One layout with what must come of it.
pub struct Transcript {
    layout: PathBuf,
    file: PathBuf,
    options: Vec<String>,
    verbs: &'static [&'static str],
    keys: Vec<(String, String)>,
    commands: Vec<(String, String)>,
}

impl Transcript {
    /// The transcript `name` in `folder` of our own layouts, for a layout that may be elsewhere.
    pub fn read(layout: &Path, file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let mut transcript = Transcript {
            layout: layout.to_owned(),
            file: file.to_owned(),
            options: Vec::new(),
            verbs: &["plan", "apply", "mount"],
            keys: Vec::new(),
            commands: Vec::new(),
        };
        for line in text.lines() {
            let pair = |rest: &str| rest.split_once('=').map(|(key, text)| (key.to_owned(), text.to_owned()));
            if let Some(command) = line.strip_prefix("$ ") {
                transcript.commands.push((command.to_owned(), String::new()));
            } else if let Some(rest) = line.strip_prefix("> select ") {
                transcript.options.extend(["--select".to_owned(), format!("'{rest}'")]);
                let (name, _) = pair(rest).with_context(|| format!("{line:?} has no ="))?;
                transcript.options.extend(["--wipe".to_owned(), format!("'{name}=wipe'")]);
            } else if let Some(rest) = line.strip_prefix("> key ") {
                transcript.keys.push(pair(rest).with_context(|| format!("{line:?} has no ="))?);
            } else if line == "> plan only" {
                transcript.verbs = &["plan"];
            } else if let Some(rest) = line.strip_prefix("> option ") {
                transcript.options.push(rest.to_owned());
            } else if !line.starts_with('#') {
                let (_, expected) = transcript.commands.last_mut().with_context(|| format!("{line:?} comes first"))?;
                expected.push_str(line);
                expected.push('\n');
            }
        }
        Ok(transcript)
    }

    /// Gives layout and keys to the laboratory.
    pub fn put(&self, lab: &mut DiskLab) -> Result<()> {
        let layout = fs::read(&self.layout).with_context(|| format!("reading {}", self.layout.display()))?;
        lab.put("/tmp/layout.json", &layout)?;
        for (path, text) in &self.keys {
            lab.put(path, text.as_bytes())?;
        }
        Ok(())
    }

    /// The agent's command line for one of its verbs.
    pub fn agent(&self, verb: &str) -> String {
        format!("initrd-agent disk {verb} --layout /tmp/layout.json --node node-1 {}", self.options.join(" "))
    }

    /// Runs a verb of the agent.
    pub fn run(&self, lab: &mut DiskLab, verb: &str) -> Result<Output> {
        lab.run(&self.agent(verb))
    }

    /// Plans, applies, mounts and compares.
    pub fn check(&self, lab: &mut DiskLab) -> Result<()> {
        self.put(lab)?;
        for verb in self.verbs {
            let output = self.run(lab, verb)?;
            let kernel = if output.status == 0 { String::new() } else { lab.ok("dmesg | tail -n 8")? };
            output.success().with_context(|| format!("{verb}; the kernel said last:\n{kernel}"))?;
        }
        self.compare(lab)
    }

    /// Compares what the commands print now.
    pub fn compare(&self, lab: &mut DiskLab) -> Result<()> {
        let mut script = format!("{WORDS}plan() {{ {}; }}\n", self.agent("plan"));
        for (command, _) in &self.commands {
            script.push_str(&format!("{{ {command}\n}} 2>&1\necho '{MARK}'\n"));
        }
        let printed = lab.ok(&script)?;
        let seen: Vec<&str> = printed.split(&format!("{MARK}\n")).collect();
        if std::env::var_os("CENTRA_RECORD").is_some() {
            return self.record(&seen);
        }
        for ((command, expected), seen) in self.commands.iter().zip(seen) {
            ensure!(expected == seen, "{command}\nexpected:\n{expected}\nseen:\n{seen}");
        }
        Ok(())
    }

    fn record(&self, seen: &[&str]) -> Result<()> {
        let old = fs::read_to_string(&self.file)?;
        let head = old.lines().take_while(|line| !line.starts_with("$ "));
        let mut text: String = head.map(|line| format!("{line}\n")).collect();
        for ((command, _), seen) in self.commands.iter().zip(seen) {
            text.push_str(&format!("$ {command}\n{seen}"));
        }
        fs::write(&self.file, text).with_context(|| format!("writing {}", self.file.display()))
    }
}

/// Leaves what was applied without taking it apart: that is for the next layout.
pub fn leave(lab: &mut DiskLab) -> Result<()> {
    lab.ok("for swap in $(awk 'NR > 1 { print $1 }' /proc/swaps); do swapoff $swap; done
        for place in $(awk '$2 ~ \"^/mnt\" { print $2 }' /proc/mounts | sort -r); do umount $place; done")
        .map(drop)
}
