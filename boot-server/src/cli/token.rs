//! `boot-server token`: who else is an admin, and how far.

use super::{
    client::Target,
    output::{self, align},
};
use crate::{
    base::{health::Health, span::Span},
    state::{self, State},
    trust::tokens,
};
use protocol::{
    Code, Failure, Timestamp,
    calls::{self, Nothing},
    failure::Result,
    names::NodeName,
    tokens::{Scope, TokenMade, TokenRequest, TokenSummary},
};

/// Tokens of admins: make, list, revoke
///
/// A token is shown once, when it is made; the server keeps its hash. Its scope says what it allows: view, approve (machines and
/// held plans), operate (specs, nodes, clusters, the cache), admin (tokens). Its name stands in the history of what it did.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token and print it: boot-server token create alice --scope operate --expires 90d >alice.token
    Create(Create),
    /// List the tokens: what each allows, until when, when it was used last
    List(List),
    /// Revoke a token, with the sessions of the page that were begun with it
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Whose, or what for
    name: NodeName,
    /// What it allows
    #[arg(long, value_parser = scope, default_value = "view", value_name = "view|approve|operate|admin")]
    scope: Scope,
    /// It ends after so long, such as 12h or 90d; without it never
    #[arg(long, value_parser = super::span, value_name = "SPAN")]
    expires: Option<Span>,
    /// Write it into the state of --dir oneself, and ask no server: where every other token is lost
    #[arg(long, requires = "dir")]
    offline: bool,
    #[command(flatten)]
    target: Target,
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
    /// As token list prints it
    name: String,
    #[command(flatten)]
    target: Target,
}

fn scope(text: &str) -> std::result::Result<Scope, &'static str> {
    Scope::parse(text).ok_or("it is view, approve, operate or admin")
}

/// Runs the verb.
///
/// # Errors
/// Those of the server.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Create(args) => create(args).await,
        Verb::List(List { json, target }) => {
            let tokens = target.client()?.call::<calls::Tokens>(&[], &Nothing {}).await?;
            host::show!("{}", if json { output::json(&tokens)? } else { table(&tokens, Timestamp::now_utc()) });
            Ok(())
        }
        Verb::Revoke(Revoke { name, target }) => {
            target.client()?.call::<calls::RevokeToken>(&[&name], &Nothing {}).await?;
            host::say!("token {name} is revoked");
            Ok(())
        }
    }
}

async fn create(args: Create) -> Result<()> {
    let life_seconds = args.expires.map(|Span(life)| life.whole_seconds().unsigned_abs());
    let request = TokenRequest { name: args.name, scope: args.scope, life_seconds };
    let TokenMade { token } = if args.offline {
        offline(&args.target, &request).await?
    } else {
        args.target.client()?.call::<calls::MakeToken>(&[], &request).await?
    };
    // The token alone on standard output: it goes into a file.
    host::say!("{token}");
    host::tell!("token {} allows to {}; it is not shown again", request.name, request.scope);
    Ok(())
}

/// Whoever may write the folder is its admin.
async fn offline(target: &Target, request: &TokenRequest) -> Result<TokenMade> {
    let dir =
        target.dir.as_ref().ok_or_else(|| Failure::new(Code::Config, "making a token offline: pass --dir DIR"))?;
    let state = State::open(&state::path_in(dir), Health::default()).await?;
    let made = tokens::make(&state, request, "whoever has the folder").await;
    state.close().await;
    made
}

fn table(tokens: &[TokenSummary], now: Timestamp) -> String {
    let time = |time: Timestamp| format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute());
    let expires = |token: &TokenSummary| match token.expires {
        Some(ends) if ends <= now => format!("ended {}", time(ends)),
        Some(ends) => time(ends),
        None => "never".to_owned(),
    };
    let rows: Vec<[String; 5]> = tokens
        .iter()
        .map(|token| {
            let used = token.used.map_or_else(|| "never".to_owned(), time);
            [token.name.clone(), token.scope.to_string(), time(token.created), expires(token), used]
        })
        .collect();
    let mut table = vec![vec!["NAME", "SCOPE", "CREATED (UTC)", "EXPIRES", "USED"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&table)
}
