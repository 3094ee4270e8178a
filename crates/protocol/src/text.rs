//! Texts of others: cut to what is kept, and shown so that they command no terminal and forge no line.

/// The text up to so many bytes, whole characters.
#[must_use]
pub fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// Whether a terminal or a reader is told something by the character instead of being shown it: control characters, and
/// those that turn the direction of writing or are not seen.
pub fn is_command(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The text for a terminal; its lines stay lines.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|one| if is_command(one) && one != '\n' && one != '\t' { '\u{fffd}' } else { one }).collect()
}

/// The text as one line for a terminal.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|one| if is_command(one) { '\u{fffd}' } else { one }).collect()
}

/// JSON with such characters escaped, which stand in its strings only.
#[must_use]
pub fn escaped_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            one if is_command(one) && one != '\n' => escaped.push_str(&format!("\\u{:04x}", u32::from(one))),
            one => escaped.push(one),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aéaé".to_owned(), 5), "aéa");
        assert_eq!(cut("abc".to_owned(), 5), "abc");
    }

    #[test]
    fn no_character_of_a_stranger_commands_a_terminal_or_forges_a_line() {
        let evil = "a\x1b[2J\u{9b}b\u{202e}c\u{7}d\u{200b}\ne";
        assert_eq!(printable(evil), "a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}\ne");
        assert_eq!(one_line(evil).lines().count(), 1);
        let json = escaped_json(&serde_json::to_string(&[evil]).unwrap());
        assert!(!json.chars().any(is_command), "{json}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [evil]);
    }
}
