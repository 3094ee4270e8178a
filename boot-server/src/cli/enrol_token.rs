//! `boot-server enrol-token`: one-time tokens that admit machines.

use super::{
    client::Target,
    output::{self, align},
};
use crate::base::span::Span;
use host::file;
use protocol::{
    Timestamp,
    calls::{self, Nothing},
    enrol_token::{Bound, EnrolTokenMade, EnrolTokenRequest, EnrolTokenSummary, medium},
    failure::Result,
    names::Mac,
};
use std::path::PathBuf;

/// One-time tokens that admit a machine: make, list, revoke
///
/// Who shows a token becomes, once, the node whose NodeSpec matches the machine: nobody compares a code. A token is shown once, when
/// it is made; the server keeps its hash. Bring it to the machine by a medium (--medium), type it on its console, or put it into the
/// kernel parameters of an image that is yours alone (centra.token=): never into what is served to everybody.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token and print it: boot-server enrol-token create --serial ABC123 --medium abc123.iso
    Create(Create),
    /// List the tokens: which machine each is for, until when, which node it made
    List(List),
    /// Revoke a token that is not used up
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    bound: Machine,
    /// It ends after so long
    #[arg(long, value_parser = super::span, default_value = "24h", value_name = "SPAN")]
    life: Span,
    /// Write the token to a new image for virtual media or a USB stick, and do not print it
    #[arg(long, value_name = "FILE")]
    medium: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Which machine may use the token.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Machine {
    /// The machine with this serial number
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,
    /// The machine with this network card
    #[arg(long, value_name = "MAC")]
    mac: Option<Mac>,
    /// The first machine that shows it and that a NodeSpec matches
    #[arg(long)]
    any: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// As enrol-token list prints it
    id: String,
    #[command(flatten)]
    target: Target,
}

impl Machine {
    fn bound(self) -> Bound {
        match (self.serial, self.mac) {
            (Some(serial), _) => Bound::Serial(serial),
            (None, Some(mac)) => Bound::Mac(mac),
            (None, None) => Bound::Any,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// Those of the server, and of writing the medium.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Create(args) => create(args).await,
        Verb::List(List { json, target }) => {
            let tokens = target.client()?.call::<calls::EnrolTokens>(&[], &Nothing {}).await?;
            host::show!("{}", if json { output::json(&tokens)? } else { table(&tokens, Timestamp::now_utc()) });
            Ok(())
        }
        Verb::Revoke(Revoke { id, target }) => {
            target.client()?.call::<calls::RevokeEnrolToken>(&[&id], &Nothing {}).await?;
            host::say!("the one-time token {id} is revoked");
            Ok(())
        }
    }
}

async fn create(args: Create) -> Result<()> {
    let request =
        EnrolTokenRequest { bound: args.bound.bound(), life_seconds: args.life.0.whole_seconds().unsigned_abs() };
    args.medium.as_deref().map_or(Ok(()), super::must_be_new)?;
    let EnrolTokenMade { id, token, expires } =
        args.target.client()?.call::<calls::MakeEnrolToken>(&[], &request).await?;
    let ends = protocol::to_the_second(expires);
    match args.medium {
        Some(path) => {
            file::write_new(&path, 0o600, &medium::image(&token))?;
            host::tell!("one-time token {id} for {}, until {ends}: {}", request.bound, path.display());
        }
        None => {
            // The token alone on standard output.
            host::say!("{}", token.shown());
            host::tell!("one-time token {id} for {}, until {ends}; it is not shown again", request.bound);
        }
    }
    Ok(())
}

fn table(tokens: &[EnrolTokenSummary], now: Timestamp) -> String {
    let rows: Vec<[String; 4]> = tokens
        .iter()
        .map(|token| {
            let stands = match (&token.node, token.expires <= now) {
                (Some(node), _) => format!("made {node}"),
                (None, true) => "ended".to_owned(),
                (None, false) => "open".to_owned(),
            };
            [token.id.clone(), token.bound.to_string(), protocol::to_the_second(token.expires), stands]
        })
        .collect();
    let mut table = vec![vec!["ID", "FOR", "EXPIRES", "STATE"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&table)
}
