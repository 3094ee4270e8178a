//! The patterns of modules.alias: `*`, `?`, `[...]` and `\`, as fnmatch(3) with no flags reads them.

/// `-` and `_` are one character in module names and aliases, except within brackets.
pub fn normalise(text: &str) -> String {
    let mut bracket = false;
    text.chars()
        .map(|c| {
            bracket = match c {
                '[' => true,
                ']' => false,
                _ => bracket,
            };
            if c == '-' && !bracket { '_' } else { c }
        })
        .collect()
}

/// Whether the whole text fits the pattern. Linear but for backtracking to the last `*`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, which then takes one more byte.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(next) = one(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
        } else if let Some((behind, taken)) = star {
            (p, t) = (behind, taken + 1);
            star = Some((behind, taken + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the pattern's element at `p`; the position behind that element.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => match bracket(pattern, p + 1, byte) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            // Without its `]` a bracket stands for itself.
            None => (byte == b'[').then_some(p + 1),
        },
        b'\\' => (*pattern.get(p + 1)? == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// Reads the set that begins at `p`: whether `byte` is in it, and the position behind its `]`.
fn bracket(pattern: &[u8], mut p: usize, byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(p), Some(b'!' | b'^'));
    p += usize::from(negated);
    let mut found = false;
    let mut first = true;
    loop {
        let low = *pattern.get(p)?;
        if low == b']' && !first {
            return Some((found != negated, p + 1));
        }
        first = false;
        let range = pattern.get(p + 1) == Some(&b'-') && pattern.get(p + 2).is_some_and(|end| *end != b']');
        let high = if range { pattern[p + 2] } else { low };
        found |= (low..=high).contains(&byte);
        p += if range { 3 } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_patterns_match_as_fnmatch_does() {
        let virtio_net = "virtio:d00000001v00001AF4";
        for (pattern, text, fits) in [
            ("virtio:d00000001v*", virtio_net, true),
            ("virtio:d00000002v*", virtio_net, false),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true),
            ("usb:v0[0-9A-F]*", "usb:v0Ax", true),
            ("a[!b]c", "abc", false),
            ("a[]]c", "a]c", true),
            ("a[bc", "a[bc", true),
            ("*", "", true),
            ("?", "", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn dashes_and_underscores_are_the_same_outside_brackets() {
        assert_eq!(normalise("crypto-crc32c"), "crypto_crc32c");
        assert_eq!(normalise("a-[0-9]-b"), "a_[0-9]_b");
    }

    proptest! {
        #[test]
        fn any_pattern_and_text_come_to_an_end(pattern in "[]*?a\\[\\\\!-]{0,12}", text in "[a\\[\\]*-]{0,12}") {
            let _ = matches(&pattern, &text);
        }

        #[test]
        fn plain_text_matches_itself_and_nothing_else(a in "[a-z:]{0,12}", b in "[a-z:]{0,12}") {
            prop_assert_eq!(matches(&a, &b), a == b);
        }

        #[test]
        fn a_star_stands_for_any_part(head in "[a-c]{0,4}", part in "[a-c]{0,6}", tail in "[a-c]{0,4}") {
            let (pattern, text) = (format!("{head}*{tail}"), format!("{head}{part}{tail}"));
            prop_assert!(matches(&pattern, &text));
        }
    }
}
