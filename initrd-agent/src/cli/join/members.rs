//! `initrd-agent members`, `initrd-agent leave`

use super::{Common, block_on, exit_code, log_failure, service};
use crate::cli::print_failure;
use ::join::{driver::Member, leave as leaving, log::Log, services::driver};
use clap::ValueEnum;
use protocol::failure::Result;
use std::process::ExitCode;

/// List the members of a cluster.
#[derive(clap::Args)]
pub struct MembersArgs {
    /// etcd, chainfire or flaredb
    service: String,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Leave a cluster: another member removes this node, then the marker goes.
#[derive(clap::Args)]
pub struct LeaveArgs {
    /// etcd, chainfire, flaredb or iam
    service: String,
    #[command(flatten)]
    common: Common,
}

/// Runs `members`.
pub fn members(args: &MembersArgs) -> ExitCode {
    match listed(args) {
        Ok(members) => {
            match args.output {
                Output::Table => host::show!("{}", table(&members)),
                Output::Json => {
                    host::say!("{}", serde_json::json!({"service": args.service, "members": members}));
                }
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print_failure(&failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}

fn listed(args: &MembersArgs) -> Result<Vec<Member>> {
    let service = service(&args.service)?;
    let config = args.common.config.read()?;
    let settings = args.common.settings(service, &config);
    let (node, _) = args.common.node(service, config, settings)?;
    block_on(async { driver(&node)?.members().await })
}

/// Runs `leave`.
pub fn leave(args: &LeaveArgs) -> ExitCode {
    Log::install(&args.service, None).operation("leave");
    let left = service(&args.service).and_then(|service| {
        let config = args.common.config.read()?;
        let settings = args.common.settings(service, &config);
        let (node, _) = args.common.node(service, config, settings)?;
        block_on(leaving::leave(&node))
    });
    match left {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log_failure(&failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}

/// Columns as wide as what is in them.
fn table(members: &[Member]) -> String {
    // Names are what members say of themselves.
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.escape_debug().to_string() };
    let row = |member: &Member| {
        let optional = |text: &Option<String>| dash(text.as_deref().unwrap_or_default());
        [
            dash(&member.name),
            dash(&member.id),
            optional(&member.status),
            optional(&member.role),
            dash(&member.raft_addr),
            dash(&member.client_urls.join(",")),
        ]
    };
    let head = ["NAME", "ID", "STATUS", "ROLE", "RAFT", "CLIENTS"].map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(members.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let line = |row: &[String; 6]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        let text = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", text.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_what_stands_beside_it() {
        let member = Member {
            id: "1".into(),
            name: "x\n\u{1b}[2J".into(),
            raft_addr: String::new(),
            status: None,
            role: None,
            client_urls: Vec::new(),
        };
        let text = table(&[member]);
        assert!(text.lines().count() == 2 && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_table_is_aligned_and_shows_what_is_not_known_as_a_dash() {
        let member = |name: &str, role: Option<&str>| Member {
            id: "1f".into(),
            name: name.into(),
            raft_addr: "https://10.0.0.1:2380".into(),
            status: Some("started".into()),
            role: role.map(str::to_owned),
            client_urls: Vec::new(),
        };
        let text = table(&[member("node-01", Some("leader")), member("", None)]);
        assert_eq!(
            text,
            "NAME     ID  STATUS   ROLE    RAFT                   CLIENTS\n\
             node-01  1f  started  leader  https://10.0.0.1:2380  -\n\
             -        1f  started  -       https://10.0.0.1:2380  -\n"
        );
    }
}
