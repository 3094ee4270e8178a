//! The code that an admin compares and types.

use protocol::encoding::Sha256;

/// Compares two texts in a time that does not depend on where they differ.
pub fn constant_time_equal(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::of(a.as_bytes()).0, Sha256::of(b.as_bytes()).0);
    a.iter().zip(b).fold(0u8, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// A code as a person may type it, in the form in which it is shown: `k7qf2m9x` is `K7QF-2M9X`.
pub fn normal_code(typed: &str) -> Option<String> {
    let letters: String = typed.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
    let letters = letters.to_ascii_uppercase();
    let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    (letters.len() == 8 && letters.bytes().all(base32)).then(|| format!("{}-{}", &letters[..4], &letters[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_may_be_typed_without_case_and_hyphen() {
        assert_eq!(normal_code(" k7qf 2m5x").as_deref(), Some("K7QF-2M5X"));
        for wrong in ["", "node-01", "K7QF-2M9", "K7QF-2M19", "ÄÄÄÄ"] {
            assert_eq!(normal_code(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn codes_of_any_text_never_panic(text in "\\PC{0,20}") {
            let _ = normal_code(&text);
        }

        #[test]
        fn equality_is_equality(a in "[a-c]{0,3}", b in "[a-c]{0,3}") {
            prop_assert_eq!(constant_time_equal(&a, &b), a == b);
        }
    }
}
