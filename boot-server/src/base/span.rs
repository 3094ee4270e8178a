//! Spans of time in config.toml: `90s`, `45m`, `12h`, `7d`.

use serde::{Deserialize, Deserializer, de::Error};
use time::Duration;

/// A century is meant for ever.
const LONGEST: Duration = Duration::days(36_500);

/// A span of time, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// Reads a number with its unit.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at(text.find(|one: char| !one.is_ascii_digit())?);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let span = Duration::seconds(number.parse::<i64>().ok()?.checked_mul(seconds)?);
        (span <= LONGEST).then_some(Self(span))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no span of time such as 90s, 12h or 7d")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_span_is_a_number_with_its_unit() {
        for (text, seconds) in [("90s", 90), ("2m", 120), ("12h", 43_200), ("7d", 604_800), ("0d", 0)] {
            assert_eq!(Span::parse(text), Some(Span(Duration::seconds(seconds))), "{text}");
        }
        for text in ["", "7", "d", "-7d", "7 d", "7w", "1.5h", "99999999999999999999s", "36501d"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = Span::parse(&text);
        }
    }
}
