//! The certificate authority: the server's leaf, nodes' certificates, leaves for members outside.

mod authority;
mod csr;
pub mod issuers;
pub mod make;
#[cfg(test)]
mod tests;

pub use authority::{Authority, ServerIdentity};
pub use csr::{CsrKey, csr_key};

use super::{
    folder::{self, OLD},
    generations::{self, Generation},
};
use protocol::{Timestamp, encoding::Sha256, failure::Result};
use rustls::pki_types::CertificateDer;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use time::Duration;

/// Life of the server's own leaf, which is made anew at every start and every day.
const SERVER_LIFE: Duration = Duration::days(30);
/// Life of a leaf for a member outside.
pub const MEMBER_LIFE: Duration = Duration::days(365);
/// The longest that one of those may last.
pub const LONGEST_OF_MEMBER: Duration = Duration::days(3650);
/// The server has a new certificate so long before the end of the old one.
const SERVER_RENEWAL: Duration = Duration::days(10);
/// Nodes fetch the list of revoked certificates every hour.
const LIST_LIFE: Duration = Duration::days(7);
/// Clocks of machines are a little behind.
pub const BACKDATE: Duration = Duration::hours(1);

/// A certificate that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The leaf, who issued it, the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The same, PEM.
    pub chain_pem: String,
    /// Serial number, hex.
    pub serial: String,
    /// Not valid after.
    pub not_after: Timestamp,
}

/// The authority of a server's folder, as it is now: a new one takes the place of the old one while the server runs.
pub struct Ca {
    dir: PathBuf,
    now: RwLock<Arc<Loaded>>,
}

#[derive(Clone)]
struct Loaded {
    authority: Arc<Authority>,
    /// Whom nodes believe, the current generation first.
    generations: Vec<Generation>,
    /// The root that went before, while it is believed.
    before: Option<Sha256>,
    /// Roots that nobody believes any more.
    earlier: Vec<Sha256>,
}

impl Loaded {
    fn read(dir: &Path) -> Result<Self> {
        let anchors = generations::anchors(dir)?;
        Ok(Self {
            authority: Arc::new(Authority::read(&folder::current(dir))?),
            generations: generations::generations(dir)?,
            before: match dir.join(OLD) {
                old if old.exists() => Some(generations::generation(&old)?.spki),
                _ => None,
            },
            earlier: anchors.map(|anchors| anchors.earlier_ca_spki_sha256).unwrap_or_default(),
        })
    }
}

impl Ca {
    /// Reads the folder of a server.
    ///
    /// # Errors
    /// `E-CONFIG` where the files cannot be read or do not fit.
    pub fn load(dir: &Path) -> Result<Self> {
        Ok(Self { dir: dir.to_owned(), now: RwLock::new(Arc::new(Loaded::read(dir)?)) })
    }

    /// Reads the folder again; whether something is different from now on.
    ///
    /// # Errors
    /// As [`Ca::load`]: the one before goes on then.
    pub fn reload(&self) -> Result<bool> {
        let (read, now) = (Loaded::read(&self.dir)?, self.now());
        if read.authority.chain() == now.authority.chain() && read.generations == now.generations {
            return Ok(false);
        }
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(true)
    }

    fn now(&self) -> Arc<Loaded> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who issues now.
    pub fn authority(&self) -> Arc<Authority> {
        self.now().authority.clone()
    }

    /// Whom nodes believe, the current generation first.
    pub fn generations(&self) -> Vec<Generation> {
        self.now().generations.clone()
    }

    /// SPKI hash of the root under which certificates are issued.
    pub fn spki(&self) -> Sha256 {
        self.authority().spki()
    }

    /// The root that a machine knows this server by, which is in the code of its enrolment: the one that it names, where it is
    /// or was this server's; of an agent that names none, the one that the images of its time pin first.
    pub fn known_as(&self, named: Option<Sha256>) -> Sha256 {
        let now = self.now();
        let is_ours = |spki: &Sha256| now.generations.iter().any(|one| one.spki == *spki) || now.earlier.contains(spki);
        named.filter(is_ours).or(now.before).unwrap_or_else(|| now.authority.spki())
    }

    /// Whether the key is one of those that issue, or of a root that is believed.
    pub fn is_own_key(&self, key: &Sha256) -> bool {
        let now = self.now();
        let issues = now.authority.certificates().iter().any(|one| one.spki == *key);
        issues || now.generations.iter().any(|one| one.spki == *key)
    }

    /// Whom nodes and members trust, the one under which certificates are issued first.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.now().generations.iter().map(|one| one.root.clone()).collect()
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({})", self.spki())
    }
}

/// From when on something is good that is made now. Nobody reads a time before 1970, where a clock begins that has no battery.
pub fn since(now: Timestamp, back: Duration) -> Timestamp {
    (now - back).max(Timestamp::UNIX_EPOCH)
}

/// Whether the server needs a certificate anew that was made then: its end is near, or the clock was wrong when it was made
/// or is now, and nobody would take it.
pub fn server_renewal_is_due(made: Timestamp, now: Timestamp) -> bool {
    now < made - BACKDATE || now > made + SERVER_LIFE - SERVER_RENEWAL
}
