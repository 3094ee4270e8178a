//! What every route and leg of the server shares.

use crate::{
    ca::Ca,
    cache::Cache,
    config::Config,
    enrolment::{self, Entry},
    health::Health,
    lifecycle,
    manifest::ManifestKey,
    operation::Operation,
    policy::{Answer, Boot, Policy},
    presence::{Presence, Waits},
    revoked::Revoked,
    sessions::{AdminSessions, Hellos},
    state::{self, State, audit, nodes},
    vitals::Vitals,
};
use protocol::{
    Timestamp,
    claims::Claims,
    failure::Result,
    names::{Mac, NodeName},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;

/// The server's parts.
pub struct Server {
    /// As configured.
    pub config: Config,
    /// The database.
    pub state: State,
    /// The certificate authority.
    pub ca: Ca,
    /// Signs manifests.
    pub signer: ManifestKey,
    /// The Nix binary cache.
    pub cache: Arc<Cache>,
    /// What the legs are doing.
    pub health: Health,
    /// Enrolments that have said hello and no more.
    pub hellos: Hellos,
    /// What machines do right now.
    pub presence: Presence,
    /// What nodes wait for before they enter their cluster.
    pub waits: Waits,
    /// How installed nodes are.
    pub vitals: Vitals,
    /// When it began to listen.
    pub(crate) begun: Timestamp,
    /// Keys that may do nothing any more.
    pub revoked: Revoked,
    /// Held by the operation on a node that runs.
    pub(crate) operating: tokio::sync::Mutex<()>,
    /// Admins who are logged in to the page.
    pub admins: AdminSessions,
    /// Rings when an enrolment or a node has changed.
    pub changed: Bell,
    /// Rings when the journal has grown.
    pub written: Bell,
    /// Becomes true when the server stops.
    pub stopping: watch::Sender<bool>,
    directory: RwLock<Directory>,
}

/// Nodes in memory: what a boot script and a DHCP packet are decided from.
#[derive(Debug, Default)]
struct Directory {
    entries: Vec<Entry>,
    reserved: HashMap<Mac, Ipv4Addr>,
}

/// Wakes everybody who waits for a change.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bell {
    /// Wakes them.
    pub fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears every ring after this call.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Server {
    /// Reads the folder of an init and opens its state.
    ///
    /// # Errors
    /// `E-CONFIG`, `E-SYSTEM`.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let dir = config.dir.clone();
        let state = State::open(&state_path(&dir)).await?;
        let server = Self {
            vitals: Vitals::of_the_past(state.health().await?),
            begun: now(),
            revoked: Revoked::of(state.revoked_keys().await?),
            operating: tokio::sync::Mutex::default(),
            state,
            ca: Ca::load(&dir)?,
            signer: ManifestKey::load(&dir)?,
            cache: Cache::open(config.cache.dir.clone(), u64::from(config.cache.max_upload_gib) << 30),
            config,
            health: Health::default(),
            hellos: Hellos::default(),
            presence: Presence::default(),
            waits: Waits::default(),
            admins: AdminSessions::default(),
            changed: Bell::default(),
            written: Bell::default(),
            stopping: watch::Sender::new(false),
            directory: RwLock::default(),
        };
        server.refresh().await?;
        Ok(Arc::new(server))
    }

    /// Brings the memory of nodes up to date, and wakes everybody who waits for a change.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn refresh(&self) -> Result<()> {
        let mut directory = Directory::default();
        let operations: HashMap<NodeName, Operation> = self.state.operations().await?.into_iter().collect();
        for node in self.state.nodes().await? {
            let claims = self.claims_of(&node).await?;
            let window = operations.get(&node.name).and_then(|operation| operation.window);
            directory.add(node, claims, window);
        }
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
        self.changed.ring();
        Ok(())
    }

    /// As [`Server::refresh`], where one node has changed: a rack that enrols at once does so a thousand times.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn refresh_node(&self, name: &NodeName) -> Result<()> {
        if let Some(node) = self.state.node(name.as_str()).await? {
            let claims = self.claims_of(&node).await?;
            let window = self.state.operation(name).await?.and_then(|operation| operation.window);
            let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
            directory.entries.retain(|entry| entry.name != *name);
            directory.add(node, claims, window);
        }
        self.changed.ring();
        Ok(())
    }

    async fn claims_of(&self, node: &nodes::Node) -> Result<Option<Claims>> {
        match node.enrolment {
            Some(id) => Ok(self.state.enrolment(id).await?.map(|enrolment| enrolment.claims)),
            None => Ok(None),
        }
    }

    /// Decides over the nodes in memory.
    pub fn with_entries<T>(&self, decide: impl FnOnce(&[Entry]) -> T) -> T {
        decide(&self.directory.read().unwrap_or_else(PoisonError::into_inner).entries)
    }

    /// A name for a machine that is no node.
    pub fn machine_name(key: &protocol::encoding::Sha256) -> String {
        format!("machine-{}", &key.hex()[..8])
    }

    async fn decide_boot(&self, claims: &Claims) -> Result<Boot> {
        let claims = claims.clone().cleaned();
        let found = self.with_entries(|entries| enrolment::find_for_boot(entries, &claims).cloned());
        let Some(entry) = found else {
            return Ok(self.boot_of_unknown());
        };
        if entry.record.after(&lifecycle::Input::Seen).is_ok_and(|after| after != entry.record) {
            let mut write = self.state.write().await?;
            let mut node = nodes::load(&mut write, &entry.name).await?;
            if let Ok(record) = node.record.after(&lifecycle::Input::Seen) {
                node.record = record;
                nodes::save(&mut write, &node, now()).await?;
            }
            state::commit(write).await?;
            self.refresh_node(&entry.name).await?;
        }
        Ok(lifecycle::boot(&entry.name, &entry.profile, &entry.record))
    }

    fn boot_of_unknown(&self) -> Boot {
        let profile = self.config.images.default_profile.clone();
        match self.config.menu.timeout_seconds {
            Some(timeout_seconds) => Boot::Menu { default_profile: profile, timeout_seconds },
            None => Boot::Install { profile, hostname: None },
        }
    }

    async fn note(&self, text: &str) -> Result<()> {
        let mut write = self.state.write().await?;
        audit::note(&mut write, now(), "server", None, text).await?;
        state::commit(write).await
    }
}

impl Directory {
    fn add(&mut self, node: nodes::Node, claims: Option<Claims>, window: Option<Timestamp>) {
        let spec = node.spec.as_ref();
        let address = spec.and_then(|spec| spec.cluster.as_ref()).and_then(|cluster| cluster.node_ip);
        if let (Some(spec), Some(IpAddr::V4(address))) = (spec, address) {
            self.reserved.extend(spec.matches.macs.iter().map(|mac| (mac.clone(), address)));
        }
        let cluster = spec.and_then(|spec| spec.cluster.as_ref()).filter(|cluster| cluster.bootstrap);
        self.entries.push(Entry {
            founds: cluster.map(|cluster| cluster.cluster_name.clone()),
            matches: spec.map(|spec| spec.matches.clone()),
            admission: spec.and_then(|spec| spec.admission),
            profile: spec.map_or_else(protocol::spec::default_profile, |spec| spec.profile.clone()),
            name: node.name,
            claims,
            window,
            key: node.key,
            record: node.record,
        });
    }
}

/// Who boots what, for the legs: DHCP, TFTP and HTTP know nothing else of this server.
#[derive(Clone)]
pub struct ServerPolicy(pub Arc<Server>);

impl Policy for ServerPolicy {
    fn boot<'a>(&'a self, claims: &'a Claims) -> Answer<'a, Boot> {
        Box::pin(async move {
            self.0.decide_boot(claims).await.unwrap_or_else(|failure| {
                tracing::error!(%failure, "deciding what a machine boots");
                Boot::Wait { reason: "the boot-server cannot read its state".to_owned() }
            })
        })
    }

    fn reserved_address(&self, mac: &Mac) -> Option<Ipv4Addr> {
        self.0.directory.read().unwrap_or_else(PoisonError::into_inner).reserved.get(mac).copied()
    }

    fn event(&self, text: &str) {
        tracing::warn!("{text}");
        let (server, text) = (self.0.clone(), text.to_owned());
        tokio::spawn(async move {
            if let Err(failure) = server.note(&text).await {
                tracing::error!(%failure, "noting an event");
            }
        });
    }
}

/// The database of an init folder.
pub fn state_path(dir: &Path) -> std::path::PathBuf {
    dir.join("state.db")
}

/// The server's clock.
pub fn now() -> Timestamp {
    Timestamp::now_utc()
}
