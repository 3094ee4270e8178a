//! Sizes as disko (sgdisk) writes them.

pub use protocol::size::bytes;

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
    fn an_end_is_a_length_or_a_distance_from_the_end() {
        assert_eq!(end(Some("+500M"), Some("500M")), Some(End::Length(500 << 20)));
        assert_eq!(end(Some("-0"), Some("100%")), Some(End::BeforeEnd(0)));
        assert_eq!(end(Some("-1M"), Some("0")), Some(End::BeforeEnd(1 << 20)));
        assert_eq!(end(None, Some("100%")), Some(End::BeforeEnd(0)));
        assert_eq!(end(Some("12345"), None), None);
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "\\PC*") {
            let _ = end(Some(&text), None);
        }
    }
}
