//! `boot-server cluster list`

use super::Format;
use crate::cli::{client::Target, output};
use protocol::{
    calls::{self, Nothing},
    failure::Result,
    names::NodeName,
    operations::ClusterSummary,
};

/// List clusters: their founders, who is ready, whose turn it is to join
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

/// Prints the list.
pub async fn run(args: Args) -> Result<()> {
    let clusters = args.target.client()?.call::<calls::Clusters>(&[], &Nothing {}).await?;
    match args.output {
        Format::Json => host::show!("{}", output::json(&clusters)?),
        Format::Table => host::show!("{}", table(&clusters)),
    }
    Ok(())
}

fn table(clusters: &[ClusterSummary]) -> String {
    if clusters.is_empty() {
        return "No clusters yet: give specs a `cluster` and apply them.\n".to_owned();
    }
    let mut rows = vec![["CLUSTER", "NODES", "SERVICE", "READY", "TURN", "FOUNDERS"].map(str::to_owned).to_vec()];
    for cluster in clusters {
        let head = [cluster.cluster.clone(), cluster.nodes.len().to_string()];
        if cluster.services.is_empty() {
            rows.push([head.as_slice(), &["-", "-", "-", "not fixed yet"].map(str::to_owned)].concat());
        }
        for service in &cluster.services {
            let turn = service.turn.as_ref().map_or("-", NodeName::as_str).to_owned();
            let founders = match service.founders.as_slice() {
                [] => "elsewhere".to_owned(),
                founders => founders.join(", "),
            };
            let cells = [service.service.to_string(), service.ready.len().to_string(), turn, founders];
            rows.push([head.as_slice(), &cells].concat());
        }
    }
    output::align(&rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect::<Vec<_>>())
}
