//! TPMs made of swtpm, and the vendor that certifies their endorsement keys.

use crate::{
    child::Process,
    command::{command, run},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::AsRawFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

/// Who makes TPMs and certifies their endorsement keys.
#[derive(Debug)]
pub struct Vendor {
    dir: PathBuf,
}

/// A TPM with its memory.
#[derive(Debug)]
pub struct Chip {
    dir: PathBuf,
}

impl Vendor {
    /// One that keeps its keys in this folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        let place = |name: &str| dir.join(name).display().to_string();
        let authority = format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            dir.display(),
            place("key.pem"),
            place("issuer.pem"),
            place("serial")
        );
        let setup = format!(
            "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n\
             active_pcr_banks = sha256\n",
            place("authority.conf"),
            place("options")
        );
        let options = "--platform-manufacturer QEMU\n--platform-version 1\n--platform-model demo\n";
        for (name, text) in [("authority.conf", &authority), ("setup.conf", &setup), ("options", &options.to_owned())] {
            fs::write(dir.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Makes a TPM whose RSA endorsement key it certifies.
    ///
    /// # Errors
    /// `swtpm_setup` fails.
    pub fn make(&self, dir: &Path) -> Result<Chip> {
        let chip = Chip::blank(dir)?;
        let mut setup = command("swtpm_setup", ["--tpm2", "--create-ek-cert", "--overwrite"]);
        run(setup.arg("--tpmstate").arg(dir).arg("--config").arg(self.dir.join("setup.conf")))?;
        Ok(chip)
    }

    /// The certificate that issues those of endorsement keys, once a TPM has been made.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("issuer.pem")
    }
}

impl Chip {
    /// A TPM that nobody vouches for.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn blank(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Starts it behind a stream of commands and answers.
    ///
    /// # Errors
    /// swtpm does not start.
    pub fn start(&self) -> Result<(Process, UnixStream)> {
        let (ours, its) = UnixStream::pair().context("making a pair of sockets")?;
        let number = its.as_raw_fd();
        let mut swtpm = self.command(&["--flags", "not-need-init,startup-clear", "--fd", &number.to_string()]);
        // SAFETY: fcntl is a plain system call, fit for the time between fork and exec.
        unsafe {
            swtpm.pre_exec(move || match libc::fcntl(number, libc::F_SETFD, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        Ok((Process::start("swtpm", &mut swtpm, &self.log())?, ours))
    }

    /// Starts it for whoever connects to this socket, one after the other; TPM2 tools find it by `swtpm:path=SOCKET`.
    ///
    /// # Errors
    /// swtpm does not start.
    pub fn listen(&self, socket: &Path) -> Result<Process> {
        let mut swtpm = self.command(&["--flags", "not-need-init,startup-clear"]);
        let place = |suffix: &str| format!("type=unixio,path={}{suffix}", socket.display());
        swtpm.args(["--server", &place(""), "--ctrl", &place(".ctrl")]);
        self.start_for(&mut swtpm, socket)
    }

    /// Starts it for a machine, which speaks to it by this socket.
    ///
    /// # Errors
    /// swtpm does not start.
    pub fn serve(&self, socket: &Path) -> Result<Process> {
        let _ = fs::remove_file(socket);
        let mut swtpm = self.command(&["--terminate", "--ctrl", &format!("type=unixio,path={}", socket.display())]);
        self.start_for(&mut swtpm, socket)
    }

    fn start_for(&self, swtpm: &mut Command, socket: &Path) -> Result<Process> {
        let mut process = Process::start("swtpm", swtpm, &self.log())?;
        crate::wait::until("the socket of swtpm", std::time::Duration::from_secs(10), || {
            process.must_run()?;
            Ok(socket.exists().then_some(()))
        })?;
        Ok(process)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut swtpm = command("swtpm", ["socket", "--tpm2"]);
        swtpm.arg("--tpmstate").arg(format!("dir={}", self.dir.display())).args(words);
        swtpm
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// Measures something into a PCR of the SHA-256 bank, as firmware does.
///
/// # Errors
/// The TPM refuses.
pub fn measure(chip: &mut UnixStream, pcr: u8) -> Result<()> {
    measure_as(chip, pcr, &[9; 32])
}

/// Measures what has this digest.
///
/// # Errors
/// The TPM refuses.
pub fn measure_as(chip: &mut UnixStream, pcr: u8, digest: &[u8; 32]) -> Result<()> {
    let mut command = vec![0x80, 0x02, 0, 0, 0, 65, 0, 0, 0x01, 0x82, 0, 0, 0, pcr];
    // Nobody's password, one digest, of SHA-256.
    command.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b]);
    command.extend(digest);
    chip.write_all(&command).context("writing to the TPM")?;
    let mut answer = [0; 64];
    let read = chip.read(&mut answer).context("reading from the TPM")?;
    ensure!(read >= 10 && answer[6..10] == [0; 4], "the TPM does not extend PCR {pcr}: {:?}", &answer[..read]);
    Ok(())
}
