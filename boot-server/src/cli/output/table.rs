//! Aligned columns.

use protocol::{
    Timestamp,
    admin::{NodeHealth, NodeSummary},
    rejection::Rejection,
    report::ServiceHealth,
    step::Step,
    telemetry::Progress,
    text::one_line,
};

/// `get nodes`.
pub fn nodes(nodes: &[NodeSummary], wide: bool) -> String {
    if nodes.is_empty() {
        return "No nodes yet: boot-server apply -f NODE.json, or power a machine on.\n".to_owned();
    }
    let mut rows = vec![vec!["NAME", "STATE", "STEP", "PROGRESS", "CODE", "SILENT"]];
    let cells: Vec<Vec<String>> = nodes.iter().map(|node| row(node, wide)).collect();
    if wide {
        rows[0]
            .extend(["GEN", "ADDRESS", "HEALTH", "HEARD", "LEADER", "MEMBERS", "VERSIONS", "RUNNING", "CERT", "NEEDS"]);
    }
    rows.extend(cells.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&rows)
}

/// `get rejections`.
pub fn rejections(rejections: &[Rejection]) -> String {
    if rejections.is_empty() {
        return "No machine is refused.\n".to_owned();
    }
    let cells = rejections.iter().map(|known| {
        let label = known.claims.serial.clone().or_else(|| known.claims.macs.first().map(ToString::to_string));
        let node = known.node.as_ref().map(ToString::to_string);
        let (time, or_dash) =
            (protocol::to_the_second(known.time), |text: Option<String>| text.unwrap_or("-".to_owned()));
        let cells = [
            known.machine.clone(),
            or_dash(node),
            or_dash(label),
            known.by.clone(),
            time,
            or_dash(known.reason.clone()),
        ];
        cells.map(|cell| one_line(&cell))
    });
    let cells: Vec<[String; 6]> = cells.collect();
    let mut rows = vec![vec!["MACHINE", "CLAIMS", "LABEL", "BY", "SINCE", "REASON"]];
    rows.extend(cells.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&rows)
}

fn row(node: &NodeSummary, wide: bool) -> Vec<String> {
    let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    let step = node.step.map(|step| format!("{}/{} {}", step.number(), Step::ALL.len(), step.name()));
    let mut cells = vec![
        node.name.clone(),
        node.state.to_string(),
        or_dash(step),
        or_dash(node.failure.as_ref().map(|failure| failure.code.to_string()).or(node.progress.map(progress))),
        or_dash(node.code.clone()),
        or_dash(node.silent_seconds.map(duration)),
    ];
    if wide {
        let needs = node
            .failure
            .as_ref()
            .map(|failure| first_line(&failure.cause))
            .or(node.missing.first().map(|missing| missing.text.clone()));
        cells.extend([node.generation.to_string(), or_dash(node.address.clone())]);
        cells.extend(health(node.health.as_ref()).map(or_dash));
        cells.push(or_dash(node.running.as_ref().map(|system| system.base().to_owned())));
        cells.push(or_dash(node.certificate_ends.map(|ends| left(ends, Timestamp::now_utc()))));
        cells.push(or_dash(needs));
    }
    cells
}

/// Condition, age, leaders, members and versions.
fn health(health: Option<&NodeHealth>) -> [Option<String>; 5] {
    let Some(health) = health else { return Default::default() };
    let report = health.report.as_ref();
    let each = |of: fn(&ServiceHealth) -> Option<String>| {
        let services = report?.services.iter();
        let told: Vec<String> =
            services.filter_map(|service| Some(format!("{}={}", service.service, of(service)?))).collect();
        Some(told.join(","))
    };
    let agent = report.map(|report| report.versions.agent.clone()).filter(|agent| !agent.is_empty());
    let versions = [agent.map(|agent| format!("agent={agent}")), each(|service| service.version.clone())];
    let versions: Vec<String> = versions.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    [
        Some(health.condition.to_string()),
        Some(duration(health.heard_seconds)),
        each(|service| service.leader.clone()),
        each(|service| Some(service.members.len().to_string()).filter(|_| !service.members.is_empty())),
        Some(versions.join(",")),
    ]
}

/// How long a certificate lasts still.
pub fn left(ends: Timestamp, now: Timestamp) -> String {
    match u64::try_from((ends - now).whole_seconds()) {
        Ok(seconds @ 1..) => duration(seconds),
        _ => "ended".to_owned(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").to_owned()
}

/// How far a step is: bytes where there are any, else paths.
pub fn progress(progress: Progress) -> String {
    let percent = |done: u64, total: u64| done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
    match progress {
        Progress { total_bytes: 1.., .. } => {
            let (done, total) = (progress.done_bytes, progress.total_bytes);
            format!("{}% of {}", percent(done, total), bytes(total))
        }
        Progress { total_paths: 1.., .. } => format!("{}/{} paths", progress.done_paths, progress.total_paths),
        Progress { done_bytes: 1.., .. } => bytes(progress.done_bytes),
        _ => String::new(),
    }
}

/// `1.5 GiB`
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// `5s`, `3m`, `2h`, `4d`
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Pads every column but the last to its widest cell. What machines said stays in its cell.
pub fn align(rows: &[Vec<&str>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_do_not_trail() {
        assert_eq!(align(&[vec!["A", "B"], vec!["long", "x"], vec!["é", ""]]), "A     B\nlong  x\né\n");
        assert_eq!(align(&[vec!["a\x1b[2J", "b\nc"]]).lines().collect::<Vec<_>>(), ["a\u{fffd}[2J  b\u{fffd}c"]);
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!((bytes(1023), bytes(1536)), ("1023 B".to_owned(), "1.5 KiB".to_owned()));
        assert_eq!([5, 119, 120, 7200, 200_000].map(duration), ["5s", "119s", "2m", "2h", "2d"]);
    }

    #[test]
    fn progress_shows_what_is_known() {
        let known = Progress { done_bytes: 512, total_bytes: 1024, done_paths: 1, total_paths: 2 };
        assert_eq!(progress(known), "50% of 1.0 KiB");
        assert_eq!(progress(Progress { total_bytes: 0, done_bytes: 0, ..known }), "1/2 paths");
        assert_eq!(progress(Progress::default()), "");
    }
}
