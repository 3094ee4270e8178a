//! Range and entity tags (RFC 9110): which bytes to send. Pure.

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// What a GET of a file comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client has it.
    NotModified,
    /// All of it.
    Whole,
    /// These bytes, not empty.
    Part(Range<u64>),
    /// A range that begins behind the end.
    Unsatisfiable,
}

/// Decides by If-None-Match, If-Range and Range. `etag` is strong and has its quotes.
pub fn outcome(headers: &HeaderMap, etag: &str, size: u64) -> Outcome {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, etag)) {
        return Outcome::NotModified;
    }
    // A range of another version would be worse than the whole; a date is never taken for the same.
    if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Outcome::Whole;
    }
    text(header::RANGE).map_or(Outcome::Whole, |range| part(range, size))
}

fn matches(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// One range; several, or what is no range, are answered with the whole, as a server may.
fn part(text: &str, size: u64) -> Outcome {
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Outcome::Whole;
    };
    let number = |text: &str| (text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u64>().ok())?;
    let (first, last) = match (first, last) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Outcome::Unsatisfiable,
            Some(length) => (size.saturating_sub(length), size.saturating_sub(1)),
            None => return Outcome::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, size.saturating_sub(1)),
            None => return Outcome::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
            _ => return Outcome::Whole,
        },
    };
    if first >= size { Outcome::Unsatisfiable } else { Outcome::Part(first..last + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn ranged(range: &str) -> Outcome {
        outcome(&headers(&[(header::RANGE, range)]), "\"x\"", 100)
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(ranged("bytes=0-9"), Outcome::Part(0..10));
        assert_eq!(ranged("bytes=90-"), Outcome::Part(90..100));
        assert_eq!(ranged("bytes=90-1000"), Outcome::Part(90..100));
        assert_eq!(ranged("bytes=-10"), Outcome::Part(90..100));
        assert_eq!(ranged("bytes=-1000"), Outcome::Part(0..100));
        assert_eq!(ranged("bytes=100-"), Outcome::Unsatisfiable);
        assert_eq!(ranged("bytes=-0"), Outcome::Unsatisfiable);
        for odd in ["bytes=9-3", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "bytes", "bytes=+1-2"] {
            assert_eq!(ranged(odd), Outcome::Whole, "{odd}");
        }
    }

    #[test]
    fn a_range_of_an_older_version_gets_the_whole() {
        let with = |tag| headers(&[(header::RANGE, "bytes=50-"), (header::IF_RANGE, tag)]);
        assert_eq!(outcome(&with("\"x\""), "\"x\"", 100), Outcome::Part(50..100));
        assert_eq!(outcome(&with("\"old\""), "\"x\"", 100), Outcome::Whole);
        assert_eq!(outcome(&with("W/\"x\""), "\"x\"", 100), Outcome::Whole);
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for tags in ["\"x\"", "\"y\", W/\"x\"", "*"] {
            assert_eq!(outcome(&headers(&[(header::IF_NONE_MATCH, tags)]), "\"x\"", 1), Outcome::NotModified);
        }
        assert_eq!(outcome(&headers(&[(header::IF_NONE_MATCH, "\"y\"")]), "\"x\"", 1), Outcome::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,21}-[0-9]{0,21}|\\PC*", size in 0u64..500) {
            if let Ok(value) = range.parse() {
                let headers = [(header::RANGE, value)].into_iter().collect();
                if let Outcome::Part(part) = outcome(&headers, "\"x\"", size) {
                    prop_assert!(part.start < part.end && part.end <= size);
                }
            }
        }
    }
}
