//! One node, and the journal, for people.

use super::table::{align, bytes, duration, left, progress};
use crate::domain::plan::short;
use protocol::{
    Failure, Timestamp,
    admin::{JournalEntry, NodeDetail, ServerEvent},
    audit::AuditEntry,
    boot_trust::{BootTrust, SecureBoot},
    measured::{Authority, Log, Measured},
    report::{JoinOutcome, ReadyReport, Versions},
    step::Step,
    telemetry::EventKind,
    text::{one_line, printable},
    tpm::{MeasuredStart, ProvenTpm, TpmState, Vouched},
};
use time::macros::format_description;

/// `describe node`.
pub fn detail(detail: &NodeDetail) -> String {
    let mut text = align(&facts(detail).iter().map(|(key, value)| vec![*key, value.as_str()]).collect::<Vec<_>>());
    if let Some(failure) = &detail.summary.failure {
        text.push_str(&format!("\nFailure\n{}", failure_text(failure)));
    }
    let title = detail.held_plan.map_or("Plan".to_owned(), |plan| {
        format!("Plan {} (held: boot-server approve {} --plan {0})", short(&plan), detail.summary.name)
    });
    let marked = |(line, destroys): (&str, bool)| format!("{} {line}", if destroys { "!!" } else { "  " });
    section(&mut text, title.trim(), &detail.marked_plan().map(marked).collect::<Vec<_>>());
    section(&mut text, "Health", &health(detail));
    section(&mut text, "Memberships", &detail.memberships.iter().map(membership).collect::<Vec<_>>());
    section(&mut text, "Boot order as installed", &detail.boot_order);
    let found = detail.memberships.last().map_or(&[][..], |report| &report.boot_order);
    section(&mut text, "Boot order as found", found);
    let steps: Vec<String> = timeline(&detail.events);
    section(&mut text, "Timeline", &steps);
    section(&mut text, "History", &detail.history.iter().map(deed).collect::<Vec<_>>());
    printable(&text)
}

/// Who did what, and from where.
fn deed(entry: &AuditEntry) -> String {
    format!("{} {}  {}: {}", entry.time.date(), clock(entry.time), entry.who(), entry.text)
}

fn health(detail: &NodeDetail) -> Vec<String> {
    let Some(health) = &detail.summary.health else { return vec![] };
    let mut lines = vec![format!("{}, heard {} ago", health.condition, duration(health.heard_seconds))];
    for service in health.report.iter().flat_map(|report| &report.services) {
        let word = if service.healthy { "healthy" } else { "NOT HEALTHY" };
        let leader = service.leader.as_ref().map_or(String::new(), |leader| format!(", leader {leader}"));
        let version = service.version.as_ref().map_or(String::new(), |version| format!(", {version}"));
        let members = service.members.join(", ");
        lines.push(format!("{:<10} {word}{version}{leader}; members: {members}", service.service));
        if let Some(failure) = &service.failure {
            lines.push(format!("           {failure}; what to do: {}", failure.remedy));
        }
    }
    lines
}

/// How and when the node became a member of a service, and what ran on it.
fn membership(report: &ReadyReport) -> String {
    let outcome = match report.outcome {
        JoinOutcome::Bootstrapped => "founded",
        JoinOutcome::Joined => "joined",
        JoinOutcome::AlreadyMember => "was a member",
    };
    let version = report.service_version.as_ref().map_or(String::new(), |version| format!(" {version}"));
    let mut line = format!("{}{version} {outcome} in {:.1} s", report.service, report.join_ms as f64 / 1000.0);
    let Versions { agent, kernel, system } = &report.versions;
    let system = system.as_ref().map(ToString::to_string).unwrap_or_default();
    for (what, text) in [("agent", agent), ("kernel", kernel), ("system", &system)] {
        if !text.is_empty() {
            line.push_str(&format!(", {what} {text}"));
        }
    }
    format!("{line}; members: {}", report.members.join(", "))
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        text.push_str(&format!("\n{title}\n"));
        for line in lines {
            text.push_str(&format!("  {}\n", one_line(line)));
        }
    }
}

fn certificate(ends: Timestamp) -> String {
    match left(ends, Timestamp::now_utc()).as_str() {
        "ended" => format!("ended {}", protocol::to_the_second(ends)),
        left => format!("ends {}, {left} left", protocol::to_the_second(ends)),
    }
}

/// Which TPM it is, and how far that is believed.
fn tpm(state: &TpmState) -> Option<String> {
    Some(match state {
        TpmState::Absent => return None,
        TpmState::Broken { why } => format!("broken: {why}"),
        TpmState::Claimed { ek } => format!("EK {ek}, not proven"),
        TpmState::Proven(ProvenTpm { ek, vendor, at, .. }) => {
            let vendor = match vendor {
                Vouched::By(vendor) => format!("certified by {vendor}"),
                Vouched::Nobody(why) => format!("certified by nobody ({why})"),
            };
            format!("EK {ek}, proven {}, {vendor}", protocol::to_the_second(*at))
        }
    })
}

/// What the machine's log proves of the boot with which it enrolled.
fn measured(detail: &NodeDetail) -> Option<&Measured> {
    detail.proven_log().and_then(Log::proven)
}

fn boot_trust(detail: &NodeDetail) -> String {
    let level = detail.boot_trust;
    let says = detail.inventory.as_ref().map(|inventory| inventory.secure_boot.state).unwrap_or_default();
    let (state, whose) = match measured(detail).and_then(|measured| measured.secure_boot.as_ref()) {
        Some(proven) => (proven.state, "as its TPM proves"),
        None => (says, "as it says"),
    };
    format!("{level}: {}; Secure Boot is {state}, {whose}", level.title())
}

/// The keys of Secure Boot, as far as they are proven.
fn keys(measured: &Measured) -> Option<String> {
    let SecureBoot { pk, kek, db, dbx, .. } = measured.secure_boot.as_ref()?;
    let keys = [("PK", pk), ("KEK", kek), ("db", db), ("dbx", dbx)];
    let keys = keys.iter().filter_map(|(name, hash)| Some(format!("{name} {}", &hash.as_ref()?.hex()[..12])));
    Some(keys.collect::<Vec<_>>().join(", "))
}

fn log_that_proves_nothing(log: &Log) -> Option<String> {
    match log {
        Log::Fits(_) => None,
        Log::DoesNotFit(why) => Some(format!("not believed: {why}")),
        Log::Missing(why) => Some(format!("none: {why}")),
    }
}

fn authority(authority: &Authority) -> String {
    let Authority { list, sha256, subject } = authority;
    let what = subject.as_deref().unwrap_or("an entry");
    format!("{what} ({list}, SHA-256 {})", &sha256.hex()[..12])
}

/// How far the last start of its system is to be believed.
fn start(start: &MeasuredStart) -> String {
    let at = protocol::to_the_second(start.at);
    let told = match &start.log {
        Log::Fits(measured) => {
            let state = measured
                .secure_boot
                .as_ref()
                .map(|proven| format!("; Secure Boot is {}, as its TPM proves", proven.state));
            let started: Vec<String> = measured.started.iter().map(ToString::to_string).collect();
            format!("{}; started: {}", state.unwrap_or_default(), started.join(", "))
        }
        other => format!("; event log {}", log_that_proves_nothing(other).unwrap_or_default()),
    };
    format!("{} {at}{told}", BootTrust::Measured)
}

fn facts(detail: &NodeDetail) -> Vec<(&'static str, String)> {
    let summary = &detail.summary;
    let mut facts = vec![("Name:", summary.name.clone()), ("State:", summary.state.to_string())];
    let mut fact =
        |key, value: Option<String>| facts.extend(value.filter(|value| !value.is_empty()).map(|v| (key, one_line(&v))));
    fact("Step:", summary.step.map(|step| format!("{} ({})", step.name(), step.title())));
    fact("Progress:", summary.progress.map(progress));
    fact("Code:", summary.code.clone());
    for missing in &summary.missing {
        fact("Needs:", Some(missing.text.clone()));
    }
    fact("Generation:", Some(summary.generation.to_string()));
    fact("Silent for:", summary.silent_seconds.map(duration));
    fact("Address:", summary.address.clone());
    fact("Certificate:", summary.certificate_ends.map(certificate));
    fact("Run:", detail.run.as_ref().map(ToString::to_string));
    if let Some(spec) = &detail.spec {
        fact("Profile:", Some(spec.profile.to_string()));
        fact("System:", Some(spec.system.toplevel.to_string()));
        let other = summary.running.as_ref().filter(|running| **running != spec.system.toplevel);
        fact("Running:", other.map(ToString::to_string));
    }
    if let Some(claims) = &detail.claims {
        let macs: Vec<String> = claims.macs.iter().map(ToString::to_string).collect();
        fact("MACs:", Some(macs.join(", ")));
        fact("Serial:", claims.serial.clone());
        fact("UUID:", claims.uuid.clone());
    }
    fact("Boot trust:", detail.claims.as_ref().map(|_| boot_trust(detail)));
    if let Some(measured) = measured(detail) {
        fact("Keys:", keys(measured));
        measured.authorities.iter().for_each(|one| fact("Vouched by:", Some(authority(one))));
        measured.started.iter().for_each(|started| fact("Started:", Some(started.to_string())));
        fact("Started:", Some(format!("{} more", measured.more_started)).filter(|_| measured.more_started > 0));
    }
    fact("Event log:", detail.proven_log().and_then(log_that_proves_nothing));
    fact("TPM:", tpm(&detail.tpm));
    fact("Disk started:", detail.starts.last.as_ref().map(start));
    if let Some(inventory) = &detail.inventory {
        let maker = [&inventory.dmi.vendor, &inventory.dmi.product].map(|text| text.as_deref().unwrap_or(""));
        fact("Hardware:", Some(maker.join(" ").trim().to_owned()));
        let (cpu, memory) = (&inventory.cpu, bytes(inventory.memory_bytes));
        fact("CPU:", Some(format!("{} threads, {}", cpu.threads, cpu.model)).filter(|_| cpu.threads > 0));
        fact("Memory:", Some(memory).filter(|_| inventory.memory_bytes > 0));
        for disk in &inventory.disks {
            let serial = disk.serial.as_deref().unwrap_or("no serial");
            fact("Disk:", Some(format!("{} {} {serial}", disk.name, bytes(disk.size))));
        }
    }
    fact("Agent memory:", Some(bytes(detail.agent_peak_rss)).filter(|_| detail.agent_peak_rss > 0));
    facts
}

fn failure_text(failure: &Failure) -> String {
    let cause = failure.cause.lines().collect::<Vec<_>>().join("\n  ");
    format!("  {}: {cause}\n  what to do: {}\n", failure.code, failure.remedy)
}

/// One line per step that ended, and per failure.
fn timeline(events: &[ServerEvent]) -> Vec<String> {
    let mut lines = Vec::new();
    for ServerEvent { event, .. } in events {
        let at = format!("{:>8.1}s", event.since_start_ms as f64 / 1000.0);
        let step = event.step.name();
        match &event.kind {
            EventKind::Started | EventKind::Unknown => {}
            EventKind::Finished { duration_ms, detail } => {
                lines.push(format!("{at}  {step:<12} {:>7.1}s  {detail}", *duration_ms as f64 / 1000.0));
            }
            EventKind::Failed { failure, retry_in_ms } => {
                let next =
                    retry_in_ms.map_or("the run ends".to_owned(), |ms| format!("again in {:.0} s", ms as f64 / 1000.0));
                let cause = failure.cause.lines().next().unwrap_or("");
                lines.push(format!("{at}  {step:<12}   failed  {}: {cause} ({next})", failure.code));
            }
            EventKind::Note { text } => lines.push(format!("{at}  {step:<12}           {text}")),
        }
    }
    lines
}

/// One line of `logs`.
pub fn journal_line(entry: &JournalEntry) -> String {
    let line = match entry {
        JournalEntry::Event(ServerEvent { received, event, .. }) => {
            let what = match &event.kind {
                EventKind::Started => format!("{} ...", event.step.title()),
                EventKind::Finished { duration_ms, detail } => {
                    format!("done in {:.1} s: {detail}", *duration_ms as f64 / 1000.0)
                }
                EventKind::Failed { failure, retry_in_ms: Some(ms) } => {
                    format!("FAILED {failure}; again in {:.0} s", *ms as f64 / 1000.0)
                }
                EventKind::Failed { failure, retry_in_ms: None } => {
                    format!("FAILED {failure}; what to do: {}", failure.remedy)
                }
                EventKind::Note { text } => text.clone(),
                EventKind::Unknown => "(an event of a newer release)".to_owned(),
            };
            let (number, all) = (event.step.number(), Step::ALL.len());
            format!("{}  ==  {number:>2}/{all} {:<12} {what}", clock(*received), event.step.name())
        }
        JournalEntry::Line(line) => {
            let line = &line.line;
            format!("{}  {:<5} {:<8} {}", clock(line.time), line.level, line.source, line.message)
        }
    };
    one_line(&line)
}

fn clock(time: Timestamp) -> String {
    let format = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{admin::ServerLine, telemetry::LogLine};

    #[test]
    fn a_machine_cannot_write_escapes_to_the_admin_s_terminal() {
        let line = LogLine {
            seq: 1,
            time: Timestamp::UNIX_EPOCH,
            level: "info".into(),
            source: "agent".into(),
            message: "a\u{1b}[2Jb".into(),
        };
        let shown = journal_line(&JournalEntry::Line(ServerLine { id: 1, run: "r1".parse().unwrap(), line }));
        assert!(!shown.contains('\u{1b}') && shown.starts_with("00:00:00.000  info"), "{shown}");
    }
}
