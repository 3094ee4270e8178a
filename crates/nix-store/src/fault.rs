//! A failure of one attempt, with the one thing the engine must know about it: is another try worth it?

use crate::narinfo::BadNarInfo;
use protocol::{Code, Failure};
use std::{fmt, io};

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What the operator sees if no attempt succeeds.
    pub failure: Failure,
    /// The same cache may give a better answer next time.
    pub again: bool,
}

impl Fault {
    /// The cache did not answer, or broke off: worth another try.
    pub fn unreachable(cause: impl Into<String>) -> Self {
        Self { failure: Failure::new(Code::CacheUnreachable, cause), again: true }
    }

    /// The cache does not give it, and will not the next time.
    pub fn refused(cause: impl Into<String>) -> Self {
        Failure::new(Code::CacheUnreachable, cause).into()
    }

    /// The cache does not have it.
    pub fn missing(cause: impl Into<String>) -> Self {
        Failure::new(Code::ClosureMissing, cause).into()
    }

    /// The cache has something else than it says.
    pub fn corrupt(cause: impl Into<String>) -> Self {
        Failure::new(Code::ClosureCorrupt, cause).into()
    }

    /// Replaces the remedy by a more precise one.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { failure: self.failure.with_remedy(remedy), ..self }
    }

    /// The target could not be written.
    pub fn disk(activity: impl fmt::Display, error: &io::Error) -> Self {
        disk_failure(activity, error).into()
    }

    /// Another cache may have what this one lacks; a full disk stays full.
    pub fn other_cache_may_help(&self) -> bool {
        !matches!(self.failure.code, Code::NoSpace | Code::DiskIo | Code::System | Code::Internal)
    }

    /// A cache that is down now may be there later; one that is none will not be.
    pub fn may_pass(&self) -> bool {
        self.failure.code == Code::CacheUnreachable
    }

    /// Carries the fault through a reader.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The fault that [`Fault::into_io`] packed, whatever reader it came through.
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Of two caches' faults, the one that tells the operator more.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if severity(&other) > severity(&self) { other } else { self }
    }
}

/// A forged signature matters more than a cache that is down, and that more than one that lacks the path.
fn severity(fault: &Fault) -> u8 {
    match fault.failure.code {
        Code::ClosureMissing => 0,
        Code::CacheUnreachable => 1,
        Code::ClosureCorrupt => 2,
        _ => 3,
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, again: false }
    }
}

impl From<BadNarInfo> for Fault {
    fn from(bad: BadNarInfo) -> Self {
        Failure::new(Code::ClosureCorrupt, bad.cause).with_remedy(bad.remedy).into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for Fault {}

/// The failure for an error of the target's file system.
pub fn disk_failure(activity: impl fmt::Display, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::NoSpace,
        _ => Code::DiskIo,
    };
    let failure = Failure::from_error(code, activity, error);
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => failure.with_remedy(
            "mount it writable; where the kernel made it read-only by itself, its log says which disk has failed",
        ),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_way_through_a_reader() {
        let error = Fault::unreachable("reading http://x").into_io();
        assert!(Fault::from_io(&error).unwrap().again);
        assert!(Fault::from_io(&io::Error::other("x")).is_none());
    }

    #[test]
    fn a_full_disk_has_its_own_code() {
        let error = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(disk_failure("writing x", &error).code, Code::NoSpace);
        assert!(!Fault::disk("writing x", &error).other_cache_may_help());
    }

    #[test]
    fn a_cache_that_is_down_outweighs_one_that_lacks_the_path() {
        let fault = Fault::missing("a").or_worse(Fault::unreachable("b"));
        assert_eq!(fault.failure.code, Code::CacheUnreachable);
        assert_eq!(fault.or_worse(Fault::missing("c")).failure.cause, "b");
    }
}
