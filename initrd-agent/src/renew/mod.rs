//! Renewal of this node's certificate: by the one that it has, or by its key where that has ended
//! (docs/design.md section 4, point 5).

mod handover;
mod learning;
mod quoting;

pub use handover::Handover;

use crate::{
    boot::{
        enrol::{self, Asking},
        identity::Identity,
    },
    boot_server::BootServer,
    sealed,
};
use hardware::inventory;
use host::{
    certificate, file,
    http::{self, pem},
};
use join::{
    credentials::{self, Paths, installed_pair},
    renewal::{Due, NewKey, Pair, due},
};
use learning::Under;
use protocol::{
    Code, Failure, Timestamp, cluster::ClusterConfig, failure::Result, marker::InstallMarker, names::RunId, parse,
    renewal::RenewRequest, tpm::TpmFound, trust::TrustAnchors,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long one answer is waited for; an admin may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the command line says.
pub struct Settings {
    /// What the installer left.
    pub marker: PathBuf,
    /// Where the node's pair is.
    pub secrets_dir: PathBuf,
    /// The cluster that the node is a member of, if any: it may have a copy of the pair.
    pub cluster: Option<ClusterConfig>,
    /// Also before it is due.
    pub wanted: bool,
    /// With a key that is made anew.
    pub new_key: bool,
    /// What has the services take the new certificate.
    pub handover: Handover,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    NotDue {
        /// When the certificate ends.
        ends: Timestamp,
        /// When it will be renewed.
        from: Timestamp,
    },
    /// There is a new certificate.
    Renewed {
        /// When it ends.
        ends: Timestamp,
    },
}

/// A certificate that the server has given, and the key where that is new.
struct Given {
    identity: Identity,
    chain: String,
    key: Option<String>,
    /// That key closed by the TPM, where this node keeps its key so.
    closed: Option<Vec<u8>>,
}

/// Renews where it is due. What an earlier run could not end is ended first: files that were changing places, a hook that
/// failed.
///
/// # Errors
/// `E-NOT-FOUND` where no boot-server installed this node; those of the calls; `E-TLS` for an answer that does not fit;
/// `E-TOOL` where the hook failed, which is tried again the next time.
pub async fn run(settings: &Settings) -> Result<Outcome> {
    let mut marker = read_marker(&settings.marker)?;
    let pairs = pairs(settings, &marker);
    pairs.iter().try_for_each(Pair::finish)?;
    let own = &pairs[0];
    let shown = pem::identity(&own.certificate, &own.key)?;
    let life = credentials::validity(&shown.chain[0])?;
    let under = learnt(settings, &mut marker, own).await;
    if life.1 > Timestamp::now_utc() {
        quoting::tell(&marker, pem::identity(&own.certificate, &own.key)?).await;
    }
    let anchors = learning::anchors(&marker);
    let wanted = settings.wanted || under == Under::AnotherRoot;
    let given = match due(life, Timestamp::now_utc(), wanted) {
        Due::From(from) => {
            if let Some(ends) = handover::unfinished(&settings.marker) {
                settings.handover.run(&settings.marker, &marker, &anchors, own, ends).await?;
            }
            return Ok(Outcome::NotDue { ends: life.1, from });
        }
        Due::Now => by_certificate(settings, &marker, &anchors, shown, own).await?,
        Due::Over => by_key(&marker, &anchors, own).await?,
    };
    let ends = check(&given, &anchors)?;
    handover::begin(&settings.marker, life.1)?;
    for pair in &pairs {
        let new = given.key.as_deref().map(|pem| NewKey { pem, closed: given.closed.as_deref() });
        pair.place(&given.chain, new)?;
    }
    if given.key.is_some() {
        let identity = given.identity.for_tls(&given.chain)?;
        in_time(BootServer::new(&marker.server, &anchors, Some(identity))?.key_in_use()).await?;
    }
    settings.handover.run(&settings.marker, &marker, &anchors, own, life.1).await?;
    if under == Under::AnotherRoot {
        // The server hears that this node needs the old root no more.
        learnt(settings, &mut marker, own).await;
    }
    Ok(Outcome::Renewed { ends })
}

/// As [`learning::learn`]. A server that cannot be asked, or knows no such call, is asked the next time: nothing ends by that.
async fn learnt(settings: &Settings, marker: &mut InstallMarker, own: &Pair) -> Under {
    let learn = async {
        let shown = pem::identity(&own.certificate, &own.key)?;
        let (_, ends) = credentials::validity(&shown.chain[0])?;
        if ends <= Timestamp::now_utc() {
            // Nobody would listen to it; by the next certificate.
            return Ok(Under::TheSameRoot);
        }
        learning::learn(settings, marker, shown, own, ends).await
    };
    learn.await.unwrap_or_else(|failure| {
        tracing::warn!("asking the boot-server what to believe: {failure}; it is asked again the next time");
        Under::TheSameRoot
    })
}

fn read_marker(path: &Path) -> Result<InstallMarker> {
    let bytes = fs::read(path).map_err(|error| {
        let cause = format!("reading {}: {error}", path.display());
        Failure::new(Code::NotFound, cause)
            .with_remedy("a node that no boot-server has installed has its certificate from elsewhere: renew it there")
    })?;
    parse::json(&path.display().to_string(), &bytes)
}

/// The node's own pair, and the cluster's where that is a copy of it.
fn pairs(settings: &Settings, marker: &InstallMarker) -> Vec<Pair> {
    let real = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
    let pair = |certificate, key| {
        let (certificate, key) = (real(certificate), real(key));
        let closed = sealed::closed_of(&key, &settings.secrets_dir);
        Pair { certificate, key, closed }
    };
    let (certificate, key) = installed_pair(&settings.secrets_dir, marker.node.as_str());
    let mut pairs = vec![pair(certificate, key)];
    if let Some(config) = &settings.cluster {
        let Paths { certificate, key, .. } = Paths::of(config, &settings.secrets_dir);
        let other = pair(certificate, key);
        let same_key = || fs::read(&other.key).is_ok_and(|key| fs::read(&pairs[0].key).is_ok_and(|own| own == key));
        if other != pairs[0] && same_key() {
            pairs.push(other);
        } else if other != pairs[0] {
            tracing::warn!("{} is not the node's own pair: who issued it renews it", other.certificate.display());
        }
    }
    pairs
}

async fn by_certificate(
    settings: &Settings,
    marker: &InstallMarker,
    anchors: &TrustAnchors,
    shown: http::Identity,
    own: &Pair,
) -> Result<Given> {
    let identity = if settings.new_key { Identity::make()? } else { Identity::from_pem(&file::read_text(&own.key)?)? };
    let key = settings.new_key.then(|| identity.key_pem());
    // Before the server hears of it: a chip that fails leaves everything as it is.
    let closed = match (&key, &own.closed) {
        (Some(key), Some(before)) => Some(sealed::close_as(before, key)?),
        _ => None,
    };
    let server = BootServer::new(&marker.server, anchors, Some(shown))?;
    let renewed = in_time(server.renew(&RenewRequest { csr: identity.csr.clone() })).await?;
    Ok(Given { identity, chain: renewed.certificate, key, closed })
}

/// As a machine whose key is known: the server takes it for a while, later an admin types the code.
async fn by_key(marker: &InstallMarker, anchors: &TrustAnchors, own: &Pair) -> Result<Given> {
    tracing::info!("the certificate has ended: asking by the key of this node");
    let identity = Identity::from_pem(&file::read_text(&own.key)?)?;
    let server = BootServer::new(&marker.server, anchors, None)?;
    let (greeted, _) = in_time(enrol::hello(&server, anchors, &identity)).await?;
    let inventory = inventory::read();
    let run: RunId = format!("renew-{}", uuid::Uuid::new_v4().simple()).parse().unwrap_or_else(|_| marker.run.clone());
    // What the installed system has measured is not what the firmware had when it booted from the network.
    let (claims, found) = (inventory::claims(&inventory, None), TpmFound::Nothing);
    let asking = Asking { claims, inventory: &inventory, run, replaces: None, token: None, found, chip: None };
    let waits = |text: &str| tracing::warn!("{text}");
    let approved = enrol::enrol(&server, &identity, &greeted, asking, waits, std::future::pending, || ()).await?;
    if approved.node != marker.node {
        let cause = format!("asking by the key of {}: the server takes it for {}", marker.node, approved.node);
        return Err(Failure::new(Code::EnrolConflict, cause)
            .with_remedy("an admin looks at both of them: boot-server describe node NAME"));
    }
    Ok(Given { identity, chain: approved.certificate, key: None, closed: None })
}

/// What was given is for this key, of the CA that is pinned, and good. When it ends.
fn check(given: &Given, anchors: &TrustAnchors) -> Result<Timestamp> {
    let refused = |why: &str| {
        Failure::new(Code::Tls, format!("checking the new certificate: {why}"))
            .with_remedy("the one before it stays; see what answers at the boot-server's address, and its log")
    };
    let identity = given.identity.for_tls(&given.chain)?;
    if !credentials::is_pair(&identity) {
        return Err(refused("it is for another key"));
    }
    let issuer = identity.chain.last().and_then(|root| certificate::spki(root));
    if identity.chain.len() < 2 || !issuer.is_some_and(|spki| anchors.ca_spki_sha256.contains(&spki)) {
        return Err(refused("it does not come from the CA that this node trusts"));
    }
    let (_, ends) = credentials::validity(&identity.chain[0])?;
    // It may end before the one that there is: the operator has made lives shorter.
    if ends <= Timestamp::now_utc() {
        return Err(refused("it has ended already"));
    }
    Ok(ends)
}

async fn in_time<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Failure::new(Code::ServerUnreachable, "asking the boot-server: no answer in time");
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(late()))
}
