//! What the service on this node said last: the reason stands in its journal, and the joiner can look.

use super::driver::Node;
use host::command;
use protocol::{Code, Failure, service::Service};
use serde_json::Value;

/// So much of it is shown.
const MOST_CHARS: usize = 300;

/// What prints the end of the service's own lines on an installed system.
pub fn default_command(service: Service) -> Vec<String> {
    let unit = format!("_SYSTEMD_UNIT={service}.service");
    ["journalctl", &unit, "--boot", "--lines=60", "--output=cat", "--no-pager", "--quiet"].map(str::to_owned).to_vec()
}

/// The failure of the service on this node, with what it said last where that can be read.
pub fn with(node: &Node, failure: Failure) -> Failure {
    let journal = format!("read the service's journal: journalctl -u {}", node.service);
    let failure = Failure { code: Code::ServiceUnhealthy, ..failure };
    match spoken(node) {
        Some(words) => Failure { cause: format!("{}; {} said last: {words}", failure.cause, node.service), ..failure }
            .with_remedy(format!("mend what {} says; {journal}", node.service)),
        None => failure.with_remedy(journal),
    }
}

fn spoken(node: &Node) -> Option<String> {
    let (program, arguments) = node.settings.journal_command.split_first()?;
    of(&command::run(program, arguments).ok()?.stdout)
}

/// The gravest of these lines, the last of its kind.
fn of(text: &str) -> Option<String> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let gravest = lines().max_by_key(|line| gravity(line))?;
    let words: String = words(gravest).chars().take(MOST_CHARS).collect();
    Some(words.escape_debug().to_string())
}

/// `max_by_key` takes the last of equals.
fn gravity(line: &str) -> u8 {
    let level = parsed(line).map(|line| line["level"].as_str().unwrap_or_default().to_ascii_lowercase());
    match level.as_deref() {
        Some("panic" | "dpanic" | "fatal" | "critical") => 4,
        None if line.starts_with("panic:") || line.contains("level=fatal") => 4,
        Some("error") => 3,
        None if line.contains("level=error") => 3,
        Some("warn" | "warning") => 2,
        None => 1,
        Some(_) => 0,
    }
}

fn words(line: &str) -> String {
    let Some(line) = parsed(line) else { return line.trim().to_owned() };
    let text = |key: &str| line[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let said: Vec<String> = [text("msg").or_else(|| text("message")), text("error")].into_iter().flatten().collect();
    if said.is_empty() { line.to_string() } else { said.join(": ") }
}

fn parsed(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_gravest_line_is_told_and_of_equals_the_last() {
        let etcd = [
            r#"{"level":"warn","msg":"is starting"}"#,
            r#"{"level":"fatal","msg":"discovery failed","error":"member 5 has already been bootstrapped"}"#,
            r#"{"level":"info","msg":"closed"}"#,
        ];
        assert_eq!(of(&etcd.join("\n")).as_deref(), Some("discovery failed: member 5 has already been bootstrapped"));
        assert_eq!(of("first\n\nlast \n").as_deref(), Some("last"));
        assert_eq!(
            of("panic: tocommit(35) is out of range\n\ngoroutine 1\n").unwrap(),
            "panic: tocommit(35) is out of range"
        );
        assert_eq!(of(" \n"), None);
    }

    proptest! {
        #[test]
        fn whatever_it_says_is_one_short_line(text in "(\\PC|\n|\u{1b}){0,900}") {
            if let Some(words) = of(&text) {
                let has = |letter| words.contains(letter);
                prop_assert!(!has('\n') && !has('\u{1b}'), "{words}");
                prop_assert!(words.chars().count() <= MOST_CHARS * 10);
            }
        }
    }
}
