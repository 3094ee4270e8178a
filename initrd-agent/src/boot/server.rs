//! The boot-server as the agent sees it: one function per call of its API.

use crate::http::{Client, Identity, Trust};
use hyper::{Method, Response, Uri, body::Incoming};
use protocol::{
    encoding::Sha256,
    enrol::{EnrolReply, EnrolRequest, HelloReply, HelloRequest},
    failure::Result,
    manifest::{ManifestRequest, SecretBundle, SignedManifest},
    report::{InstalledReply, InstalledReport, PlanReply, PlanReport, WipedReport},
    trust::TrustAnchors,
};
use std::time::SystemTime;

/// How long the server may keep a poll open, seconds.
const POLL_SECONDS: u32 = 25;

/// A client that trusts the image's pins alone, and takes no time before the image was built as now.
///
/// # Errors
/// `E-TLS` where the certificate or key cannot be used.
pub fn pinned_client(anchors: &TrustAnchors, identity: Option<Identity>) -> Result<Client> {
    let floor = anchors.build_time.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    Client::new(&Trust::Pinned(anchors.ca_spki_sha256.clone()), identity, floor)
}

/// A client for caches: with the boot-server's host as [`pinned_client`], elsewhere also with the CAs of the
/// image, where it has any. It goes through no proxy: nothing in the initrd could name one.
///
/// # Errors
/// `E-TLS` where TLS cannot be set up.
pub fn cache_client(anchors: &TrustAnchors, server_url: &str) -> Result<Client> {
    let floor = anchors.build_time.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
    let url: Uri = server_url.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default().to_owned();
    Client::new(&Trust::PinnedFor(host, anchors.ca_spki_sha256.clone()), None, floor)
}

/// The boot-server at one URL, with a certificate or without.
#[derive(Clone)]
pub struct BootServer {
    /// The client, with the node's certificate once there is one.
    pub client: Client,
    /// `https://HOST:PORT`.
    pub url: String,
}

impl BootServer {
    /// The server at `url`, trusted by the image's pins alone.
    ///
    /// # Errors
    /// `E-TLS` where the certificate or key cannot be used.
    pub fn new(url: &str, anchors: &TrustAnchors, identity: Option<Identity>) -> Result<Self> {
        let client = pinned_client(anchors, identity)?;
        Ok(Self { client, url: url.to_owned() })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// First message of the enrolment.
    ///
    /// # Errors
    /// Those of [`Client::call`]; so for every call here.
    pub async fn hello(&self, hello: &HelloRequest) -> Result<HelloReply> {
        self.client.call(Method::POST, &self.at("/v1/enrol/hello"), Some(hello)).await
    }

    /// Second message of the enrolment.
    #[allow(missing_docs)]
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply> {
        self.client.call(Method::POST, &self.at("/v1/enrol"), Some(request)).await
    }

    /// Where the enrolment stands; answers when it changes, or after a while.
    pub async fn poll_enrolment(&self, session: &str) -> Result<EnrolReply> {
        let path = format!("/v1/enrol/{session}?wait={POLL_SECONDS}");
        self.client.call(Method::GET, &self.at(&path), None::<&()>).await
    }

    /// The signed manifest.
    pub async fn manifest(&self, request: &ManifestRequest) -> Result<SignedManifest> {
        self.client.call(Method::POST, &self.at("/v1/node/manifest"), Some(request)).await
    }

    /// What only this node may have.
    pub async fn secrets(&self, generation: u64) -> Result<SecretBundle> {
        let path = format!("/v1/node/secrets?generation={generation}");
        self.client.call(Method::GET, &self.at(&path), None::<&()>).await
    }

    /// Shows the plan and asks whether it may be carried out.
    pub async fn plan(&self, report: &PlanReport) -> Result<PlanReply> {
        self.client.call(Method::POST, &self.at("/v1/node/plan"), Some(report)).await
    }

    /// A file of a deployed image, its body still to be read.
    pub async fn artefact(&self, sha256: &Sha256) -> Result<Response<Incoming>> {
        self.client.fetch(&self.at(&format!("/v1/artefacts/{sha256}"))).await
    }

    /// The installation is complete.
    pub async fn installed(&self, report: &InstalledReport) -> Result<InstalledReply> {
        self.client.call(Method::POST, &self.at("/v1/node/installed"), Some(report)).await
    }

    /// The disks of a node that is to be retired are wiped.
    pub async fn wiped(&self, report: &WipedReport) -> Result<()> {
        self.client.call::<serde_json::Value>(Method::POST, &self.at("/v1/node/wiped"), Some(report)).await.map(drop)
    }
}
