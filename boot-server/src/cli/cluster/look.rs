//! `boot-server cluster members|health|verify`

use super::Format;
use crate::{
    cli::{
        client::{Client, Target},
        output,
    },
    clusters::members::quorum::Standing,
};
use protocol::{
    Code, Failure,
    calls::{self, Nothing},
    failure::Result,
    operations::{Check, ClusterMembers, ServiceMembers},
};

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster, as cluster list prints it; may be left out where there is one
    cluster: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

/// The cluster that is named, or the only one.
pub async fn chosen(client: &Client, cluster: Option<&str>) -> Result<String> {
    if let Some(cluster) = cluster {
        return super::checked(cluster).map(str::to_owned);
    }
    let known = client.call::<calls::Clusters>(&[], &Nothing {}).await?;
    match known.as_slice() {
        [only] => Ok(only.cluster.clone()),
        [] => Err(Failure::new(Code::NotFound, "looking for the cluster: there is none")
            .with_remedy("give specs a `cluster` and apply them")),
        several => {
            let names: Vec<&str> = several.iter().map(|cluster| cluster.cluster.as_str()).collect();
            Err(Failure::new(Code::Config, format!("looking for the cluster: there are {}", names.join(", ")))
                .with_remedy("name one of them"))
        }
    }
}

async fn asked(args: &Args) -> Result<ClusterMembers> {
    let client = args.target.client()?;
    let cluster = chosen(&client, args.cluster.as_deref()).await?;
    client.call::<calls::Members>(&[&cluster], &Nothing {}).await
}

/// Prints the members.
pub async fn members(args: Args) -> Result<()> {
    let found = asked(&args).await?;
    match args.output {
        Format::Json => host::show!("{}", output::json(&found)?),
        Format::Table => host::show!("{}", members_table(&found)),
    }
    match found.services.into_iter().find_map(|service| service.failure) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn members_table(found: &ClusterMembers) -> String {
    let mut rows =
        vec![["SERVICE", "MEMBER", "STATUS", "ROLE", "VERSION", "NODE", "ID", "CLIENT", "ADDRESS"].map(str::to_owned)];
    for service in &found.services {
        rows.extend(service.members.iter().map(|member| {
            let client = member.client.as_ref().map_or("-".to_owned(), ToString::to_string);
            let version = member.version.clone().unwrap_or_else(|| "-".to_owned());
            let (status, role) = (member.status.to_string(), member.role.to_string());
            let name = output::printable(&member.name);
            let node = member.node.as_ref().map_or("-".to_owned(), ToString::to_string);
            let id = member.id.clone();
            [service.service.to_string(), name, status, role, version, node, id, client, member.address.clone()]
        }));
    }
    let text = output::align(&rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect::<Vec<_>>());
    output::printable(&text)
}

/// Prints how each service stands; ends with 1 where one is not whole.
pub async fn health(args: Args) -> Result<()> {
    let found = asked(&args).await?;
    if matches!(args.output, Format::Json) {
        host::show!("{}", output::json(&found)?);
    }
    let mut unwell = Vec::new();
    for service in &found.services {
        let (line, whole) = health_line(service);
        if matches!(args.output, Format::Table) {
            host::say!("{}", output::printable(&line));
        }
        if !whole {
            unwell.push(service.service.to_string());
        }
    }
    if unwell.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::ServiceUnhealthy, format!("checking cluster {}: {}", found.cluster, unwell.join(", ")))
        .with_remedy(format!("boot-server cluster verify {} says what to do", found.cluster)))
}

fn health_line(service: &ServiceMembers) -> (String, bool) {
    let name = service.service;
    if let Some(failure) = &service.failure {
        let word = if failure.code == Code::ClusterSplit { "SPLIT" } else { "UNKNOWN" };
        return (format!("{name:<10} {word:<10} {failure}"), false);
    }
    let standing = Standing::of(&service.members);
    let whole = standing.is_whole() && service.missing.is_empty();
    let (word, count) = match (whole, standing.has_quorum()) {
        (true, _) => ("HEALTHY", "healthy"),
        (false, true) if standing.is_alarmed() => ("NO WRITES", "voting"),
        (false, true) => ("DEGRADED", "healthy"),
        (false, false) => ("NO QUORUM", "healthy"),
    };
    let spare = standing.voting.saturating_sub(standing.needed);
    let mut line = format!(
        "{name:<10} {word:<10} {} of {} voters {count}, {} needed, {spare} more may be lost, {} leader",
        standing.voting, standing.voters, standing.needed, standing.leaders
    );
    for member in service.members.iter().filter(|member| member.failure.is_some()) {
        let cause = member.failure.as_ref().map_or(String::new(), ToString::to_string);
        line.push_str(&format!("\n             {}: {cause}", member.name));
    }
    for node in &service.missing {
        line.push_str(&format!("\n             {node}: it reported that it is a member, and is not listed"));
    }
    (line, whole)
}

/// Prints every check; ends with 1 where one fails.
pub async fn verify(args: Args) -> Result<()> {
    let client = args.target.client()?;
    let cluster = chosen(&client, args.cluster.as_deref()).await?;
    let done = client.call::<calls::VerifyCluster>(&[&cluster], &Nothing {}).await?;
    match args.output {
        Format::Json => host::show!("{}", output::json(&done)?),
        Format::Table => done.checks.iter().for_each(|check| host::say!("{}", output::printable(&check_line(check)))),
    }
    let failed = done.checks.iter().filter(|check| !check.passed).count();
    if failed == 0 {
        return Ok(());
    }
    let cause = format!("verifying cluster {}: {failed} of {} checks failed", done.cluster, done.checks.len());
    let first = done.checks.into_iter().find_map(|check| check.remedy).unwrap_or_default();
    Err(Failure::new(Code::ServiceUnhealthy, cause).with_remedy(first))
}

fn check_line(check: &Check) -> String {
    let word = if check.passed { "PASS" } else { "FAIL" };
    let remedy = check.remedy.as_ref().map_or(String::new(), |remedy| format!("\n      what to do: {remedy}"));
    format!("{word}  {:<10} {}: {}{remedy}", check.service, check.what, check.detail)
}
