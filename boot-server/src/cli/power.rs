//! `boot-server power NODE on|off|cycle|network-boot`

use super::{admin::checked, client::Target, output};
use protocol::{
    calls,
    failure::Result,
    operations::{Power, PowerRequest},
};

/// Power the machine of a node by the configured hook
///
/// The hook is [power] command of config.toml, called with the word and the node's name, and with facts of the node in
/// CENTRA_... variables. The last line that it prints is kept in the node's history.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node
    node: String,
    /// on, off, cycle, or network-boot: off and on again, booting from the network once
    #[arg(value_name = "WHAT", value_parser = power)]
    power: Power,
    #[command(flatten)]
    target: Target,
}

fn power(text: &str) -> Result<Power, String> {
    let names = Power::ALL.map(Power::name).join(", ");
    Power::ALL.into_iter().find(|power| power.name() == text).ok_or_else(|| format!("not one of {names}"))
}

/// Has the hook do it.
pub async fn run(args: Args) -> Result<()> {
    let node = checked(&args.node)?;
    let request = PowerRequest { power: args.power };
    args.target
        .client()?
        .steps::<calls::Power>(&[node.as_str()], &request, |step| host::say!("{}", output::printable(step)))
        .await
}
