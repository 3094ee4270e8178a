//! Keys of encrypted devices: held in memory, and shown to a tool through a file that has no name.

use nix::sys::memfd::{MFdFlags, memfd_create};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    spec::FileSpec,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    os::fd::AsRawFd,
};

/// cryptsetup reads no more of a key file, either.
const LONGEST: u64 = 8 << 20;

/// Keys by the paths that the layout names.
#[derive(Default)]
pub struct Keys(BTreeMap<String, Vec<u8>>);

impl Keys {
    /// Reads them from files of this machine.
    ///
    /// # Errors
    /// `E-DISK-KEY` where one cannot be read.
    pub fn of_files(paths: &[String]) -> Result<Self> {
        let read = |path: &String| {
            let activity = || format!("reading the key file {path}, which the layout names");
            // Of a device such as /dev/urandom nobody reads the same bytes again.
            let is_file = fs::metadata(path).or_fail(Code::DiskKey, activity)?.is_file();
            if !is_file {
                return Err(Failure::new(Code::DiskKey, format!("{}: it is no regular file", activity())));
            }
            let file = File::open(path).or_fail(Code::DiskKey, activity)?;
            let mut bytes = Vec::new();
            file.take(LONGEST).read_to_end(&mut bytes).or_fail(Code::DiskKey, activity)?;
            Ok((path.clone(), bytes))
        };
        paths.iter().map(read).collect::<Result<_>>().map(Keys)
    }

    /// Takes them from the node's secrets.
    ///
    /// # Errors
    /// `E-DISK-KEY` where the secrets have no such file.
    pub fn of_secrets(paths: &[String], secrets: &[FileSpec]) -> Result<Self> {
        let find = |path: &String| {
            let secret = secrets.iter().find(|secret| secret.path == *path).ok_or_else(|| {
                let cause = format!("looking for the key file {path}, which the layout names: no secret has this path");
                Failure::new(Code::DiskKey, cause)
            })?;
            Ok((path.clone(), secret.content.as_bytes().to_vec()))
        };
        paths.iter().map(find).collect::<Result<_>>().map(Keys)
    }

    /// The bytes of a key; of a passphrase, those in front of the newlines at its end.
    ///
    /// # Errors
    /// `E-DISK-KEY` where there is none.
    pub fn bytes(&self, file: &str, passphrase: bool) -> Result<&[u8]> {
        let bytes =
            self.0.get(file).ok_or_else(|| Failure::new(Code::DiskKey, format!("looking for the key file {file}")))?;
        let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        Ok(if passphrase { &bytes[..end] } else { bytes })
    }

    /// An open file of that content, which child processes inherit.
    ///
    /// # Errors
    /// `E-DISK-KEY`.
    pub fn file(&self, file: &str, passphrase: bool) -> Result<File> {
        shown(self.bytes(file, passphrase)?, &format!("the key file {file}"))
    }
}

/// An open file of this content and without a name, which child processes inherit.
///
/// # Errors
/// `E-DISK-KEY`.
pub fn shown(bytes: &[u8], what: &str) -> Result<File> {
    let activity = || format!("showing {what} to a tool");
    // Without close-on-exec: the tool opens it by its number.
    let descriptor = memfd_create(c"key", MFdFlags::empty()).or_fail(Code::DiskKey, activity)?;
    let mut shown = File::from(descriptor);
    shown.write_all(bytes).or_fail(Code::DiskKey, activity)?;
    Ok(shown)
}

/// By which a child process opens it.
pub fn path_of(shown: &File) -> String {
    format!("/proc/self/fd/{}", shown.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_ends_before_its_newline_and_a_key_does_not() {
        let secret = FileSpec { path: "/tmp/k".into(), mode: "0600".into(), content: "word\n".into() };
        let keys = Keys::of_secrets(&["/tmp/k".to_owned()], &[secret]).unwrap();
        assert_eq!(keys.bytes("/tmp/k", true).unwrap(), b"word");
        assert_eq!(keys.bytes("/tmp/k", false).unwrap(), b"word\n");
    }

    #[test]
    fn a_key_is_a_regular_file_whose_bytes_are_the_same_each_time() {
        for odd in ["/dev/urandom", "/dev/null", "/"] {
            let failure = Keys::of_files(&[odd.to_owned()]).err().unwrap();
            assert!(failure.code == Code::DiskKey && failure.cause.contains("no regular file"), "{failure}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Keys::of_files(&[file.path().to_string_lossy().into_owned()]).is_ok());
    }

    #[test]
    fn a_key_that_nobody_gave_is_named() {
        let failure = Keys::of_secrets(&["/tmp/k".to_owned()], &[]).err().unwrap();
        assert_eq!(failure.code, Code::DiskKey);
        assert!(failure.cause.contains("/tmp/k"), "{failure}");
    }
}
