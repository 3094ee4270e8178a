//! What the admin's verbs print.

mod table;
mod text;
mod yaml;

pub use protocol::text::printable;
pub use table::{align, bytes};

use protocol::{
    Code,
    admin::{JournalEntry, NodeDetail, NodeSummary},
    failure::{OrFail, Result},
    rejection::Rejection,
    text::escaped_json,
};
use serde::Serialize;

/// How a list is printed.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum Format {
    /// One line per node
    #[default]
    Table,
    /// With address, generation and what is missing
    Wide,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
    /// Names only
    Name,
}

/// How one node is printed.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum DetailFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// A list of nodes.
pub fn nodes(nodes: &[NodeSummary], format: Format) -> Result<String> {
    Ok(match format {
        Format::Table => table::nodes(nodes, false),
        Format::Wide => table::nodes(nodes, true),
        Format::Json => json(&nodes)?,
        Format::Yaml => to_yaml(&nodes)?,
        Format::Name => nodes.iter().map(|node| format!("{}\n", node.name)).collect(),
    })
}

/// A list of machines that were refused.
pub fn rejections(rejections: &[Rejection], format: Format) -> Result<String> {
    Ok(match format {
        Format::Table | Format::Wide => table::rejections(rejections),
        Format::Json => json(&rejections)?,
        Format::Yaml => to_yaml(&rejections)?,
        Format::Name => rejections.iter().map(|known| format!("{}\n", known.machine)).collect(),
    })
}

/// One node.
pub fn detail(detail: &NodeDetail, format: DetailFormat) -> Result<String> {
    match format {
        DetailFormat::Text => Ok(text::detail(detail)),
        DetailFormat::Json => json(detail),
        DetailFormat::Yaml => to_yaml(detail),
    }
}

/// An event or a log line.
pub fn journal_line(entry: &JournalEntry) -> String {
    text::journal_line(entry)
}

/// For programs.
pub fn json(value: &impl Serialize) -> Result<String> {
    Ok(escaped_json(&serde_json::to_string_pretty(value).or_fail(Code::Internal, || "writing JSON")?) + "\n")
}

fn to_yaml(value: &impl Serialize) -> Result<String> {
    Ok(yaml::write(&serde_json::to_value(value).or_fail(Code::Internal, || "writing YAML")?))
}
