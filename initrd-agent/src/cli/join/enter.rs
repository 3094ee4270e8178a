//! `initrd-agent join`

use super::{BAD_CONFIGURATION, Common, block_on, exit_code, log_failure, service};
use ::join::configuration;
use ::join::{
    self as joining,
    arbiter::Arbiter,
    capacity::Capacity,
    credentials::Credentials,
    driver::{Node, Way, decide},
    log::Log,
    report::{Link, Reporter},
};
use protocol::{cluster::ClusterConfig, failure::Result, report::JoinOutcome, service::Service, step::Step};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Exit code: the cluster had this node already. Units count it as success.
const ALREADY_MEMBER: u8 = 2;
/// Exit code of `--decide` for wrong arguments or configuration.
const UNDECIDED: u8 = 2;

/// Join a cluster.
#[derive(clap::Args)]
pub struct JoinArgs {
    /// etcd, chainfire, flaredb or iam
    service: String,
    /// What this node enters after it: the node is ready with the last
    #[arg(long, value_name = "SERVICE")]
    then: Vec<String>,
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
    /// Enter by the configuration alone, though a boot-server installed this node: for when that is lost
    #[arg(long)]
    no_arbiter: bool,
    /// Least free space for the state and the data
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    least_free: u64,
    /// Least memory
    #[arg(long, value_name = "MIB", default_value_t = 384)]
    least_memory: u64,
    /// Least processors
    #[arg(long, value_name = "N", default_value_t = 1)]
    least_cpus: u64,
    /// Where the name servers are that are asked for SRV records; a port may stand after an address
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    resolv_conf: PathBuf,
    /// What may listen on the service's ports: the name of its process (the service's name)
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
    /// What prints the end of what the service has said (journalctl of its unit)
    #[arg(long, value_name = "COMMAND")]
    journal_command: Option<String>,
}

/// Exit code for a command line that clap refuses: its own 2 would read as "already a member".
pub fn usage_status(decide: bool) -> u8 {
    if decide { UNDECIDED } else { BAD_CONFIGURATION }
}

/// Runs `join`.
pub fn join(args: &JoinArgs) -> ExitCode {
    if args.decide {
        Log::install(&args.service, None);
        return ExitCode::from(decided(args));
    }
    let link = args.common.link();
    let telemetry = link.as_ref().ok().and_then(Option::as_ref).map(|link| &link.telemetry);
    let log = Log::install(&args.service, telemetry);
    log.operation("configuration");
    let outcome = block_on(joined(args, log, link));
    ExitCode::from(match outcome {
        Ok(outcome) => status(outcome),
        Err(failure) => {
            log_failure(&failure);
            exit_code(&failure)
        }
    })
}

/// What the command line and the configuration say, before anything is contacted.
fn wanted(args: &JoinArgs) -> Result<(Service, Vec<Service>, ClusterConfig)> {
    let entered = service(&args.service)?;
    let awaits: Vec<_> = args.then.iter().map(|name| service(name)).collect::<Result<_>>()?;
    let config = args.common.config.read()?;
    for service in awaits.iter().chain([&entered]) {
        let port = args.common.port.filter(|_| *service == entered).or(config.port_of(*service));
        configuration::check(&config, *service, port.unwrap_or(service.port()))?;
    }
    for remark in configuration::remarks(&config) {
        tracing::warn!("{remark}");
    }
    Ok((entered, awaits, config))
}

async fn joined(args: &JoinArgs, log: Log, link: Result<Option<Link>>) -> Result<Option<JoinOutcome>> {
    let prepared = prepared(args);
    let (node, awaits, credentials) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            // The page shows it as well, where the boot-server can be told.
            let mut reporter = Reporter::new(log, link.unwrap_or_default());
            return reporter.step(Step::Preflight, async || Err(failure.clone())).await;
        }
    };
    let link = link?;
    let arbiter = link.as_ref().filter(|_| !args.no_arbiter).and_then(|link| Arbiter::new(link, node.service));
    joining::join(node, &awaits, &credentials, arbiter.as_ref(), &mut Reporter::new(log, link)).await
}

/// The node, the services that it enters afterwards, and what it shows to the others.
fn prepared(args: &JoinArgs) -> Result<(Node, Vec<Service>, Credentials)> {
    let (service, awaits, config) = wanted(args)?;
    let mut settings = args.common.settings(service, &config);
    if let Some(command) = &args.start_command {
        settings.start_command = command.split_whitespace().map(str::to_owned).collect();
    }
    if let Some(command) = &args.journal_command {
        settings.journal_command = command.split_whitespace().map(str::to_owned).collect();
    }
    settings.attempts = args.attempts;
    settings.health_timeout = Duration::from_secs(args.health_timeout);
    settings.least_free = args.least_free << 20;
    settings.least = Capacity { memory: args.least_memory, cpus: args.least_cpus };
    settings.resolv_conf.clone_from(&args.resolv_conf);
    if let Some(process) = &args.process {
        settings.process.clone_from(process);
    }
    let (node, credentials) = args.common.node(service, config, settings)?;
    Ok((node, awaits, credentials))
}

fn decided(args: &JoinArgs) -> u8 {
    match wanted(args) {
        Ok((service, _, config)) => match decide(service, &config) {
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

/// Exit code of a join that did not fail.
fn status(outcome: Option<JoinOutcome>) -> u8 {
    match outcome {
        Some(JoinOutcome::AlreadyMember) => ALREADY_MEMBER,
        Some(JoinOutcome::Bootstrapped | JoinOutcome::Joined) | None => 0,
    }
}
