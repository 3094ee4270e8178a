//! Real etcd processes, started by the agent through a script and ended by their process ids.

use crate::node::Node;
use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

/// Ends the node's etcd when the test ends, however it ends.
pub struct Etcd<'a> {
    node: &'a Node,
    pub start_command: String,
}

impl<'a> Etcd<'a> {
    pub fn of(node: &'a Node) -> Self {
        let script = node.path("start-etcd");
        let folder = node.folder.path().display();
        // The timeout bounds what a killed test leaves behind.
        let text = format!(
            "test -e {folder}/etcd.pid && kill -0 $(cat {folder}/etcd.pid) && exit 0\n\
             set -a; . {folder}/state/etcd.env; test -e {folder}/more.env && . {folder}/more.env; set +a\n\
             timeout 240 etcd --logger zap --log-level warn >>{folder}/etcd.log 2>&1 </dev/null &\n\
             echo $! >{folder}/etcd.pid\n"
        );
        fs::write(&script, text).unwrap();
        Self { node, start_command: format!("sh {}", script.display()) }
    }

    pub fn join(&self) -> crate::node::Run {
        self.node.join("etcd", &self.options())
    }

    pub fn options(&self) -> [&str; 4] {
        ["--start-command", &self.start_command, "--attempts", "9"]
    }

    /// Starts it on what the agent has written, as at a boot.
    pub fn start(&self) {
        assert!(Command::new("sh").arg(self.node.path("start-etcd")).status().unwrap().success());
    }

    /// Ends the process and waits until it is gone.
    pub fn stop(&self) {
        let path = self.pid_file();
        let Ok(pid) = fs::read_to_string(&path) else { return };
        let pid = pid.trim();
        drop(Command::new("kill").arg(pid).output());
        for _ in 0..100 {
            if !PathBuf::from(format!("/proc/{pid}")).exists() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        drop(fs::remove_file(path));
    }

    fn pid_file(&self) -> PathBuf {
        self.node.path("etcd.pid")
    }

    /// The member list as etcdctl shows it: `ID, status, name, peers, clients, is learner`.
    pub fn members(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.ctl(&["member", "list"]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments).unwrap()
    }

    /// What etcdctl says, or why it ended badly.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let secrets = self.node.path("secrets");
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &format!("https://127.0.0.1:{}", self.node.port)])
            .arg("--cacert")
            .arg(secrets.join("ca.crt"))
            .arg("--cert")
            .arg(secrets.join("node.crt"))
            .arg("--key")
            .arg(secrets.join("node.key"))
            .args(arguments)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

impl Drop for Etcd<'_> {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            println!("{}", fs::read_to_string(self.node.path("etcd.log")).unwrap_or_default());
        }
    }
}
