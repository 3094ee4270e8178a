//! config.toml: unknown keys and wrong types are refused with the path of the key.

mod cluster;
pub mod oidc;

pub use cluster::{Cluster, Power};

use crate::{
    base::{network::Network, span::Span},
    netboot::site::{Boots, Site},
};
use ::tpm::certificate::Issuers;
use host::file;
use protocol::{
    Code, Failure,
    boot_trust::BootTrust,
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    spec::{Admission, NodeKey},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of this server on the boot network.
    pub address: Ipv4Addr,
    /// The process of the server.
    #[serde(default)]
    pub server: Server,
    /// DHCP and router advertisements.
    #[serde(default)]
    pub dhcp: crate::netboot::dhcp::Config,
    /// TFTP.
    #[serde(default)]
    pub tftp: crate::netboot::tftp::Config,
    /// Plain boot HTTP.
    #[serde(default)]
    pub http: crate::netboot::http::Config,
    /// Enrolment and administration.
    #[serde(default)]
    pub https: Https,
    /// Who may become a node.
    #[serde(default)]
    pub enrol: Enrol,
    /// TPMs of machines.
    #[serde(default)]
    pub tpm: Tpm,
    /// Certificates of nodes.
    #[serde(default)]
    pub certificates: Certificates,
    /// Where admins log in to the page; with tokens alone where it is absent.
    #[serde(default)]
    pub oidc: Option<oidc::Oidc>,
    /// Kernels and initrds.
    #[serde(default)]
    pub images: Images,
    /// The Nix binary cache.
    #[serde(default)]
    pub cache: Cache,
    /// iPXE programs.
    #[serde(default)]
    pub ipxe: Ipxe,
    /// The menu of a machine that nobody knows.
    #[serde(default)]
    pub menu: Menu,
    /// Clusters and their nodes' health.
    #[serde(default)]
    pub cluster: Cluster,
    /// What is kept of what machines tell.
    #[serde(default)]
    pub journal: Journal,
    /// The power of machines.
    #[serde(default)]
    pub power: Power,
    /// The folder of the file; relative paths start here.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// `[server]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The account that a server which is started as root becomes once its ports are bound: a name of /etc/passwd, or `UID:GID`.
    pub user: Option<String>,
}

/// `[https]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Https {
    /// Where to listen; the server's address and port 8443 where it is absent.
    pub listen: Option<SocketAddr>,
    /// Further names and addresses for the server's certificate.
    pub names: Vec<String>,
    /// The operator's own certificate for the page, PEM: shown to who asks for a name in it.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Proxies that say in `X-Forwarded-For` for whom they ask. Nobody else is believed.
    pub trusted_proxies: Vec<Network>,
}

/// `[enrol]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enrol {
    /// How a machine may become a node where its spec does not say: ways in the order in which they are tried.
    pub admission: Admission,
    /// The same for the nodes of a profile.
    pub profiles: BTreeMap<NodeName, Admission>,
    /// What has to be verified of a machine's boot before it gets its secrets, where its spec does not say.
    pub secrets_at_least: BootTrust,
    /// How installed systems keep the node's key, where its spec does not say.
    pub node_key: NodeKey,
}

/// `[tpm]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tpm {
    /// PEM files with certificates of vendors: whose endorsement key one of these has certified has a genuine TPM.
    pub roots: Vec<PathBuf>,
    /// SHA-256 of public areas of endorsement keys: these TPMs are known.
    pub ek_allow: BTreeSet<Sha256>,
}

impl Tpm {
    /// The vendors whose word counts.
    ///
    /// # Errors
    /// `E-CONFIG` where a file cannot be read or has no certificate of an issuer.
    pub fn issuers(&self) -> Result<Issuers> {
        let mut issuers = Issuers::default();
        for path in &self.roots {
            issuers.add(file::read_text(path)?.as_bytes()).map_err(|failure| {
                Failure::new(Code::Config, format!("reading {} (tpm.roots): {}", path.display(), failure.cause))
                    .with_remedy(
                        "give PEM files with the certificates of the vendor that issue those of endorsement keys",
                    )
            })?;
        }
        Ok(issuers)
    }
}

/// `[certificates]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificates {
    /// Life of a node's certificate, which the node renews when two thirds of it are over.
    pub node_life: Span,
    /// So long after the end of its certificate a node that was off comes back by its key; later an admin types its code.
    pub return_within: Span,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { node_life: Span(time::Duration::days(7)), return_within: Span(time::Duration::days(30)) }
    }
}

/// `[images]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Folder of image-builder's output.
    pub dir: PathBuf,
    /// What a machine boots that no spec knows.
    pub default_profile: NodeName,
}

impl Default for Images {
    fn default() -> Self {
        Self { dir: "images".into(), default_profile: protocol::spec::default_profile() }
    }
}

/// `[cache]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Folder of the Nix binary cache.
    pub dir: PathBuf,
    /// Largest compressed NAR that is taken in, GiB.
    pub max_upload_gib: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self { dir: "cache".into(), max_upload_gib: 64 }
    }
}

/// `[ipxe]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ipxe {
    /// Folder of the iPXE programs.
    pub dir: PathBuf,
}

impl Default for Ipxe {
    fn default() -> Self {
        Self { dir: "ipxe".into() }
    }
}

/// `[menu]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Menu {
    /// Show a menu on the console of a machine that no spec knows, for so many seconds (0: for ever).
    pub timeout_seconds: Option<u32>,
}

/// `[journal]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Log lines that are kept of a node, MiB; older ones go first. Events stay.
    pub node_mib: NonZeroU32,
    /// Days after which a machine is forgotten that was never admitted and asks no more.
    pub strangers_days: NonZeroU32,
}

impl Default for Journal {
    fn default() -> Self {
        Self { node_mib: const { NonZeroU32::new(64).unwrap() }, strangers_days: const { NonZeroU32::new(7).unwrap() } }
    }
}

impl Journal {
    /// Bytes of a node's lines.
    pub fn node_bytes(&self) -> u64 {
        u64::from(self.node_mib.get()) << 20
    }

    /// How long strangers are remembered.
    pub fn strangers(&self) -> time::Duration {
        time::Duration::days(self.strangers_days.get().into())
    }
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key.
    pub fn load(path: &Path) -> Result<Self> {
        let text = file::read_text(path)?;
        let mut config = Self::parse(&path.display().to_string(), &text)?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        config.dir = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        for dir in [&mut config.images.dir, &mut config.cache.dir, &mut config.ipxe.dir] {
            *dir = config.dir.join(&*dir);
        }
        for path in &mut config.tpm.roots {
            *path = config.dir.join(&*path);
        }
        for file in [&mut config.https.certificate, &mut config.https.key].into_iter().flatten() {
            *file = config.dir.join(&*file);
        }
        let oidc = config.oidc.iter_mut().flat_map(|oidc| [&mut oidc.client_secret_file, &mut oidc.ca]);
        for file in oidc.flatten() {
            *file = config.dir.join(&*file);
        }
        let cluster = &mut config.cluster;
        let hooks =
            [&mut config.power.command, &mut cluster.drain, &mut cluster.backup_hook, &mut cluster.restore_hook];
        for hook in hooks.into_iter().flatten() {
            *hook = config.dir.join(&*hook);
        }
        Ok(config)
    }

    /// Checks the text of a configuration as [`Config::load`] and the legs would.
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key.
    pub fn check(text: &str) -> Result<()> {
        Self::parse("the configuration", text)?.check_dhcp()
    }

    /// Checks `[dhcp]` as its leg would.
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key.
    pub fn check_dhcp(&self) -> Result<()> {
        if self.dhcp.mode == crate::netboot::dhcp::Mode::Off {
            return Ok(());
        }
        let site = Site {
            address: self.address,
            http_port: self.http_address().port(),
            https_port: self.https_address().port(),
            boots: Boots::Plainly,
        };
        self.dhcp.settings(&site).map(drop)
    }

    fn parse(what: &str, text: &str) -> Result<Self> {
        let wrong = |failure: Failure| Failure { code: Code::Config, ..failure };
        let document = toml::Deserializer::parse(text)
            .map_err(|error| Failure::new(Code::Config, format!("reading {what}: {error}")))?;
        let config: Self = serde_path_to_error::deserialize(document)
            .map_err(|error| wrong(protocol::parse::refused(what, &error)))?;
        // It stands in every boot script and in the certificate.
        if config.address.is_unspecified() || config.address.is_multicast() || config.address.is_broadcast() {
            let cause = format!("reading {what} at address: {} is no address of this server", config.address);
            return Err(Failure::new(Code::Config, cause)
                .with_remedy("name the one by which machines on the boot network reach it"));
        }
        if config.https.certificate.is_some() != config.https.key.is_some() {
            let cause = format!("reading {what} at https: certificate and key are named together");
            return Err(Failure::new(Code::Config, cause));
        }
        // Shorter, and nodes would do little else; longer, and a lost key would be good for too long.
        let life = config.certificates.node_life.0;
        if !(time::Duration::MINUTE..=time::Duration::days(398)).contains(&life) {
            let cause = format!("reading {what} at certificates.node_life: it is to be between 1m and 398d");
            return Err(Failure::new(Code::Config, cause).with_remedy("the usual one is 7d"));
        }
        if let Some(oidc) = &config.oidc {
            oidc.check(what)?;
            if oidc.url.is_none() && config.https_address().port() == 0 {
                let cause = format!("reading {what} at oidc.url: [https] listen has no port of its own");
                return Err(Failure::new(Code::Config, cause)
                    .with_remedy("write where browsers reach the page, such as https://boot.example.org:8443"));
            }
        }
        Ok(config)
    }

    /// Where browsers reach the page when they log in at the OIDC provider, as it has to know it.
    pub fn page_origin(&self) -> String {
        if let Some(url) = self.oidc.as_ref().and_then(|oidc| oidc.url.as_deref()) {
            return url.trim_end_matches('/').to_owned();
        }
        let host = self.https.names.first().cloned().unwrap_or_else(|| self.address.to_string());
        match self.https_address().port() {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        }
    }

    /// Where plain boot HTTP listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http.listen.unwrap_or_else(|| (self.address, 8080).into())
    }

    /// Where enrolment and administration listen.
    pub fn https_address(&self) -> SocketAddr {
        self.https.listen.unwrap_or_else(|| (self.address, 8443).into())
    }

    /// Names and addresses of the server's certificate.
    pub fn server_names(&self) -> Vec<String> {
        let mut names = vec![self.address.to_string()];
        let listen = self.https_address().ip();
        if !listen.is_unspecified() {
            names.push(listen.to_string());
        }
        names.extend(["127.0.0.1".to_owned(), "localhost".to_owned()]);
        names.extend(self.https.names.iter().cloned());
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }
}

#[cfg(test)]
mod tests;
