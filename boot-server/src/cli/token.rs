//! `boot-server token`: who else is an admin, and how far.

use super::{
    client::Target,
    output::{self, align},
};
use crate::{
    base::{clock::now, health::Health, span::Span},
    domain::audit::Actor,
    state::{self, State},
    trust::{admins, tokens},
};
use host::file;
use protocol::{
    Code, Failure, Timestamp,
    calls::{self, Nothing},
    failure::Result,
    names::NodeName,
    tokens::{CertificateRequest, Scope, TokenMade, TokenRequest, TokenSummary},
};
use std::path::{Path, PathBuf};

/// Tokens and certificates of admins: make, list, revoke
///
/// A token is shown once, when it is made; the server keeps its hash. Its scope says what it allows: view, approve (machines and
/// held plans), operate (specs, nodes, clusters, the cache), admin (tokens, the audit). Its name stands in the audit of what it did.
/// A certificate takes the place of a token: the server keeps the hash of its public key, and its private key stays where it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token and print it: boot-server token create alice --scope operate --expires 90d >alice.token
    Create(Create),
    /// List the tokens: what each allows, until when, when it was used last; and as oidc:NAME who has sessions by the OIDC provider
    List(List),
    /// Revoke a token, with the sessions of the page that were begun with it; of oidc:NAME the sessions
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
    /// A certificate in the place of a token: its key is made here, and FILE.crt and FILE.key are written
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    client_certificate: Option<PathBuf>,
    /// A certificate that there is, whoever issued it: of the company's own CA, of a smart card
    #[arg(long, value_name = "FILE", conflicts_with_all = ["offline", "client_certificate"])]
    certificate: Option<PathBuf>,
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
            host::say!("{name} is revoked");
            Ok(())
        }
    }
}

async fn create(args: Create) -> Result<()> {
    let life_seconds = args.expires.map(|Span(life)| life.whole_seconds().unsigned_abs());
    if let Some(file) = &args.certificate {
        return take(&args, life_seconds, file::read_text(file)?).await;
    }
    if let Some(file) = &args.client_certificate {
        return make_certificate(&args, life_seconds, file).await;
    }
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

/// The key is made here and stays here.
async fn make_certificate(args: &Create, life_seconds: Option<u64>, file: &Path) -> Result<()> {
    let life = args.expires.map_or(admins::LIFE, |Span(life)| life);
    let with = |end: &str| PathBuf::from(format!("{}.{end}", file.display()));
    super::must_be_new(&with("key"))?;
    super::must_be_new(&with("crt"))?;
    let (certificate, key) = admins::make(args.name.as_str(), now(), life)?;
    file::write_new(&with("key"), 0o600, key.as_bytes())?;
    file::write_new(&with("crt"), 0o644, certificate.as_bytes())?;
    let taken = take(args, life_seconds, certificate).await;
    if taken.is_err() {
        // They are of no use.
        for end in ["key", "crt"] {
            drop(std::fs::remove_file(with(end)));
        }
    }
    taken
}

async fn take(args: &Create, life_seconds: Option<u64>, certificate: String) -> Result<()> {
    let request = CertificateRequest { name: args.name.clone(), scope: args.scope, life_seconds, certificate };
    let taken = args.target.client()?.call::<calls::TakeCertificate>(&[], &request).await?;
    let until = taken.expires.map(protocol::to_the_second).unwrap_or_default();
    host::say!(
        "certificate {} allows to {} until {until}: --client-cert FILE.crt --client-key FILE.key",
        taken.name,
        taken.scope
    );
    Ok(())
}

/// Whoever may write the folder is its admin.
async fn offline(target: &Target, request: &TokenRequest) -> Result<TokenMade> {
    let dir =
        target.dir.as_ref().ok_or_else(|| Failure::new(Code::Config, "making a token offline: pass --dir DIR"))?;
    let state = State::open(&state::path_in(dir), Health::default()).await?;
    let made = tokens::make(&state, request, &Actor::folder()).await;
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
    let rows: Vec<[String; 6]> = tokens
        .iter()
        .map(|token| {
            let used = token.used.map_or_else(|| "never".to_owned(), time);
            [
                token.name.clone(),
                token.kind.name().to_owned(),
                token.scope.to_string(),
                time(token.created),
                expires(token),
                used,
            ]
        })
        .collect();
    let mut table = vec![vec!["NAME", "KIND", "SCOPE", "CREATED (UTC)", "EXPIRES", "USED"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&table)
}
