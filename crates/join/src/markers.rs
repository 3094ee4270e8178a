//! Markers: a service that has one is not joined again.

use super::driver::Way;
use host::file::{self, write_atomically};
use protocol::{Code, Timestamp, failure::OrFail, failure::Result, service::Service};
use std::path::{Path, PathBuf};
use time::format_description::well_known::Rfc3339;

/// How the node became a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is a founder.
    Initialized,
    /// It joined.
    Joined,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Initialized, Self::Joined];

    /// What a way in ends with.
    pub fn of(way: Way) -> Self {
        match way {
            Way::Bootstrap => Self::Initialized,
            Way::Join => Self::Joined,
        }
    }

    /// The way in that ended with it.
    pub fn way(self) -> Way {
        match self {
            Self::Initialized => Way::Bootstrap,
            Self::Joined => Way::Join,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::Joined => "joined",
        }
    }
}

/// Path of a marker: `.etcd-joined`.
pub fn path(state_dir: &Path, service: Service, kind: Kind) -> PathBuf {
    state_dir.join(format!(".{}-{}", service.name(), kind.name()))
}

/// The marker of the service, of either kind.
///
/// # Errors
/// `E-SYSTEM` where the folder cannot be read: joining twice is worse than not joining.
pub fn find(state_dir: &Path, service: Service) -> Result<Option<(Kind, PathBuf)>> {
    for kind in Kind::ALL {
        let path = path(state_dir, service, kind);
        if path.try_exists().or_fail(Code::System, || format!("looking for {}", path.display()))? {
            return Ok(Some((kind, path)));
        }
    }
    Ok(None)
}

/// Removes whatever marker there is.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn remove(state_dir: &Path, service: Service) -> Result<()> {
    for kind in Kind::ALL {
        file::remove(&path(state_dir, service, kind))?;
    }
    Ok(())
}

/// Writes the marker: one ISO 8601 timestamp.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn write(state_dir: &Path, service: Service, kind: Kind, now: Timestamp) -> Result<()> {
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let text = now.format(&Rfc3339).or_fail(Code::Internal, || "formatting the time")?;
    write_atomically(&path(state_dir, service, kind), format!("{text}\n").as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_one_timestamp_and_belongs_to_one_service() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path(), Service::Etcd).unwrap(), None);
        write(folder.path(), Service::Etcd, Kind::Joined, Timestamp::UNIX_EPOCH).unwrap();
        let (kind, path) = find(folder.path(), Service::Etcd).unwrap().unwrap();
        assert_eq!(kind.way(), Way::Join);
        assert!(path.ends_with(".etcd-joined"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1970-01-01T00:00:00Z\n");
        assert_eq!(find(folder.path(), Service::Chainfire).unwrap(), None);
        remove(folder.path(), Service::Etcd).unwrap();
        assert_eq!(find(folder.path(), Service::Etcd).unwrap(), None);
    }
}
