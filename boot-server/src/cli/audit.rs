//! `boot-server audit`: who did what, from where, and whether that is still what was written.

use super::{client::Target, output};
use crate::{
    base::{clock::now, health::Health, span::Span},
    state::{self, State},
};
use http_body_util::BodyExt;
use protocol::{
    Code, Failure, Timestamp,
    audit::{Anchor, Anchored, AuditQuery, AuditVerdict, FromAnchor},
    calls,
    failure::Result,
    names::NodeName,
};
use std::{io::Write, path::Path};

/// The audit: who did what, from where, what was before and after
///
/// Its entries are a chain: the hash of each covers the hash before it. verify says whether one was changed, left out or put in
/// between, and prints the newest hash: kept elsewhere and given as --anchor, it shows as well whether the chain was written
/// anew or its end taken off. export prints lines of JSON, for other systems and for keeping.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Print the entries as lines of JSON, each with its hash: boot-server audit export --since 30d >audit.jsonl
    Export(Export),
    /// Check the chain
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Export {
    /// Those from then on: a time such as 2026-12-01T00:00:00Z, or a span until now, such as 30d
    #[arg(long, value_parser = since, value_name = "TIME|SPAN")]
    since: Option<Timestamp>,
    /// Those about this node
    #[arg(long)]
    node: Option<NodeName>,
    /// Those behind this one, by its id: to go on from an earlier export
    #[arg(long, default_value_t = 0, value_name = "ID")]
    after: i64,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// What an earlier verify has printed and somebody has kept elsewhere
    #[arg(long, value_name = "ID:HASH")]
    anchor: Option<Anchor>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Whom to ask.
#[derive(Debug, clap::Args)]
struct Place {
    /// Read the state of --dir oneself, and ask no server
    #[arg(long, requires = "dir")]
    offline: bool,
    #[command(flatten)]
    target: Target,
}

fn since(text: &str) -> std::result::Result<Timestamp, &'static str> {
    let time = || Timestamp::parse(text, &time::format_description::well_known::Rfc3339).ok();
    let ago = Span::parse(text).and_then(|Span(span)| now().checked_sub(span));
    ago.or_else(time).ok_or("it is a time such as 2026-12-01T00:00:00Z, or a span such as 30d")
}

/// Runs the verb.
///
/// # Errors
/// Those of the server or of the state; `E-AUDIT-BROKEN` where the chain is not whole.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Export(Export { since, node, after, place }) => export(&place, AuditQuery { after, since, node }).await,
        Verb::Verify(args) => verify(&args).await,
    }
}

async fn export(place: &Place, mut query: AuditQuery) -> Result<()> {
    if place.offline {
        let state = opened(&place.target).await?;
        while let Some((last, lines)) = state.audit_lines(&query).await? {
            query.after = last;
            if !write(lines.as_bytes()) {
                break;
            }
        }
        state.close().await;
        return Ok(());
    }
    let mut body = place.target.client()?.file::<calls::Audit>(&[], &query).await?;
    while let Some(frame) = body.frame().await {
        let broken = |error| Failure::from_error(Code::ServerUnreachable, "reading the audit: it broke off", &error);
        let frame = frame.map_err(broken)?;
        if !write(frame.data_ref().map_or(&[], |data| data)) {
            break;
        }
    }
    Ok(())
}

/// Whether somebody still reads.
fn write(bytes: &[u8]) -> bool {
    std::io::stdout().write_all(bytes).is_ok()
}

async fn verify(args: &Verify) -> Result<()> {
    let Verify { anchor, json, place } = args;
    let verdict = if place.offline {
        let state = opened(&place.target).await?;
        let verdict = state.verify_audit(*anchor).await;
        state.close().await;
        verdict?
    } else {
        place.target.client()?.call::<calls::VerifyAudit>(&[], &FromAnchor { anchor: *anchor }).await?
    };
    if *json {
        host::show!("{}", output::json(&verdict)?);
    } else if verdict.broken.is_none() {
        host::show!("{}", shown(&verdict));
    }
    judged(&verdict, *anchor)
}

async fn opened(target: &Target) -> Result<State> {
    let dir = target.dir.as_deref().unwrap_or(Path::new("."));
    State::open(&state::path_in(dir), Health::default()).await
}

fn shown(verdict: &AuditVerdict) -> String {
    let newest = verdict.newest.map(|newest| format!("newest: {newest}\n")).unwrap_or_default();
    let forgotten = match verdict.forgotten {
        0 => String::new(),
        forgotten => format!(", {forgotten} forgotten as the bounds say"),
    };
    format!("{} entries are whole{forgotten}\n{newest}", verdict.entries)
}

fn judged(verdict: &AuditVerdict, anchor: Option<Anchor>) -> Result<()> {
    let broken = |cause: String| Err(Failure::new(Code::AuditBroken, format!("checking the audit: {cause}")));
    if let Some(entry) = &verdict.broken {
        return broken(format!("entry {}: {}", entry.id, entry.why));
    }
    let anchor = anchor.map_or(0, |anchor| anchor.id);
    match verdict.anchored {
        Some(Anchored::Other) => {
            broken(format!("entry {anchor} is another one than was kept: the chain was written anew"))
        }
        Some(Anchored::Missing) => {
            broken(format!("entry {anchor}, which was kept, is not there: the end was taken off"))
        }
        Some(Anchored::Forgotten) => {
            host::tell!("entry {anchor} has been forgotten by now: keep the newest in its place");
            Ok(())
        }
        Some(Anchored::Same) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_span_says_since_when() {
        assert_eq!(since("2026-12-01T00:00:00Z").unwrap().unix_timestamp(), 1_796_083_200);
        assert!((now() - since("2h").unwrap()).whole_minutes() >= 119);
        for text in ["", "yesterday", "2026-12-01", "12"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
