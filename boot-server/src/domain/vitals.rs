//! How an installed node is by its last report, and what is noted when that changes.

use protocol::{
    Timestamp,
    admin::{Condition, NodeHealth},
    report::HealthReport,
};
use time::Duration;

/// The last that was heard of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// Its report; none before the first, when it has only said that it is ready.
    pub report: Option<HealthReport>,
    /// What has been noted of it.
    pub noted: Condition,
}

impl Heard {
    /// How the node is, where silence begins after `silent`. What was not heard before the server began to listen, at
    /// `begun`, is no silence, unless it was one already. A clock that was set back since then began anew.
    pub fn condition(&self, now: Timestamp, silent: Duration, begun: Timestamp) -> Condition {
        let at = if self.noted == Condition::Silent { self.at } else { self.at.max(begun.min(now)) };
        if now - at >= silent {
            return Condition::Silent;
        }
        match &self.report {
            None => Condition::Unknown,
            Some(report) if report.healthy => Condition::Healthy,
            Some(_) => Condition::Unhealthy,
        }
    }

    /// As an admin sees it.
    pub fn shown(&self, now: Timestamp, silent: Duration, begun: Timestamp) -> NodeHealth {
        NodeHealth {
            condition: self.condition(now, silent, begun),
            heard_seconds: u64::try_from((now - self.at).whole_seconds()).unwrap_or(0),
            report: self.report.clone(),
        }
    }

    /// Whether another report says nothing new: the clock of the node apart.
    pub fn says(&self, report: &HealthReport) -> bool {
        self.report.as_ref().is_some_and(|known| HealthReport { time: report.time, ..known.clone() } == *report)
    }
}

/// The line that is noted when a node comes from one condition to another.
pub fn turning_point(from: Condition, to: Condition, heard: &Heard, now: Timestamp) -> Option<String> {
    use Condition::{Healthy, Silent, Unhealthy, Unknown};
    match (from, to) {
        (Unhealthy | Silent, Healthy) => Some("healthy again".to_owned()),
        (Silent, Unknown) => Some("heard again".to_owned()),
        (Unknown | Healthy | Silent, Unhealthy) => Some(format!("unhealthy: {}", cause(heard.report.as_ref()))),
        (Unknown | Healthy | Unhealthy, Silent) => {
            Some(format!("silent: nothing was heard of it for {} s", (now - heard.at).whole_seconds()))
        }
        _ => None,
    }
}

/// Why a node is not healthy, in one line.
fn cause(report: Option<&HealthReport>) -> String {
    let unwell = report.into_iter().flat_map(|report| &report.services).filter(|service| !service.healthy);
    let named = unwell.map(|service| match &service.failure {
        Some(failure) => format!("{}: {failure}", service.service),
        None => service.service.to_string(),
    });
    let lines: Vec<String> = named.collect();
    if lines.is_empty() { "it does not say why".to_owned() } else { lines.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SILENT: Duration = Duration::minutes(3);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_timestamp(seconds).unwrap()
    }

    fn report(healthy: bool, time: &str) -> HealthReport {
        let failure = json!({"code": "E-SERVICE-UNHEALTHY", "cause": "asking /health: 503", "remedy": "x"});
        serde_json::from_value(json!({"generation": 1, "time": time, "healthy": healthy,
            "services": [{"service": "etcd", "healthy": healthy, "failure": if healthy { json!(null) } else { failure }}]}))
        .unwrap()
    }

    fn heard(healthy: bool) -> Heard {
        Heard { at: at(0), report: Some(report(healthy, "2026-01-01T00:00:00Z")), noted: Condition::Unknown }
    }

    #[test]
    fn silence_begins_after_three_minutes_whatever_was_said_before() {
        for healthy in [true, false] {
            assert_ne!(heard(healthy).condition(at(179), SILENT, at(0)), Condition::Silent);
            assert_eq!(heard(healthy).condition(at(180), SILENT, at(0)), Condition::Silent);
        }
    }

    #[test]
    fn a_server_that_was_away_gives_its_nodes_time_to_speak_but_a_silent_one_stays_silent() {
        assert_eq!(heard(true).condition(at(1179), SILENT, at(1000)), Condition::Healthy);
        assert_eq!(heard(true).condition(at(1180), SILENT, at(1000)), Condition::Silent);
        assert_eq!(heard(true).condition(at(180), SILENT, at(99_000)), Condition::Healthy, "the clock was set back");
        let silent = Heard { noted: Condition::Silent, ..heard(true) };
        assert_eq!(silent.condition(at(1001), SILENT, at(1000)), Condition::Silent);
    }

    #[test]
    fn a_report_that_differs_only_in_its_time_says_nothing_new() {
        assert!(heard(true).says(&report(true, "2026-01-01T00:01:00Z")));
        assert!(!heard(true).says(&report(false, "2026-01-01T00:01:00Z")));
    }

    #[test]
    fn the_note_says_which_service_is_unhealthy_and_why() {
        let text = turning_point(Condition::Healthy, Condition::Unhealthy, &heard(false), at(1)).unwrap();
        assert_eq!(text, "unhealthy: etcd: E-SERVICE-UNHEALTHY: asking /health: 503");
    }

    proptest! {
        #[test]
        fn every_way_into_trouble_and_out_of_it_is_noted_once(
            words in prop::collection::vec((0i64..400, any::<bool>()), 1..40)
        ) {
            let (mut noted, mut now, mut trouble) = (Condition::Unknown, 0, false);
            for (pause, healthy) in words {
                now += pause;
                let heard = Heard { at: at(now - pause), ..heard(healthy) };
                let condition = heard.condition(at(now), SILENT, at(0));
                let told = turning_point(noted, condition, &heard, at(now)).is_some();
                let in_trouble = matches!(condition, Condition::Unhealthy | Condition::Silent);
                prop_assert!(!(trouble ^ in_trouble) || told, "{noted} to {condition} was not noted");
                prop_assert!(noted != condition || !told, "{noted} was noted twice");
                (noted, trouble) = (condition, in_trouble);
            }
        }
    }
}
