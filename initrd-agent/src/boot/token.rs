//! The one-time token that somebody has given to this machine: by a medium, the kernel line of an image of his own, or its console.

use super::cmdline::KernelParameters;
use protocol::enrol_token::{
    EnrolToken,
    medium::{self, HEAD},
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A token and where it was found, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The token.
    pub token: EnrolToken,
    /// Such as `/dev/sr0`.
    pub by: String,
}

/// What was given to the machine before it was powered on: by a medium, which is for this machine, else by the kernel line.
pub fn given(parameters: &KernelParameters) -> Option<Given> {
    let of_line = || Some(Given { token: parameters.token.clone()?, by: "the kernel line".to_owned() });
    on_a_medium(Path::new("/sys/class/block"), Path::new("/dev")).or_else(of_line)
}

/// The first medium that begins with a token. Nothing is opened for writing.
fn on_a_medium(class: &Path, dev: &Path) -> Option<Given> {
    let mut devices: Vec<PathBuf> = std::fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        // A partition is no medium.
        .filter(|entry| !entry.path().join("partition").exists())
        .map(|entry| dev.join(entry.file_name()))
        .collect();
    devices.sort();
    devices.into_iter().find_map(|device| {
        let mut head = Vec::new();
        // An empty drive, or a disk that cannot be read, has none.
        File::open(&device).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
        Some(Given { token: medium::read(&head)?, by: device.display().to_string() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(token: Option<EnrolToken>) -> KernelParameters {
        KernelParameters { token, ..KernelParameters::default() }
    }

    #[test]
    fn a_medium_is_found_among_disks_and_partitions_and_the_kernel_line_is_the_last_resort() {
        let (class, dev) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["sda", "sda1", "sr0", "sr1"] {
            std::fs::create_dir(class.path().join(name)).unwrap();
        }
        std::fs::write(class.path().join("sda1/partition"), "1\n").unwrap();
        let (ours, other) = (EnrolToken::new(&[1; 16]), EnrolToken::new(&[2; 16]));
        std::fs::write(dev.path().join("sda"), [0; 4096]).unwrap();
        std::fs::write(dev.path().join("sda1"), medium::image(&other)).unwrap();
        assert_eq!(on_a_medium(class.path(), dev.path()), None, "a partition is no medium");
        std::fs::write(dev.path().join("sr0"), medium::image(&ours)).unwrap();
        let found = on_a_medium(class.path(), dev.path()).unwrap();
        assert_eq!((found.token, found.by.ends_with("/sr0")), (ours, true));
        let line = given(&parameters(Some(other.clone()))).unwrap();
        assert_eq!((line.token, line.by.as_str()), (other, "the kernel line"));
        assert_eq!(given(&parameters(None)), None);
    }
}
