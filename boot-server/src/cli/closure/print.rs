//! What the verbs print.

use super::Format;
use crate::cli::output::{align, bytes, json};
use protocol::{
    closures::{Closure, ClosureList, GcReport, VerifyReport},
    failure::Result,
    names::StorePath,
};
use serde::Serialize;

/// Prints a result for people or programs.
pub fn result<T: Serialize>(format: Format, result: &T, text: impl Fn(&T) -> String) -> Result<()> {
    match format {
        Format::Text => host::show!("{}", text(result)),
        Format::Json => host::show!("{}", json(result)?),
    }
    Ok(())
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Paths that are new in the cache.
    pub imported: u64,
    /// Paths that were there already.
    pub present: u64,
    /// Bytes of NARs that were sent.
    pub sent_bytes: u64,
}

/// `closure list`
pub fn list(list: &ClosureList) -> String {
    let rows: Vec<Vec<String>> = list.closures.iter().map(row).collect();
    let mut table = vec![vec!["PATH", "PATHS", "UNPACKED", "IN CACHE", "PUSHED", "NODES"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    let mut text = if list.closures.is_empty() {
        "The cache is empty: boot-server closure import, or nix copy --to.\n".to_owned()
    } else {
        align(&table)
    };
    for failure in &list.damaged {
        text.push_str(&format!("{failure}\n"));
    }
    if !list.damaged.is_empty() {
        text.push_str("  what to do: boot-server closure verify --remove, then push again\n");
    }
    if let Some(closure) = list.closures.iter().find(|closure| closure.unsigned > 0) {
        let path = &closure.path;
        text.push_str(&format!("no node takes what nobody has signed\n  what to do: {}\n", sign(path)));
    }
    text
}

/// What signs a closure where it is: pushing it again does not.
fn sign(path: &StorePath) -> String {
    format!(
        "nix store sign --refresh --store https://SERVER:8443/cache --netrc-file NETRC --key-file KEY --recursive {path}, and push \
         with ?secret-key=KEY in the URL from now on"
    )
}

fn row(closure: &Closure) -> Vec<String> {
    let of = |count: u64, what: &str| if count > 0 { format!(" ({count} {what})") } else { String::new() };
    let (missing, unsigned) = (of(closure.missing, "missing"), of(closure.unsigned, "unsigned"));
    let pushed = closure.uploaded;
    let nodes: Vec<&str> = closure.nodes.iter().map(|node| node.as_str()).collect();
    vec![
        closure.path.to_string(),
        format!("{}{missing}{unsigned}", closure.paths),
        bytes(closure.nar_bytes),
        bytes(closure.file_bytes),
        format!("{} {:02}:{:02}", pushed.date(), pushed.hour(), pushed.minute()),
        if nodes.is_empty() { "-".to_owned() } else { nodes.join(",") },
    ]
}

/// `closure verify`
pub fn verify(report: &VerifyReport) -> String {
    let mut text = String::new();
    for failure in &report.damaged {
        text.push_str(&format!("{failure}\n"));
    }
    for name in &report.removed {
        text.push_str(&format!("removed {name}\n"));
    }
    text.push_str(&format!("{} paths checked, {} wrong\n", report.checked, report.damaged.len()));
    if let [first, ..] = &report.unsigned[..] {
        let count = report.unsigned.len();
        text.push_str(&format!(
            "{count} of them are signed by no key that a spec trusts, so no node takes them; the first is {first}\n  \
             what to do: {}\n",
            sign(first)
        ));
    }
    text
}

/// `closure gc`
pub fn gc(report: &GcReport, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    let mut text: String = report.paths.iter().map(|path| format!("{path}\n")).collect();
    text.push_str(&format!(
        "{} paths and {} files {would}removed, {} {would}freed; {} paths stay\n",
        report.paths.len(),
        report.nars,
        bytes(report.freed_bytes),
        report.kept
    ));
    text
}

/// `closure import`
pub fn imported(done: &Imported) -> String {
    format!("{} paths imported, {} sent; {} were there\n", done.imported, bytes(done.sent_bytes), done.present)
}
