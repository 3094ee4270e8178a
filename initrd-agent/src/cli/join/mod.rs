//! `initrd-agent join`, `health-check`, `leave`, `members`, `check-config`, `renew`, `unseal`

mod check_config;
mod enter;
mod health;
mod members;
mod renew;
mod unseal;

pub use check_config::{CheckConfigArgs, check_config};
pub use enter::{JoinArgs, join, usage_status};
pub use health::{HealthArgs, health_check};
pub use members::{LeaveArgs, MembersArgs, leave, members};
pub use renew::{RenewArgs, renew};
pub use unseal::{UnsealArgs, unseal};

use ::join::{
    capacity::Capacity,
    credentials::{Credentials, LOCAL, Paths},
    discovery,
    driver::{Node, Settings, decide, default_data_dir, default_start_command},
    last_words, markers,
    report::Link,
};
use protocol::{
    Code, Failure,
    cluster::ClusterConfig,
    failure::{OrFail, Result},
    marker::MARKER_PATH,
    parse,
    service::Service,
};
use std::{
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Exit code: wrong arguments or configuration, and nothing was contacted.
const BAD_CONFIGURATION: u8 = 3;
/// No configuration is larger than this.
const MAX_CONFIG: u64 = 1 << 20;

/// Where the node's configuration is.
#[derive(clap::Args)]
struct ConfigArgs {
    /// The cluster configuration (cluster-config.json in the secrets folder)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where ca.crt, the node's certificate (NODE.crt, NODE.key, or node.crt, node.key) and iam-admin.json are
    #[arg(long, value_name = "DIR", default_value = "/etc/nixos/secrets")]
    secrets_dir: PathBuf,
}

#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    config: ConfigArgs,
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
    /// What the installer left: names the boot-server
    #[arg(long, value_name = "FILE", default_value_os_t = Path::new("/").join(MARKER_PATH))]
    install_marker: PathBuf,
}

/// Whoever can write the file decides whom this node joins.
fn writable_by_others(mode: u32, owner: u32) -> Option<(String, &'static str)> {
    if mode & 0o022 != 0 {
        let why = format!("its mode is {:04o}, others than its owner can write it", mode & 0o7777);
        return Some((why, "chmod 0600 the file"));
    }
    let own = nix::unistd::geteuid().as_raw();
    (owner != 0 && owner != own).then(|| (format!("it belongs to the user {owner}"), "chown root the file"))
}

impl ConfigArgs {
    fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.secrets_dir.join("cluster-config.json"))
    }

    fn read(&self) -> Result<ClusterConfig> {
        let path = self.path();
        let reading = || format!("reading {}", path.display());
        let file = File::open(&path).or_fail(Code::Config, reading).map_err(|failure| {
            failure.with_remedy("put the node's cluster-config.json there, or name it with --config")
        })?;
        let metadata = file.metadata().or_fail(Code::Config, reading)?;
        if let Some((why, remedy)) = writable_by_others(metadata.mode(), metadata.uid()) {
            return Err(Failure::new(Code::Config, format!("{}: {why}", reading())).with_remedy(remedy));
        }
        let mut bytes = Vec::new();
        file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).or_fail(Code::Config, reading)?;
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(Failure::new(Code::Config, format!("{}: it is larger than 1 MiB", reading())));
        }
        let config: ClusterConfig = parse::json(&path.display().to_string(), &bytes)?;
        config.check()?;
        Ok(config)
    }
}

impl Common {
    fn settings(&self, service: Service, config: &ClusterConfig) -> Settings {
        Settings {
            secrets_dir: self.config.secrets_dir.clone(),
            state_dir: self.state_dir.clone(),
            data_dir: self.data_dir.clone().unwrap_or_else(|| default_data_dir(service)),
            port: self.port.or(config.port_of(service)).unwrap_or(service.port()),
            start_command: default_start_command(service),
            attempts: 5,
            retry_base: Duration::from_millis(self.retry_base),
            health_timeout: Duration::from_secs(120),
            least_free: 0,
            least: Capacity { memory: 0, cpus: 0 },
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            process: service.name().to_owned(),
            journal_command: last_words::default_command(service),
        }
    }

    /// The boot-server that installed this node, where one did.
    fn link(&self) -> Result<Option<Link>> {
        Link::open(&self.install_marker, &self.config.secrets_dir)
    }

    /// The node as its markers have it, or, where it is in no cluster yet, its configuration.
    fn node(&self, service: Service, config: ClusterConfig, settings: Settings) -> Result<(Node, Credentials)> {
        let marker = markers::find(&settings.state_dir, service)?;
        let tls = Paths::of(&config, &self.config.secrets_dir);
        let credentials = tls.load()?;
        let client = credentials.client(Duration::from_millis(self.call_timeout))?;
        let way = marker.as_ref().map_or_else(|| decide(service, &config), |(kind, _)| kind.way());
        let entered = marker.is_some();
        let mut node = Node {
            service,
            config,
            way,
            entered,
            members: Vec::new(),
            replaces: None,
            snapshot: None,
            token: None,
            tls,
            local: client.with(LOCAL),
            client,
            settings,
        };
        node.members = discovery::configured(&node);
        if entered {
            node.members = discovery::others(&node, node.members.clone().into_iter().chain(discovery::known(&node)));
        }
        Ok((node, credentials))
    }
}

fn service(name: &str) -> Result<Service> {
    name.parse().or_fail(Code::Config, || "reading the command line")
}

/// Exit code of a failure.
fn exit_code(failure: &Failure) -> u8 {
    match failure.code {
        Code::Config | Code::Input => BAD_CONFIGURATION,
        _ => 1,
    }
}

fn log_failure(failure: &Failure) {
    tracing::error!(code = failure.code.as_str(), remedy = failure.remedy, "{}", failure.cause);
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_fail(Code::System, || "starting the runtime")?.block_on(work)
}
