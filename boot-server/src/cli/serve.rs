//! `boot-server serve`: every leg in one process.

use super::privileges;
use crate::{
    base::{clock::now, health::Health},
    config::Config,
    fleet::{expiry, upkeep},
    netboot::{
        context::Context,
        dhcp, http,
        site::{Boots, Site},
        tftp,
    },
    server::{self, Services},
    state::{self, State},
    trust::{ca::Ca, generations, ipxe, manifest::Signer, oidc::Oidc},
    web::{forwarded::is_proxy, https, page_certificate::Page},
};
use host::file;
use nix::sys::socket::{Backlog, listen};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tracing_subscriber::EnvFilter;

/// Run the server
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config.toml of an init folder
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Go on as this account once the ports are bound, in place of server.user [default: whoever starts it]
    #[arg(long, value_name = "NAME|UID:GID")]
    user: Option<String>,
    /// Check the configuration, the files that it names and those of the folder, and run nothing
    #[arg(long)]
    check: bool,
}

/// What is bound while the process may still bind it. Nothing is read of it before the rest is given up.
struct Sockets {
    https: StdListener,
    http: StdListener,
    tftp: Option<UdpSocket>,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self> {
        let (https, http) = (bind(config.https_address())?, bind(config.http_address())?);
        Ok(Self { https, http, tftp: tftp::bind(&config.tftp, config.address)? })
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(args: &Args) -> Result<()> {
    log_to_stderr();
    let config = Config::load(&args.config)?;
    if args.check {
        return super::runtime()?.block_on(check(&config));
    }
    let own = ["ca.key", "issuing.key", "manifest.key", "secrets.key", "admin.token", "state.db"].map(str::to_owned);
    let own = own.into_iter().chain(ipxe::keys());
    for (path, mode) in readable_by_others(own.map(|name| config.dir.join(name))) {
        let path = path.display();
        tracing::warn!(
            "{path} is not for its owner alone (mode {mode:04o}), and who reads it is the admin: chmod 0600 {path}"
        );
    }
    for (path, mode) in readable_by_others(config.oidc.iter().filter_map(|oidc| oidc.client_secret_file.clone())) {
        let path = path.display();
        tracing::warn!("{path} is not for its owner alone (mode {mode:04o}): chmod 0600 {path}");
    }
    if is_proxy(Ipv4Addr::LOCALHOST.into(), &config.https.trusted_proxies) {
        tracing::warn!(
            "https.trusted_proxies has 127.0.0.1: admins on this host are served among those behind the proxy; have it connect from \
             another address (nginx: proxy_bind 127.0.0.2), and name that one"
        );
    }
    let sockets = Sockets::bind(&config)?;
    privileges::give_up(&config, args.user.as_deref())?;
    super::runtime()?.block_on(serve(config, sockets))
}

async fn serve(config: Config, sockets: Sockets) -> Result<()> {
    let services = server::open(config).await?;
    let ended = legs(services.clone(), sockets).await;
    services.state.close().await;
    tracing::info!("stopped");
    ended
}

/// Refuses what the legs and services would, and says what an operator has to tell others.
async fn check(config: &Config) -> Result<()> {
    config.check_dhcp()?;
    config.tpm.issuers()?;
    Page::load(config)?;
    let oidc = Oidc::new(config, Health::default())?;
    State::check(&state::path_in(&config.dir)).await?;
    let ca = Ca::load(&config.dir)?;
    Signer::load(&config.dir)?;
    refuse_unknown_to_images(&config.dir, &ca)?;
    ipxe::identity(&config.dir, &config.server_names(), now())?;
    host::say!("the configuration is good");
    let Some(oidc) = oidc else { return Ok(()) };
    host::say!("the redirect URL of the OIDC client, to be registered at the provider: {}", oidc.redirect());
    match oidc.try_provider().await {
        Ok(()) => host::say!("the OIDC provider answers"),
        // It may be up when the server is.
        Err(failure) => host::tell!("the OIDC provider cannot be used now: {failure}"),
    }
    Ok(())
}

/// Images believe what trust.json said when they were built: what goes by another root or key they refuse.
fn refuse_unknown_to_images(dir: &Path, ca: &Ca) -> Result<()> {
    let (Some(anchors), Some(current)) = (generations::anchors(dir)?, ca.generations().into_iter().next()) else {
        return Ok(());
    };
    let unknown = [
        ("ca.crt", !anchors.ca_spki_sha256.contains(&current.spki)),
        ("manifest.key", !anchors.manifest_keys.contains(&current.manifest_key)),
    ];
    match unknown.into_iter().find(|(_, is_unknown)| *is_unknown) {
        None => Ok(()),
        Some((name, _)) => {
            let cause = format!("checking {}: it is not the one of trust.json", dir.join(name).display());
            Err(Failure::new(Code::Config, cause).with_remedy("bring both back from one backup of this server"))
        }
    }
}

/// Those of these files that others than their owner may read or write, with their modes.
fn readable_by_others(secrets: impl IntoIterator<Item = PathBuf>) -> Vec<(PathBuf, u32)> {
    let open = secrets.into_iter().filter_map(|path| {
        let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then_some((path, mode))
    });
    open.collect()
}

/// Tells the ports, runs every leg, and ends with the first that fails or when the server is told to.
async fn legs(services: Arc<Services>, sockets: Sockets) -> Result<()> {
    let config = &services.config;
    let told = told_to_stop()?;
    let using = || "using a listening socket";
    let https_listener = TcpListener::from_std(sockets.https).or_fail(Code::System, using)?;
    let http_listener = TcpListener::from_std(sockets.http).or_fail(Code::System, using)?;
    let (https_port, http_port) = (port_of(&https_listener)?, port_of(&http_listener)?);
    let ports = serde_json::to_vec(&BTreeMap::from([("http", http_port), ("https", https_port)]));
    let ports = ports.or_fail(Code::Internal, || "writing ports.json")?;
    file::write_atomically(&config.dir.join("ports.json"), &ports, 0o644)?;
    tracing::info!("HTTPS on {}:{https_port}, the page and the API", config.https_address().ip());
    let context = Context {
        site: Site { address: config.address, http_port, https_port, boots: Boots::Plainly },
        policy: services.boots.clone(),
        health: services.health.clone(),
        requests: services.requests.clone(),
        state_dir: config.dir.clone(),
    };
    let folders = http::Folders {
        ipxe: config.ipxe.dir.clone(),
        images: config.images.dir.clone(),
        default_profile: config.images.default_profile.clone(),
        cache: services.cache.clone(),
    };
    let over_tls = http::over_tls(folders.clone(), context.clone());
    let health = services.health.clone();
    let mut legs = JoinSet::new();
    watch(&mut legs, &health, "dhcp", dhcp::serve(config.dhcp.clone(), context.clone()));
    watch(&mut legs, &health, "tftp", tftp::serve(sockets.tftp, config.ipxe.dir.clone(), context.clone()));
    watch(&mut legs, &health, "http", http::serve_on(http_listener, folders, context));
    let watch_nodes = tokio::spawn(services.vitals.clone().watch_nodes());
    let (state, strangers, stop) = (services.state.clone(), config.journal.strangers(), services.stop.clone());
    let upkeep = tokio::spawn(upkeep::run(state, strangers, stop));
    let (state, ca, stop) = (services.state.clone(), services.ca.clone(), services.stop.clone());
    let expiry = tokio::spawn(expiry::run(state, ca, config.certificates.node_life.0, stop));
    let (oidc, stop) = (services.oidc.clone(), services.stop.clone());
    let provider = tokio::spawn(async move {
        if let Some(oidc) = oidc {
            oidc.keep_up(stop).await;
        }
    });
    let mut https = tokio::spawn(https::serve(services.clone(), https_listener, over_tls));
    let ended = tokio::select! {
        failure = first_failure(&mut legs) => Err(failure),
        ended = &mut https => return ended.or_fail(Code::Internal, || "serving HTTPS")?,
        () = told => Ok(()),
    };
    tracing::info!("stopping");
    services.stop.now();
    legs.shutdown().await;
    watch_nodes.await.or_fail(Code::Internal, || "watching nodes")?;
    upkeep.await.or_fail(Code::Internal, || "forgetting what is old")?;
    expiry.await.or_fail(Code::Internal, || "looking at certificates")?;
    provider.await.or_fail(Code::Internal, || "looking at the OIDC provider")?;
    https.await.or_fail(Code::Internal, || "serving HTTPS")??;
    ended
}

/// A server that is started anew takes its port at once: the standard library sets SO_REUSEADDR, as tokio does.
fn bind(address: SocketAddr) -> Result<StdListener> {
    let bound = StdListener::bind(address).and_then(|listener| {
        // A rack that is powered on waits to be accepted, beyond the 128 of the standard library.
        listen(&listener, Backlog::new(1024)?)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.or_fail(Code::System, || format!("binding TCP {address}"))
}

fn port_of(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr().or_fail(Code::System, || "reading a port")?.port())
}

/// Runs a leg beside the others.
fn watch(
    legs: &mut JoinSet<Result<()>>,
    health: &Health,
    leg: &'static str,
    serve: impl Future<Output = Result<()>> + Send + 'static,
) {
    let health = health.clone();
    legs.spawn(
        async move { health.watch(leg, serve).await.map_err(|failure| failure.context(format!("serving {leg}"))) },
    );
}

async fn first_failure(legs: &mut JoinSet<Result<()>>) -> Failure {
    while let Some(ended) = legs.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return failure,
            Err(error) => return Failure::from_error(Code::Internal, "running a leg", &error),
        }
    }
    // HTTP never ends by itself, so this is not reached; waiting is what it would mean.
    std::future::pending().await
}

fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).or_fail(Code::System, || "listening for signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn log_to_stderr() {
    // What h2 warns of are frames, as many as a stranger sends; who asks for them gets them (CENTRA_LOG=info,h2=warn).
    let filter = |wanted: &str| EnvFilter::try_new(format!("h2=off,{wanted}"));
    let wanted =
        std::env::var("CENTRA_LOG").ok().filter(|wanted| !wanted.is_empty()).and_then(|wanted| filter(&wanted).ok());
    let filter = wanted.or_else(|| filter("info").ok()).unwrap_or_default();
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    if let Err(error) = subscriber.try_init() {
        let failure = Failure::new(Code::Internal, format!("starting the log: {error}"));
        host::tell!("boot-server: {failure}");
    }
}
