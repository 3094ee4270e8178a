//! Sizes as disko (sgdisk) and the selectors write them.

use std::ops::RangeInclusive;

/// `500M` in bytes: K, M, G, T, P are powers of 1024, and no unit is bytes.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let unit = match &text[digits.len()..].to_ascii_uppercase()[..] {
        "" | "B" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1u64 << 30,
        "T" | "TIB" => 1 << 40,
        "P" | "PIB" => 1 << 50,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// So many bytes after its start.
    Length(u64),
    /// So many bytes before the end of the usable space.
    BeforeEnd(u64),
}

/// disko's `end`, or its `size` where there is none.
pub fn end(end: Option<&str>, size: Option<&str>) -> Option<End> {
    match (end, size) {
        (Some(end), _) if end.starts_with('+') => bytes(&end[1..]).map(End::Length),
        (Some(end), _) if end.starts_with('-') => bytes(&end[1..]).map(End::BeforeEnd),
        (Some(_), _) => None,
        (None, Some("100%")) => Some(End::BeforeEnd(0)),
        (None, Some(size)) => bytes(size).map(End::Length),
        (None, None) => None,
    }
}

/// The range of a selector: `8G` exactly, `>=8G`, `<=`, `>`, `<`, `8G..64G` both included.
pub fn range(text: &str) -> Option<RangeInclusive<u64>> {
    let text = text.trim();
    if let Some((low, high)) = text.split_once("..") {
        return Some(bytes(low)?..=bytes(high)?);
    }
    if let Some(low) = text.strip_prefix(">=") {
        return Some(bytes(low)?..=u64::MAX);
    }
    if let Some(high) = text.strip_prefix("<=") {
        return Some(0..=bytes(high)?);
    }
    if let Some(low) = text.strip_prefix('>') {
        return Some(bytes(low)?.checked_add(1)?..=u64::MAX);
    }
    if let Some(high) = text.strip_prefix('<') {
        return Some(0..=bytes(high)?.checked_sub(1)?);
    }
    let exact = bytes(text.strip_prefix('=').unwrap_or(text))?;
    Some(exact..=exact)
}

/// Bytes for people: `8.0 GiB`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(bytes("500M"), Some(500 << 20));
        assert_eq!(bytes("1TiB"), Some(1 << 40));
        assert_eq!(bytes("512"), Some(512));
        for bad in ["", "M", "-1M", "1.5G", "5X", "99999999999P"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_length_or_a_distance_from_the_end() {
        assert_eq!(end(Some("+500M"), Some("500M")), Some(End::Length(500 << 20)));
        assert_eq!(end(Some("-0"), Some("100%")), Some(End::BeforeEnd(0)));
        assert_eq!(end(Some("-1M"), Some("0")), Some(End::BeforeEnd(1 << 20)));
        assert_eq!(end(None, Some("100%")), Some(End::BeforeEnd(0)));
        assert_eq!(end(Some("12345"), None), None);
    }

    #[test]
    fn ranges_include_what_they_say() {
        assert!(range("8G..64G").unwrap().contains(&(64 << 30)));
        assert!(!range(">8G").unwrap().contains(&(8 << 30)));
        assert!(range(">=8G").unwrap().contains(&(8 << 30)));
        assert!(!range("<8G").unwrap().contains(&(8 << 30)));
        assert_eq!(range("8G"), Some((8 << 30)..=(8 << 30)));
        assert_eq!(range("<0"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "\\PC*") {
            let _ = (bytes(&text), range(&text), end(Some(&text), None));
        }
    }
}
