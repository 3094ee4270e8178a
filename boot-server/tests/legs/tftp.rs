//! TFTP with real clients.

use crate::lab::{Namespace, SERVER, Serving, Table, context};
use boot_server::netboot::tftp::{self, Config};
use std::{fs, net::UdpSocket, os::unix::fs::symlink, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

struct Lab {
    network: Namespace,
    files: TempDir,
    policy: Arc<Table>,
    _serving: Serving,
}

impl Lab {
    fn new() -> Self {
        let network = Namespace::with_bridge();
        let files = tempfile::tempdir().unwrap();
        let folder = files.path().join("ipxe");
        fs::create_dir(&folder).unwrap();
        fs::write(files.path().join("secret"), "secret").unwrap();
        symlink("../secret", folder.join("link.efi")).unwrap();
        for (name, size) in [("ipxe.efi", 1_000_003), ("whole.kpxe", 512 * 128), ("empty.kpxe", 0)] {
            let content: Vec<u8> = (0..size).map(|n: u32| (n ^ (n >> 9)) as u8).collect();
            fs::write(folder.join(name), content).unwrap();
        }
        let policy = Arc::new(Table::default());
        let context = context(&policy, files.path());
        let serving = network.serve("tftp", &context, move |context| async move {
            tftp::serve(tftp::bind(&Config::default(), SERVER)?, folder, context).await
        });
        Self { network, files, policy, _serving: serving }
    }

    fn served(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.path().join("ipxe").join(name)).unwrap()
    }

    fn target(&self) -> PathBuf {
        self.files.path().join("got")
    }

    fn fetch(&self, words: &[&str]) -> Option<Vec<u8>> {
        let _ = fs::remove_file(self.target());
        let output = self.network.output(words);
        output.status.success().then(|| fs::read(self.target()).unwrap())
    }

    fn atftp(&self, name: &str, options: &[&str]) -> Option<Vec<u8>> {
        let (server, target) = (SERVER.to_string(), self.target());
        let mut words = vec!["atftp"];
        for option in options {
            words.extend(["--option", option]);
        }
        words.extend(["--get", "-r", name, "-l", target.to_str().unwrap(), &server]);
        self.fetch(&words)
    }

    fn busybox(&self, name: &str, block_size: &str) -> Option<Vec<u8>> {
        let (server, target) = (SERVER.to_string(), self.target());
        self.fetch(&["busybox", "tftp", "-g", "-b", block_size, "-r", name, "-l", target.to_str().unwrap(), &server])
    }
}

#[test]
fn real_clients_get_whole_files_with_any_options() {
    let lab = Lab::new();
    for name in ["ipxe.efi", "whole.kpxe"] {
        let whole = lab.served(name);
        assert!(lab.busybox(name, "512").unwrap() == whole, "{name}, busybox without options");
        assert!(lab.busybox(name, "1468").unwrap() == whole, "{name}, busybox with large blocks");
        assert!(lab.atftp(name, &[]).unwrap() == whole, "{name}, atftp without options");
        let options = ["tsize 1", "blksize 1428", "windowsize 16", "timeout 2"];
        assert!(lab.atftp(name, &options).unwrap() == whole, "{name}, atftp with a window");
    }
    assert!(lab.atftp("empty.kpxe", &["windowsize 4"]).unwrap().is_empty());
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let lab = Lab::new();
    for name in ["link.efi", "../secret", "/etc/passwd", "..", "nothing", ""] {
        assert!(lab.busybox(name, "512").is_none_or(|got| got.is_empty()), "{name}");
    }
    assert_eq!(lab.busybox("//ipxe.efi", "512").unwrap(), lab.served("ipxe.efi"));
}

#[test]
fn firmware_that_aborts_after_the_size_may_ask_again_from_the_same_port() {
    let lab = Lab::new();
    let whole = lab.served("ipxe.efi").len();
    let got = lab.network.inside(move || {
        let socket = UdpSocket::bind((SERVER, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = b"\0\x01ipxe.efi\0octet\0tsize\x000\0blksize\x001468\0";
        let mut buffer = [0; 2000];
        socket.send_to(request, (SERVER, 69)).unwrap();
        let (length, transfer) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], format!("\0\x06tsize\0{whole}\0blksize\x001468\0").as_bytes());
        socket.send_to(b"\0\x05\0\x08aborted\0", transfer).unwrap();

        socket.send_to(request, (SERVER, 69)).unwrap();
        let (_, transfer) = socket.recv_from(&mut buffer).unwrap();
        let mut got = 0;
        socket.send_to(&[0, 4, 0, 0], transfer).unwrap();
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((from, buffer[1]), (transfer, 3));
            got += length - 4;
            socket.send_to(&[0, 4, buffer[2], buffer[3]], transfer).unwrap();
            if length < 1472 {
                return got;
            }
        }
    });
    assert_eq!(got.join().unwrap(), whole);
}

#[test]
fn a_missing_program_is_reported_before_a_machine_asks_for_it() {
    let lab = Lab::new();
    let events = lab.policy.events.lock().unwrap();
    assert!(matches!(&events[..], [event] if event.contains("undionly.kpxe")), "{events:?}");
}
