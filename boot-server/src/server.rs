//! The server's services, each made of what it uses. This is the one place that puts them together.

use crate::{
    base::{bell::Stop, health::Health, requests::Requests},
    cache::Cache,
    clusters::{
        arbiter::Arbiter,
        founding::Founding,
        members::Members,
        operations::{Hooks, Operations},
    },
    config::Config,
    domain::enrolment::Policy,
    fleet::{
        boots::Boots, closures::Closures, installs::Installs, intake::Intake, pushes::Pushes, secrets::Secrets,
        specs::Specs, view::View, vitals::Vitals,
    },
    state::{self, State},
    trust::{
        admission::{Admission, Prover},
        ca::Ca,
        certificates::Certificates,
        manifest::Signer,
        oidc::Oidc,
        quotes::Quotes,
        tokens::Tokens,
    },
};
use protocol::failure::Result;
use std::sync::Arc;

/// What the legs and the routes are given.
pub struct Services {
    /// As configured.
    pub config: Config,
    /// The state.
    pub state: State,
    /// The certificate authority.
    pub ca: Arc<Ca>,
    /// Who signs manifests.
    pub signer: Arc<Signer>,
    /// The Nix binary cache.
    pub cache: Arc<Cache>,
    /// What the legs and the state are doing.
    pub health: Health,
    /// How much strangers ask.
    pub requests: Arc<Requests>,
    /// Tells everybody that the server stops.
    pub stop: Stop,
    /// Who an admin is.
    pub tokens: Tokens,
    /// Where admins log in elsewhere.
    pub oidc: Option<Arc<Oidc>>,
    /// Certificates of nodes.
    pub certificates: Certificates,
    /// Hears what was measured when systems of nodes started.
    pub quotes: Quotes,
    /// Admits machines.
    pub admission: Arc<Admission>,
    /// Takes in what operators apply.
    pub specs: Specs,
    /// Secrets of nodes apart from their specs.
    pub secrets: Secrets,
    /// Says what machines boot.
    pub boots: Arc<Boots>,
    /// Serves nodes while they are installed.
    pub installs: Installs,
    /// Takes telemetry in.
    pub intake: Intake,
    /// Knows how installed nodes are.
    pub vitals: Arc<Vitals>,
    /// Shows nodes and machines.
    pub view: View,
    /// The cache beside the nodes that need it.
    pub closures: Closures,
    /// Notes who fills the cache.
    pub pushes: Pushes,
    /// Gives turns.
    pub arbiter: Arbiter,
    /// Hands out what a cluster that was lost begins with.
    pub founding: Founding,
    /// Asks members.
    pub members: Members,
    /// Removes, replaces and decommissions nodes.
    pub operations: Arc<Operations>,
}

/// Reads the folder of an init and opens its state.
///
/// # Errors
/// `E-CONFIG`, `E-SYSTEM`.
pub async fn open(config: Config) -> Result<Arc<Services>> {
    let (health, stop) = (Health::default(), Stop::default());
    let dir = config.dir.clone();
    let oidc = Oidc::new(&config, health.clone())?.map(Arc::new);
    let state = State::open(&state::path_in(&dir), health.clone()).await?;
    let (ca, signer) = (Arc::new(Ca::load(&dir)?), Arc::new(Signer::load(&dir)?));
    let cache = Cache::open(config.cache.dir.clone(), u64::from(config.cache.max_upload_gib) << 30);
    let certificates = Certificates::new(state.clone(), ca.clone(), signer.clone(), config.certificates.node_life.0);
    let policy = Policy {
        admission: config.enrol.admission.clone(),
        by_profile: config.enrol.profiles.clone(),
        listed_tpms: config.tpm.ek_allow.clone(),
        return_within: config.certificates.return_within.0,
    };
    let prover = Prover::new(config.tpm.issuers()?)?;
    let admission = Admission::new(
        state.clone(),
        ca.clone(),
        certificates.clone(),
        signer.clone(),
        policy.clone(),
        prover,
        stop.clone(),
    );
    let admission = Arc::new(admission);
    let vitals = Arc::new(Vitals::new(state.clone(), config.cluster.silent_after(), stop.clone()));
    let hooks = Hooks {
        power: config.power.clone(),
        drain: config.cluster.drain.clone(),
        drain_timeout: config.cluster.hook_timeout(),
    };
    let profile = config.images.default_profile.clone();
    let tokens = Tokens::new(state.clone());
    tokens.follow(config.oidc.as_ref()).await?;
    Ok(Arc::new(Services {
        secrets: Secrets::new(state.clone()),
        specs: Specs::new(state.clone(), cache.clone(), admission.clone(), config.dhcp.network(config.address)),
        boots: Arc::new(Boots::new(state.clone(), policy, profile, config.menu.timeout_seconds)),
        installs: Installs::new(state.clone(), signer.clone(), config.enrol.secrets_at_least, config.enrol.node_key),
        intake: Intake::new(state.clone(), config.journal.node_bytes()),
        view: View::new(state.clone(), admission.clone(), vitals.clone()),
        closures: Closures::new(state.clone(), cache.clone()),
        pushes: Pushes::new(state.clone(), stop.clone()),
        arbiter: Arbiter::new(state.clone(), vitals.clone()),
        founding: Founding::new(state.clone(), dir),
        members: Members::new(state.clone(), ca.clone()),
        operations: Arc::new(Operations::new(state.clone(), ca.clone(), admission.clone(), hooks)),
        signer,
        tokens,
        oidc,
        quotes: Quotes::new(state.clone()),
        certificates,
        admission,
        vitals,
        config,
        state,
        ca,
        cache,
        health,
        requests: Arc::default(),
        stop,
    }))
}
