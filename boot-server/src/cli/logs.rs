//! `boot-server logs NAME [-f]`: events and log lines as one readable stream.

use super::{
    admin::checked,
    client::{Client, Target},
    output,
};
use http_body_util::BodyExt;
use protocol::{
    admin::JournalEntry,
    calls::{self, LogPage},
    failure::Result,
    names::NodeName,
};
use std::{io::Write, time::Duration};

/// A server-sent event is a few kilobytes.
const MAX_EVENT: usize = 1 << 20;

/// Show the events and the log of a node
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node
    name: String,
    /// Go on as more arrives; carries on after a restart of the server
    #[arg(short, long)]
    follow: bool,
    /// Steps only, without log lines
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    target: Target,
}

/// Prints what there is, then what arrives.
pub async fn run(args: Args) -> Result<()> {
    let client = args.target.client()?;
    let name = checked(&args.name)?;
    let mut printer = Printer { last: 0, events: args.events };
    loop {
        let page = client
            .call::<calls::Logs>(&[name.as_str()], &LogPage { after: printer.last, ..LogPage::default() })
            .await?;
        if page.is_empty() {
            break;
        }
        printer.print(&page);
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        if let Err(failure) = follow(&client, &name, &mut printer).await {
            host::tell!("boot-server: {failure}; trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

struct Printer {
    last: i64,
    events: bool,
}

impl Printer {
    fn print(&mut self, entries: &[JournalEntry]) {
        let mut out = std::io::stdout().lock();
        for entry in entries {
            self.last = self.last.max(entry.id());
            if self.events && matches!(entry, JournalEntry::Line(_)) {
                continue;
            }
            if writeln!(out, "{}", output::journal_line(entry)).is_err() {
                // Whoever read this has gone.
                std::process::exit(0);
            }
        }
        let _ = out.flush();
    }
}

async fn follow(client: &Client, name: &NodeName, printer: &mut Printer) -> Result<()> {
    let mut body = client.events::<calls::FollowLogs>(&[name.as_str()], printer.last).await?;
    let mut buffer = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if let Some(json) = line.strip_prefix(b"data:")
                && let Ok(entry) = serde_json::from_slice::<JournalEntry>(json)
            {
                printer.print(&[entry]);
            }
        }
        if buffer.len() > MAX_EVENT {
            buffer.clear();
        }
    }
    Ok(())
}
