//! Sizes as people write them: powers of 1024 with a letter, or bytes.

/// `500M` in bytes: K, M, G, T, P are powers of 1024 (also as `MiB`), and no unit is bytes.
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
    fn people_read_one_place_behind_the_point() {
        assert_eq!(human(1023), "1023 B");
        assert_eq!(human(3 << 29), "1.5 GiB");
        assert_eq!(human(u64::MAX), "16384.0 PiB");
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "\\PC*") {
            let _ = bytes(&text);
        }
    }
}
