//! One hint of a disk selector, with Ironic's operators.

use crate::size;
use std::ops::RangeInclusive;

/// No unit below this many bytes: whoever writes 300 means GiB, as in Ironic, and not bytes.
const UNITLESS: u64 = 1 << 20;

/// What a fact that is text must be. Letters are equal in either case, and any blanks are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextHint {
    /// `s==`, or no operator.
    Equal(String),
    /// `s!=`
    NotEqual(String),
    /// `s<`
    Less(String),
    /// `s<=`
    LessOrEqual(String),
    /// `s>`
    Greater(String),
    /// `s>=`
    GreaterOrEqual(String),
    /// `<in>`: one part; `<all-in>`: each of its words.
    Contains(Vec<String>),
    /// `<or> a <or> b`
    OneOf(Vec<String>),
}

impl TextHint {
    /// Reads a hint.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind the hint's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = fold(text);
        let value = |rest: &str| Some(fold(rest)).filter(|rest| !rest.is_empty()).ok_or_else(|| missing(&text));
        // The longer operator first: `s<=` begins with `s<`.
        for operator in ["s==", "s!=", "s<=", "s>=", "s<", "s>"] {
            let Some(rest) = text.strip_prefix(operator) else { continue };
            let value = value(rest)?;
            return Ok(match operator {
                "s!=" => Self::NotEqual(value),
                "s<=" => Self::LessOrEqual(value),
                "s>=" => Self::GreaterOrEqual(value),
                "s<" => Self::Less(value),
                "s>" => Self::Greater(value),
                _ => Self::Equal(value),
            });
        }
        if let Some(rest) = text.strip_prefix("<in>") {
            return Ok(Self::Contains(vec![value(rest)?]));
        }
        if let Some(rest) = text.strip_prefix("<all-in>") {
            return Ok(Self::Contains(value(&rest.replace("<all-in>", " "))?.split(' ').map(str::to_owned).collect()));
        }
        if let Some(rest) = text.strip_prefix("<or>") {
            return Ok(Self::OneOf(rest.split("<or>").map(value).collect::<Result<_, _>>()?));
        }
        if text.starts_with(['<', '>', '=', '!']) {
            let known = "s==, s!=, s<, s<=, s>, s>=, <in>, <all-in> and <or>";
            return Err(format!("{text:?} begins with no operator for text; those are {known}"));
        }
        Ok(Self::Equal(value(&text)?))
    }

    /// Whether a fact fits that has several ways to be written.
    pub fn fits(&self, forms: &[&str]) -> bool {
        let mut forms = forms.iter().map(|form| fold(form)).filter(|form| !form.is_empty()).peekable();
        if let Self::NotEqual(unwanted) = self {
            return forms.peek().is_some() && forms.all(|form| form != *unwanted);
        }
        forms.any(|form| match self {
            Self::Equal(wanted) => form == *wanted,
            Self::NotEqual(unwanted) => form != *unwanted,
            Self::Less(bound) => form < *bound,
            Self::LessOrEqual(bound) => form <= *bound,
            Self::Greater(bound) => form > *bound,
            Self::GreaterOrEqual(bound) => form >= *bound,
            Self::Contains(parts) => parts.iter().all(|part| form.contains(part)),
            Self::OneOf(wanted) => wanted.contains(&form),
        })
    }
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

fn missing(text: &str) -> String {
    if text.is_empty() { "it says nothing".to_owned() } else { format!("a value is missing in {text:?}") }
}

/// How large a disk must be: within one of these ranges of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeHint(Vec<RangeInclusive<u64>>);

impl SizeHint {
    /// Reads `8G` (exactly), `==`, `=`, `!=`, `>=`, `<=`, `>`, `<`, `8G..64G`, `<range-in> [ 8G 64G )`, `<or> 8G <or> 16G`.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind the hint's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("<range-in>") {
            return range_in(rest).unwrap_or_else(|| Err(malformed(text))).map(|range| Self(vec![range]));
        }
        if let Some(rest) = text.strip_prefix("<or>") {
            let exact = |part: &str| bytes(part).map(|size| size..=size);
            return rest.split("<or>").map(exact).collect::<Result<_, _>>().map(Self);
        }
        if let Some((low, high)) = text.split_once("..") {
            let range = bytes(low)?..=bytes(high)?;
            return if range.is_empty() { Err(format!("no size is within {text:?}")) } else { Ok(Self(vec![range])) };
        }
        let none = || format!("no size is {text}");
        let ranges = if let Some(size) = text.strip_prefix("!=") {
            let size = bytes(size)?;
            let below = size.checked_sub(1).map(|high| 0..=high);
            below.into_iter().chain(size.checked_add(1).map(|low| low..=u64::MAX)).collect()
        } else if let Some(low) = text.strip_prefix(">=") {
            vec![bytes(low)?..=u64::MAX]
        } else if let Some(high) = text.strip_prefix("<=") {
            vec![0..=bytes(high)?]
        } else if let Some(low) = text.strip_prefix('>') {
            vec![bytes(low)?.checked_add(1).ok_or_else(none)?..=u64::MAX]
        } else if let Some(high) = text.strip_prefix('<') {
            vec![0..=bytes(high)?.checked_sub(1).ok_or_else(none)?]
        } else {
            let exact = bytes(text.strip_prefix("==").or_else(|| text.strip_prefix('=')).unwrap_or(text))?;
            vec![exact..=exact]
        };
        Ok(Self(ranges))
    }

    /// Whether a disk of so many bytes fits.
    pub fn fits(&self, size: u64) -> bool {
        self.0.iter().any(|range| range.contains(&size))
    }
}

/// `[ 8G 64G ]` with both ends, `( 8G 64G )` without; `None` where it is not of this form.
fn range_in(text: &str) -> Option<Result<RangeInclusive<u64>, String>> {
    let text = text.trim();
    let inside = text.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let mut ends = inside.split_whitespace();
    let (low, high) = (ends.next()?, ends.next()?);
    if ends.next().is_some() {
        return None;
    }
    let read = || {
        let (low, high) = (bytes(low)?, bytes(high)?);
        let low = if text.starts_with('(') { low.checked_add(1) } else { Some(low) };
        let high = if text.ends_with(')') { high.checked_sub(1) } else { Some(high) };
        let range = low.zip(high).map(|(low, high)| low..=high).filter(|range| !range.is_empty());
        range.ok_or_else(|| format!("no size is within {text:?}"))
    };
    Some(read())
}

fn bytes(text: &str) -> Result<u64, String> {
    let size = size::bytes(text).ok_or_else(|| malformed(text))?;
    let bare = text.trim().bytes().all(|byte| byte.is_ascii_digit());
    if bare && size > 0 && size < UNITLESS {
        return Err(format!("{size} bytes is no disk: write a unit, such as {size}G"));
    }
    Ok(size)
}

fn malformed(text: &str) -> String {
    format!("{:?} is not like 8G, >=8G, 8G..64G or <range-in> [ 8G 64G ]", text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(hint: &str, fact: &str) -> bool {
        TextHint::parse(hint).unwrap().fits(&[fact])
    }

    #[test]
    fn text_without_an_operator_is_equal_in_either_case() {
        assert!(text(" qemu  harddisk", "QEMU HARDDISK "));
        assert!(!text("QEMU", "QEMU HARDDISK"));
        assert!(text("s== A", "a") && !text("s!= A", "a") && text("s!=A", "b"));
    }

    #[test]
    fn text_is_compared_contained_or_one_of_several() {
        assert!(text("s< B", "a") && text("s<= b", "B") && !text("s> b", "b") && text("s>= b", "b"));
        assert!(text("<in> hard", "QEMU HARDDISK") && !text("<in> soft", "QEMU HARDDISK"));
        assert!(text("<all-in> disk qemu", "QEMU HARDDISK") && !text("<all-in> disk ssd", "QEMU HARDDISK"));
        assert!(text("<or> a <or> b c", "B C") && !text("<or> a <or> b", "c"));
    }

    #[test]
    fn a_fact_that_is_not_there_fits_no_hint() {
        for hint in ["a", "s!= a", "<in> a", "s> a"] {
            assert!(!TextHint::parse(hint).unwrap().fits(&[]), "{hint}");
            assert!(!text(hint, ""), "{hint}");
        }
    }

    #[test]
    fn a_fact_with_two_forms_is_unequal_only_if_both_are() {
        assert!(!TextHint::parse("s!= 0x5").unwrap().fits(&["naa.5", "0x5"]));
        assert!(TextHint::parse("0x5").unwrap().fits(&["naa.5", "0x5"]));
    }

    #[test]
    fn a_text_hint_without_a_value_or_with_an_unknown_operator_is_refused() {
        for bad in ["", "  ", "s==", "<in>", "<or> a <or>", "<or>", "<all-in> ", "<not> a", ">= a", "== a", "!= a"] {
            assert!(TextHint::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_include_what_they_say() {
        let fits = |hint: &str, size: u64| SizeHint::parse(hint).unwrap().fits(size);
        let eight = 8 << 30;
        for hint in
            ["8G", "= 8G", "==8GiB", "<= 8G", ">= 8G", "8G..9G", "1G..8G", "<range-in> [ 8G 9G )", "<or> 1G <or> 8G"]
        {
            assert!(fits(hint, eight), "{hint}");
        }
        for hint in ["!= 8G", "<8G", "> 8G", "<range-in> ( 8G 9G ]", "<range-in> [ 1G 8G )", "<or> 1G", "8589934593"] {
            assert!(!fits(hint, eight), "{hint}");
        }
        assert!(fits("!= 8G", 0) && fits("!= 8G", eight + 1) && fits("<range-in> [ 0 8G ]", 1));
    }

    #[test]
    fn a_size_that_says_nothing_is_refused_and_one_without_a_unit_gets_the_remedy() {
        for bad in
            ["", "8X", "<0", "9G..8G", "<range-in> 8G", "<range-in> [ 8G ]", "<range-in> ( 8G 8G )", "<in> 8G", "-8G"]
        {
            assert!(SizeHint::parse(bad).is_err(), "{bad:?}");
        }
        let why = SizeHint::parse(">= 300").unwrap_err();
        assert!(why.contains("write a unit, such as 300G"), "{why}");
    }

    proptest! {
        #[test]
        fn any_text_is_borne(hint in "(s?[<>=!]{0,2}|<[a-z-]{0,8}>)?\\PC{0,40}", fact in "\\PC{0,20}", size: u64) {
            if let Ok(hint) = TextHint::parse(&hint) {
                hint.fits(&[&fact]);
            }
            if let Ok(hint) = SizeHint::parse(&hint) {
                hint.fits(size);
            }
        }

        #[test]
        fn a_plain_fact_fits_itself_and_its_negation_does_not(fact in "[a-zA-Z0-9 ._-]{0,30}[a-zA-Z0-9]") {
            prop_assert!(text(&fact, &fact));
            let unequal = format!("s!= {fact}");
            prop_assert!(!text(&unequal, &fact));
        }

        #[test]
        fn not_equal_is_everything_else(size in 1u64 << 20.., other: u64) {
            let hint = SizeHint::parse(&format!("!= {size}")).unwrap();
            prop_assert_eq!(hint.fits(other), other != size);
            prop_assert!(!hint.fits(size));
        }
    }
}
