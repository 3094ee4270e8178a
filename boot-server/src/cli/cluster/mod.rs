//! `boot-server cluster ...`

mod backup;
mod forget;
mod list;
mod look;
mod operate;

use protocol::{Code, Failure, failure::Result};

/// Look at clusters and operate them
///
/// A cluster is what the nodes' specs call cluster.cluster_name. The server fixes its founders once, gives joiners
/// their turn one by one, and hears the health of every node. What is done to a cluster and to its members, backup and
/// restore among it, is below this verb.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(list::Args),
    /// List the members of every service, as they answer now: status, role, version
    Members(look::Args),
    /// Say how each service stands and how many members more it may lose; ends with 1 where one is not whole
    Health(look::Args),
    /// Check members, roles, leader, quorum, and write and read a key; a line each, ends with 1 where one fails
    Verify(look::Args),
    Remove(operate::Remove),
    Replace(operate::Replace),
    Decommission(operate::Decommission),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Forget(forget::Args),
}

/// Runs the verb.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::List(args) => list::run(args).await,
        Verb::Members(args) => look::members(args).await,
        Verb::Health(args) => look::health(args).await,
        Verb::Verify(args) => look::verify(args).await,
        Verb::Remove(args) => operate::remove(args).await,
        Verb::Replace(args) => operate::replace(args).await,
        Verb::Decommission(args) => operate::decommission(args).await,
        Verb::Backup(args) => backup::backup(args).await,
        Verb::Restore(args) => backup::restore(&args).await,
        Verb::Forget(args) => forget::run(args).await,
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// The name of a cluster; what is none is refused before anybody is asked.
fn checked(cluster: &str) -> Result<&str> {
    let fits = (1..=253).contains(&cluster.len())
        && cluster.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !cluster.bytes().all(|byte| byte == b'.');
    if fits {
        return Ok(cluster);
    }
    let cause = format!("reading the cluster's name: {cluster:?} is not 1 to 253 of a-z A-Z 0-9 . _ -");
    Err(Failure::new(Code::Input, cause).with_remedy("boot-server cluster list names the clusters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_path() {
        for wrong in ["", "..", "a/b", "a?b", "ä"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
        assert_eq!(checked("prod.eu").unwrap(), "prod.eu");
    }
}
