//! The node's key closed by the TPM: on the disk lies what this chip alone opens, and what uses the key finds it in memory, by a
//! link.

use ::tpm::{DEVICE, Tpm, envelope, in_time, quote::Selection};
use host::file;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    spec::NodeKey,
};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What a closed key's name ends with, where the key's own ends with `key`.
pub const HALF: &str = "key.tpm";
/// Where opened keys are.
pub const OPENED: &str = "/run/initrd-agent";
/// So long the kernel may take to find the chip.
const LATE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);
const SECURE_BOOT: u8 = 7;

/// The node's key as the target keeps it.
pub enum Kept {
    /// In a file.
    Plain(String),
    /// Closed by the TPM.
    Closed(Vec<u8>),
}

impl Kept {
    /// The key, PEM, as this policy wants it kept.
    ///
    /// # Errors
    /// `E-TPM` where it wants a TPM, and there is none that does as it should.
    pub fn by(policy: NodeKey, pem: String) -> Result<Self> {
        let pcrs = match policy {
            NodeKey::File => return Ok(Self::Plain(pem)),
            NodeKey::Tpm => Some(Selection::NONE),
            NodeKey::TpmPcr7 => Selection::of([SECURE_BOOT]),
        };
        close(pcrs.unwrap_or(Selection::NONE), &pem).map(Self::Closed).map_err(|failure| {
            failure.with_remedy(
                "look whether the firmware has a TPM 2.0 switched on, or apply the spec with \"node_key\": \"file\"",
            )
        })
    }
}

/// Closes a key, PEM, so that it opens while these PCRs are what they are now.
///
/// # Errors
/// `E-TPM`.
pub fn close(pcrs: Selection, pem: &str) -> Result<Vec<u8>> {
    let pem = pem.to_owned();
    in_time(move || Tpm::open(Path::new(DEVICE))?.close(pcrs, pem.as_bytes()))
}

/// Closes a new key as this file is closed.
///
/// # Errors
/// `E-TPM`; `E-SYSTEM` where the file cannot be read.
pub fn close_as(before: &Path, pem: &str) -> Result<Vec<u8>> {
    close(envelope::pcrs(&read(before)?)?, pem)
}

/// The key, PEM.
///
/// # Errors
/// `E-TPM`; also where another TPM has closed it.
pub fn reveal(closed: Vec<u8>) -> Result<String> {
    let pem = in_time(move || Tpm::open(Path::new(DEVICE))?.reveal(&closed))?;
    String::from_utf8(pem).map_err(|_| Failure::new(Code::Tpm, "opening the node's key by the TPM: it is no text"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).or_fail(Code::System, || format!("reading {}", path.display()))
}

/// The closed keys of a folder.
///
/// # Errors
/// `E-SYSTEM` where it cannot be read.
pub fn closed_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).or_fail(Code::System, reading)? {
        let path = entry.or_fail(Code::System, reading)?.path();
        if path.to_string_lossy().ends_with(&format!(".{HALF}")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Opens the keys of a folder into another one, which is in memory: all that the chip opens, whatever lies beside them. How many
/// there were.
///
/// # Errors
/// `E-TPM` where the chip does not open one; `E-SYSTEM`.
pub fn open_all(folder: &Path, opened: &Path) -> Result<usize> {
    let closed = closed_in(folder)?;
    if !closed.is_empty() {
        wait_for_chip();
    }
    let open = |path: &PathBuf| {
        let pem = reveal(read(path)?).map_err(|failure| {
            failure.context(format!("opening {}", path.display())).with_remedy(
                "the key was closed by another TPM, or this one has measured otherwise: start the machine from the network, where it enrols \
                 with a new key",
            )
        })?;
        file::write_atomically(&opened_at(path, opened), pem.as_bytes(), 0o600)
    };
    // Not one after the other until the first that fails: a key of an earlier name of the node may lie before its own.
    let failed: Vec<Failure> = closed.iter().map(open).filter_map(Result::err).collect();
    failed.into_iter().next().map_or(Ok(closed.len()), Err)
}

/// The kernel may find the chip late.
pub fn wait_for_chip() {
    let since = Instant::now();
    while !Path::new(DEVICE).exists() && since.elapsed() < LATE {
        thread::sleep(LOOK);
    }
}

/// `n1.key.tpm` is opened as `n1.key`.
fn opened_at(closed: &Path, opened: &Path) -> PathBuf {
    opened.join(closed.with_extension("").file_name().unwrap_or_default())
}

/// What a key that was opened is closed in, beside where it is looked for.
pub fn closed_of(key: &Path, secrets: &Path) -> Option<PathBuf> {
    let name = key.strip_prefix(OPENED).ok()?;
    let closed = secrets.join(name).with_extension(HALF);
    closed.exists().then_some(closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_key_is_opened_under_the_key_s_own_name_and_found_again_by_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["node-01.key.tpm", "node-01.crt", "node-01.key.tpm.next", "other.key"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let closed = closed_in(folder.path()).unwrap();
        assert_eq!(closed, [folder.path().join("node-01.key.tpm")]);
        let opened = opened_at(&closed[0], Path::new(OPENED));
        assert_eq!(opened, Path::new("/run/initrd-agent/node-01.key"));
        assert_eq!(closed_of(&opened, folder.path()), Some(closed[0].clone()));
        assert_eq!(closed_of(&folder.path().join("other.key"), folder.path()), None, "a key in a file");
        assert_eq!(closed_of(Path::new("/run/initrd-agent/other.key"), folder.path()), None);
    }

    #[test]
    fn a_policy_that_wants_a_tpm_is_never_met_by_a_file() {
        assert!(matches!(Kept::by(NodeKey::File, "pem".to_owned()), Ok(Kept::Plain(pem)) if pem == "pem"));
        if !Path::new(DEVICE).exists() {
            for policy in [NodeKey::Tpm, NodeKey::TpmPcr7] {
                let Err(failure) = Kept::by(policy, "pem".to_owned()) else { panic!("{policy:?}") };
                assert!(failure.code == Code::Tpm && failure.remedy.contains("node_key"), "{failure}");
            }
        }
    }
}
