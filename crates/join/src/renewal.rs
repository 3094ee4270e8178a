//! When a certificate is renewed, and how its files change places, whatever happens to the power meanwhile.

use super::credentials;
use host::{file, http::pem};
use protocol::{
    Code, Timestamp,
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
}

impl Pair {
    /// Puts a new certificate, and a new key where there is one, in the place of what is there. Owner and mode stay. A power
    /// cut leaves the pair that was there or the new one, or what [`Pair::finish`] makes one of.
    ///
    /// # Errors
    /// `E-SYSTEM` with the path.
    pub fn place(&self, certificate: &str, key: Option<&str>) -> Result<()> {
        if let Some(key) = key {
            stage(&self.key, key)?;
        }
        stage(&self.certificate, certificate)?;
        if key.is_some() {
            take_over(&self.key)?;
        }
        take_over(&self.certificate)
    }

    /// Ends what a power cut has interrupted. The key changes first: a certificate that waits belongs to the key that is
    /// there, or nothing has changed yet.
    ///
    /// # Errors
    /// `E-SYSTEM` with the path.
    pub fn finish(&self) -> Result<()> {
        let waiting = next(&self.certificate);
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
    stage(path, content)?;
    take_over(path)
}

fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Writes a file beside the one whose place it is to take, with that one's owner and mode.
fn stage(path: &Path, content: &str) -> Result<()> {
    let staged = next(path);
    let writing = || format!("writing {}", staged.display());
    file::remove(&staged)?;
    let now = fs::metadata(path).or_fail(Code::System, writing)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged).or_fail(Code::System, writing)?;
    file.write_all(content.as_bytes()).or_fail(Code::System, writing)?;
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
        let pair = Pair { certificate: folder.join("n1.crt"), key: folder.join("n1.key") };
        fs::write(&pair.certificate, certificate).unwrap();
        fs::write(&pair.key, key).unwrap();
        fs::set_permissions(&pair.key, Permissions::from_mode(0o400)).unwrap();
        pair
    }

    fn read(pair: &Pair) -> (String, String) {
        (fs::read_to_string(&pair.certificate).unwrap(), fs::read_to_string(&pair.key).unwrap())
    }

    #[test]
    fn a_new_pair_takes_the_place_of_the_old_one_with_its_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (drawn(), drawn());
        let pair = pair(folder.path(), &old);
        pair.place(&new.0, Some(&new.1)).unwrap();
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
            (|pair, new| stage(&pair.key, &new.1).unwrap(), false),
            (
                |pair, new| {
                    stage(&pair.key, &new.1).unwrap();
                    fs::write(next(&pair.certificate), &new.0[..40]).unwrap();
                },
                false,
            ),
            (
                |pair, new| {
                    stage(&pair.key, &new.1).unwrap();
                    stage(&pair.certificate, &new.0).unwrap();
                },
                false,
            ),
            (
                |pair, new| {
                    stage(&pair.key, &new.1).unwrap();
                    stage(&pair.certificate, &new.0).unwrap();
                    take_over(&pair.key).unwrap();
                },
                true,
            ),
            (|pair, new| pair.place(&new.0, Some(&new.1)).unwrap(), true),
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
}
