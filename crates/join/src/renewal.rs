//! When a certificate is renewed, and how its files change places, whatever happens to the power meanwhile.

use super::credentials;
use host::{file, http::pem};
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

/// What is to be done about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing before that time.
    From(Timestamp),
    /// It is to be renewed, by itself.
    Now,
    /// It has ended: nobody takes it any more, and the key has to do.
    Over,
}

/// A certificate is renewed when two thirds of its life are over, or earlier where it is wanted.
pub fn due((from, until): (Timestamp, Timestamp), now: Timestamp, wanted: bool) -> Due {
    let renewal = from + (until - from) * 2_i32 / 3_i32;
    match now {
        now if now >= until => Due::Over,
        now if now >= renewal || wanted => Due::Now,
        _ => Due::From(renewal),
    }
}

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
    /// What the key is opened from when the system starts, where the TPM has closed it: then the key itself is in memory.
    pub closed: Option<PathBuf>,
}

/// A key that takes the place of another one.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    /// PEM.
    pub pem: &'a str,
    /// The same closed by the TPM, for a pair whose key is kept so.
    pub closed: Option<&'a [u8]>,
}

impl Pair {
    /// Puts a new certificate, and a new key where there is one, in the place of what is there. Owner and mode stay. A power
    /// cut leaves the pair that was there or the new one, or what [`Pair::finish`] makes one of.
    ///
    /// # Errors
    /// `E-SYSTEM` with the path; `E-INTERNAL` where a key that is to be closed is not.
    pub fn place(&self, certificate: &str, key: Option<NewKey<'_>>) -> Result<()> {
        if let Some(key) = key {
            if let Some(closed) = &self.closed {
                let new = key.closed.ok_or_else(|| {
                    Failure::new(Code::Internal, format!("replacing {}: the new key is not closed", closed.display()))
                })?;
                // First of all: as long as it waits, nothing has changed.
                stage(closed, new)?;
            }
            stage(&self.key, key.pem.as_bytes())?;
        }
        stage(&self.certificate, certificate.as_bytes())?;
        if key.is_some() {
            self.closed.as_deref().map_or(Ok(()), take_over)?;
            take_over(&self.key)?;
        }
        take_over(&self.certificate)
    }

    /// Ends what a power cut has interrupted. The key changes first: a certificate that waits belongs to the key that is
    /// there, or nothing has changed yet. Of a key that is in memory the closed one changes first: once none of that waits, the key
    /// that waits is the one that the next start would find.
    ///
    /// # Errors
    /// `E-NOT-FOUND` where a certificate waits and the key is not there to tell whether it is its own: a closed key that nobody has
    /// opened. Nothing is changed then. `E-SYSTEM` with the path.
    pub fn finish(&self) -> Result<()> {
        match &self.closed {
            Some(closed) if next(closed).exists() => {
                // That it waits says that nothing has changed: it goes last.
                return [&self.key, &self.certificate, closed].iter().try_for_each(|path| file::remove(&next(path)));
            }
            Some(_) if next(&self.key).exists() => take_over(&self.key)?,
            _ => {}
        }
        let waiting = next(&self.certificate);
        if waiting.exists() && !self.key.exists() {
            let cause = format!("finishing a renewal that was interrupted: {} is not there", self.key.display());
            return Err(Failure::new(Code::NotFound, cause).with_remedy(
                "where the TPM keeps it closed: systemctl start initrd-agent-unseal, then systemctl start initrd-agent-renew",
            ));
        }
        let changed = !next(&self.key).exists()
            && pem::identity(&waiting, &self.key).is_ok_and(|identity| credentials::is_pair(&identity));
        if changed {
            return take_over(&self.certificate);
        }
        file::remove(&next(&self.key))?;
        file::remove(&waiting)
    }
}

/// Puts a file in the place of another one, with that one's owner and mode, or where there is none.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn replace(path: &Path, content: &str) -> Result<()> {
    if !path.exists() {
        return file::write_atomically(path, content.as_bytes(), 0o644);
    }
    stage(path, content.as_bytes())?;
    take_over(path)
}

fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Writes a file beside the one whose place it is to take, with that one's owner and mode.
fn stage(path: &Path, content: &[u8]) -> Result<()> {
    let staged = next(path);
    let writing = || format!("writing {}", staged.display());
    file::remove(&staged)?;
    let now = fs::metadata(path).or_fail(Code::System, writing)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged).or_fail(Code::System, writing)?;
    file.write_all(content).or_fail(Code::System, writing)?;
    let made = file.metadata().or_fail(Code::System, writing)?;
    if (made.uid(), made.gid()) != (now.uid(), now.gid()) {
        fchown(&file, Some(now.uid()), Some(now.gid())).or_fail(Code::System, writing)?;
    }
    file.set_permissions(Permissions::from_mode(now.mode() & 0o777)).or_fail(Code::System, writing)?;
    file.sync_all().or_fail(Code::System, writing)
}

fn take_over(path: &Path) -> Result<()> {
    let activity = || format!("replacing {}", path.display());
    fs::rename(next(path), path).or_fail(Code::System, activity)?;
    let folder = File::open(path.parent().unwrap_or(Path::new("/"))).or_fail(Code::System, activity)?;
    folder.sync_all().or_fail(Code::System, activity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use time::{Duration, OffsetDateTime};

    fn at(hours: i64) -> Timestamp {
        OffsetDateTime::UNIX_EPOCH + Duration::hours(hours)
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        let life = (at(0), at(9));
        for (hour, expected) in [(-1, Due::From(at(6))), (0, Due::From(at(6))), (5, Due::From(at(6))), (6, Due::Now)] {
            assert_eq!(due(life, at(hour), false), expected, "{hour}");
        }
        assert_eq!(due(life, at(1), true), Due::Now, "wanted");
        assert_eq!((due(life, at(9), false), due(life, at(99), true)), (Due::Over, Due::Over));
    }

    #[test]
    fn three_lives_in_a_row_pass_without_an_hour_in_which_no_certificate_is_good() {
        let life = Duration::days(7);
        let (mut certificate, mut renewals) = ((at(-1), at(0) + life), 0);
        for hour in 0..24 * 7 * 3 {
            if due(certificate, at(hour), false) == Due::Now {
                (certificate, renewals) = ((at(hour - 1), at(hour) + life), renewals + 1);
            }
            assert!(at(hour) < certificate.1, "hour {hour}");
        }
        assert_eq!(renewals, 4, "every 112 hours of 504");
    }

    /// A key with a certificate, PEM.
    fn drawn() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["n1".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pair(folder: &Path, (certificate, key): &(String, String)) -> Pair {
        let pair = Pair { certificate: folder.join("n1.crt"), key: folder.join("n1.key"), closed: None };
        fs::write(&pair.certificate, certificate).unwrap();
        fs::write(&pair.key, key).unwrap();
        fs::set_permissions(&pair.key, Permissions::from_mode(0o400)).unwrap();
        pair
    }

    fn plain(pem: &str) -> NewKey<'_> {
        NewKey { pem, closed: None }
    }

    fn read(pair: &Pair) -> (String, String) {
        (fs::read_to_string(&pair.certificate).unwrap(), fs::read_to_string(&pair.key).unwrap())
    }

    #[test]
    fn a_new_pair_takes_the_place_of_the_old_one_with_its_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (drawn(), drawn());
        let pair = pair(folder.path(), &old);
        pair.place(&new.0, Some(plain(&new.1))).unwrap();
        assert_eq!(read(&pair), new);
        assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing waits any more");
        pair.place(&old.0, None).unwrap();
        assert_eq!(read(&pair), (old.0, new.1));
    }

    #[test]
    fn wherever_the_power_is_cut_one_whole_pair_is_left() {
        let (old, new) = (drawn(), drawn());
        // What is on the disk after each of the steps of `place`, and which pair that is.
        type Cut = fn(&Pair, &(String, String));
        let cuts: [(Cut, bool); 6] = [
            (|pair, new| fs::write(next(&pair.key), &new.1[..40]).unwrap(), false),
            (|pair, new| stage(&pair.key, new.1.as_bytes()).unwrap(), false),
            (
                |pair, new| {
                    stage(&pair.key, new.1.as_bytes()).unwrap();
                    fs::write(next(&pair.certificate), &new.0[..40]).unwrap();
                },
                false,
            ),
            (
                |pair, new| {
                    stage(&pair.key, new.1.as_bytes()).unwrap();
                    stage(&pair.certificate, new.0.as_bytes()).unwrap();
                },
                false,
            ),
            (
                |pair, new| {
                    stage(&pair.key, new.1.as_bytes()).unwrap();
                    stage(&pair.certificate, new.0.as_bytes()).unwrap();
                    take_over(&pair.key).unwrap();
                },
                true,
            ),
            (|pair, new| pair.place(&new.0, Some(plain(&new.1))).unwrap(), true),
        ];
        for (number, (cut, is_new)) in cuts.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let pair = pair(folder.path(), &old);
            cut(&pair, &new);
            pair.finish().unwrap();
            assert_eq!(read(&pair), if is_new { new.clone() } else { old.clone() }, "cut {number}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "cut {number}: something is left");
        }
    }

    /// The chip of this test closes by turning every bit.
    fn turned(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().map(|byte| !byte).collect()
    }

    #[test]
    fn wherever_it_ends_a_key_in_memory_and_the_closed_one_are_the_same_with_and_without_a_restart() {
        let (old, new) = (drawn(), drawn());
        type Step = fn(&Pair, &(String, String));
        let steps: [Step; 7] = [
            |_, _| (),
            |pair, new| stage(pair.closed.as_ref().unwrap(), &turned(new.1.as_bytes())).unwrap(),
            |pair, new| stage(&pair.key, new.1.as_bytes()).unwrap(),
            |pair, new| stage(&pair.certificate, new.0.as_bytes()).unwrap(),
            |pair, _| take_over(pair.closed.as_ref().unwrap()).unwrap(),
            |pair, _| take_over(&pair.key).unwrap(),
            |pair, _| take_over(&pair.certificate).unwrap(),
        ];
        for ends in 1..=steps.len() {
            for restarted in [false, true] {
                let (disk, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                let closed = disk.path().join("n1.key.tpm");
                fs::write(&closed, turned(old.1.as_bytes())).unwrap();
                let key = memory.path().join("n1.key");
                let pair = Pair { key, closed: Some(closed.clone()), ..pair(disk.path(), &old) };
                fs::remove_file(disk.path().join("n1.key")).unwrap();
                fs::write(&pair.key, &old.1).unwrap();
                steps[..ends].iter().for_each(|step| step(&pair, &new));
                if restarted {
                    for entry in fs::read_dir(memory.path()).unwrap() {
                        fs::remove_file(entry.unwrap().path()).unwrap();
                    }
                    // Nothing is decided before somebody has opened it.
                    let waits = next(&pair.certificate).exists();
                    assert_eq!(Pair { closed: None, ..pair.clone() }.finish().is_err(), waits, "{ends}");
                    assert_eq!(next(&pair.certificate).exists(), waits, "{ends}");
                    fs::write(&pair.key, turned(&fs::read(&closed).unwrap())).unwrap();
                }
                pair.finish().unwrap();
                let expected = if ends > 4 { &new } else { &old };
                assert_eq!(read(&pair), *expected, "{ends} {restarted}");
                assert_eq!(turned(&fs::read(&closed).unwrap()), expected.1.as_bytes(), "{ends} {restarted}");
                let left = [disk.path(), memory.path()].map(|folder| fs::read_dir(folder).unwrap().count());
                assert_eq!(left, [2, 1], "{ends} {restarted}: something waits");
            }
        }
    }

    #[test]
    fn a_new_key_of_a_node_that_keeps_it_closed_is_never_written_open() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (drawn(), drawn());
        let pair = Pair { closed: Some(folder.path().join("n1.key.tpm")), ..pair(folder.path(), &old) };
        assert_eq!(pair.place(&new.0, Some(plain(&new.1))).unwrap_err().code, Code::Internal);
        assert_eq!(read(&pair), old);
    }
}
