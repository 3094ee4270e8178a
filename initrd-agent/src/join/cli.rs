//! `initrd-agent join`, `initrd-agent health-check`

use super::{
    Service,
    credentials::{Credentials, Paths},
    driver::{Node, Settings, Way, decide},
    health::{self, Health},
    log::Log,
    markers,
    peer::PeerClient,
    report::{Link, Reporter},
};
use protocol::{
    Code, Failure,
    cluster::ClusterConfig,
    failure::{OrFail, Result},
    marker::MARKER_PATH,
    parse,
    report::JoinOutcome,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Exit code of `join`: the cluster had this node already. Units count it as success.
const ALREADY_MEMBER: u8 = 2;
/// Exit code of `join`: wrong arguments or configuration, and nothing was contacted.
const BAD_CONFIGURATION: u8 = 3;
/// Exit code of `join --decide` for the same.
const UNDECIDED: u8 = 2;
/// No configuration is larger than this.
const MAX_CONFIG: u64 = 1 << 20;

/// Join a cluster.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// etcd or chainfire
    service: String,
    /// Only say which way it would be: exit 0 bootstrap, 1 join, 2 bad configuration
    #[arg(long)]
    decide: bool,
    #[command(flatten)]
    common: Common,
    /// What starts the service, where the joiner does (etcd: systemctl start --no-block etcd.service)
    #[arg(long, value_name = "COMMAND")]
    start_command: Option<String>,
    /// How often the cluster is asked
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
    /// How long the service on this node may take to become healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    health_timeout: u64,
    /// What the installer left for the report to the boot-server
    #[arg(long, value_name = "FILE", default_value_os_t = Path::new("/").join(MARKER_PATH))]
    install_marker: PathBuf,
    /// Least free space for the state and the data
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    least_free: u64,
}

/// Check the health of the cluster's services.
#[derive(clap::Args)]
pub struct HealthArgs {
    /// Services to check; those that have a marker where none is named
    services: Vec<String>,
    #[command(flatten)]
    common: Common,
    /// How long a service may take to become healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

#[derive(clap::Args)]
struct Common {
    /// The cluster configuration (cluster-config.json in the secrets folder)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where ca.crt, node.crt and node.key are
    #[arg(long, value_name = "DIR", default_value = "/etc/nixos/secrets")]
    secrets_dir: PathBuf,
    /// Markers and etcd.env
    #[arg(long, value_name = "DIR", default_value = "/var/lib/first-boot-automation")]
    state_dir: PathBuf,
    /// The service's data (/var/lib/SERVICE)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The service's client port on this node
    #[arg(long)]
    port: Option<u16>,
    /// The first pause between attempts; it doubles
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    retry_base: u64,
    /// How long one call may take
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    call_timeout: u64,
}

impl Common {
    fn config(&self) -> Result<ClusterConfig> {
        let path = self.config.clone().unwrap_or_else(|| self.secrets_dir.join("cluster-config.json"));
        let read = || format!("reading {}", path.display());
        let metadata = std::fs::metadata(&path).or_fail(Code::Config, read).map_err(|failure| {
            failure.with_remedy("put the node's cluster-config.json there, or name it with --config")
        })?;
        if metadata.len() > MAX_CONFIG {
            return Err(Failure::new(Code::Config, format!("{}: it is larger than 1 MiB", read())));
        }
        let bytes = std::fs::read(&path).or_fail(Code::Config, read)?;
        let config: ClusterConfig = parse::json(&path.display().to_string(), &bytes)?;
        config.check()?;
        Ok(config)
    }

    fn settings(&self, service: Service) -> Settings {
        Settings {
            state_dir: self.state_dir.clone(),
            data_dir: self.data_dir.clone().unwrap_or_else(|| service.default_data_dir()),
            port: self.port.unwrap_or(service.default_port()),
            start_command: service.default_start_command(),
            attempts: 5,
            retry_base: Duration::from_millis(self.retry_base),
            health_timeout: Duration::from_secs(120),
            least_free: 0,
        }
    }

    fn node(&self, config: ClusterConfig, settings: Settings) -> Result<(Node, Credentials)> {
        let tls = Paths::of(&config, &self.secrets_dir);
        let credentials = tls.load()?;
        let client = PeerClient::new(&credentials, Duration::from_millis(self.call_timeout))?;
        Ok((Node { config, tls, client, settings }, credentials))
    }
}

/// Exit code for a command line that clap refuses: its own 2 would read as "already a member".
pub fn usage_status(decide: bool) -> u8 {
    if decide { UNDECIDED } else { BAD_CONFIGURATION }
}

/// Runs `join`.
pub fn join(args: &JoinArgs) -> ExitCode {
    let log = Log::install(&args.service);
    if args.decide {
        return ExitCode::from(decided(args));
    }
    log.operation("configuration");
    let outcome = args.service.parse::<Service>().and_then(|service| {
        let config = args.common.config()?;
        block_on(joined(args, service, config, log))
    });
    ExitCode::from(match outcome {
        Ok(outcome) => status(outcome),
        Err(failure) => failed(&failure),
    })
}

async fn joined(args: &JoinArgs, service: Service, config: ClusterConfig, log: Log) -> Result<Option<JoinOutcome>> {
    let mut settings = args.common.settings(service);
    if let Some(command) = &args.start_command {
        settings.start_command = command.split_whitespace().map(str::to_owned).collect();
    }
    settings.attempts = args.attempts;
    settings.health_timeout = Duration::from_secs(args.health_timeout);
    settings.least_free = args.least_free << 20;
    let (node, credentials) = args.common.node(config, settings)?;
    // A boot-server that cannot be spoken to is no reason not to join.
    let link = Link::open(&args.install_marker, credentials.identity.clone()).unwrap_or_else(|failure| {
        tracing::warn!(code = failure.code.as_str(), "joining without reports: {}", failure.cause);
        None
    });
    super::join(service, &node, &credentials, &mut Reporter::new(log, link)).await
}

fn decided(args: &JoinArgs) -> u8 {
    match args.service.parse::<Service>().and_then(|_| args.common.config()) {
        Ok(config) => match decide(&config) {
            Way::Bootstrap => {
                tracing::info!("bootstrap");
                0
            }
            Way::Join => {
                tracing::info!("join by {}", config.leader_url);
                1
            }
        },
        Err(failure) => {
            log_failure(&failure);
            UNDECIDED
        }
    }
}

/// Runs `health-check`.
pub fn health_check(args: &HealthArgs) -> ExitCode {
    let checked = args.common.config().and_then(|config| block_on(checked(args, config)));
    match checked {
        Ok(health) => {
            println!("{}", serde_json::to_string(&health).unwrap_or_default());
            ExitCode::from(u8::from(!health.healthy))
        }
        Err(failure) => {
            println!("{}", serde_json::json!({"healthy": false, "failure": failure}));
            ExitCode::FAILURE
        }
    }
}

async fn checked(args: &HealthArgs, config: ClusterConfig) -> Result<Health> {
    let mut services = args.services.iter().map(|name| name.parse()).collect::<Result<Vec<Service>>>()?;
    if services.is_empty() {
        for service in Service::ALL {
            if markers::find(&args.common.state_dir, service)?.is_some() {
                services.push(service);
            }
        }
    }
    if services.is_empty() {
        let cause = format!("looking for markers in {}: no service has been joined", args.common.state_dir.display());
        return Err(Failure::new(Code::NotFound, cause).with_remedy("join a service first, or name the services"));
    }
    let mut health = Health { healthy: true, node: config.node_id.clone(), services: Vec::new() };
    for service in services {
        let settings = Settings { health_timeout: Duration::from_secs(args.timeout), ..args.common.settings(service) };
        let (node, _) = args.common.node(config.clone(), settings)?;
        health.services.push(health::check(service, &node).await);
    }
    health.healthy = health.services.iter().all(|service| service.healthy);
    Ok(health)
}

/// Exit code of a join that did not fail.
fn status(outcome: Option<JoinOutcome>) -> u8 {
    match outcome {
        Some(JoinOutcome::AlreadyMember) => ALREADY_MEMBER,
        Some(JoinOutcome::Bootstrapped | JoinOutcome::Joined) | None => 0,
    }
}

/// Exit code of a join that failed.
fn exit_code(failure: &Failure) -> u8 {
    match failure.code {
        Code::Config | Code::Input => BAD_CONFIGURATION,
        _ => 1,
    }
}

/// The one place where a failure of `join` is printed.
fn failed(failure: &Failure) -> u8 {
    log_failure(failure);
    exit_code(failure)
}

fn log_failure(failure: &Failure) {
    tracing::error!(code = failure.code.as_str(), remedy = failure.remedy, "{}", failure.cause);
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_fail(Code::System, || "starting the runtime")?.block_on(work)
}
