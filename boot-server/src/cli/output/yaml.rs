//! JSON values as YAML: block style, strings quoted as in JSON wherever YAML could read them as something else.

use protocol::text::escaped_json;
use serde_json::Value;

/// The value as a document.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut text),
        Value::Object(fields) if !fields.is_empty() => mapping(fields, 0, &mut text),
        other => text.push_str(&format!("{}\n", scalar(other))),
    }
    text
}

fn sequence(items: &[Value], indent: usize, text: &mut String) {
    for item in items {
        let mut inner = String::new();
        nested(item, indent + 2, &mut inner);
        // The first line of the item stands behind its dash.
        text.push_str(&format!("{:indent$}- {}", "", inner.trim_start()));
    }
}

fn mapping(fields: &serde_json::Map<String, Value>, indent: usize, text: &mut String) {
    for (key, value) in fields {
        let key = scalar(&Value::String(key.clone()));
        match value {
            Value::Array(items) if !items.is_empty() => {
                text.push_str(&format!("{:indent$}{key}:\n", ""));
                sequence(items, indent, text);
            }
            Value::Object(inner) if !inner.is_empty() => {
                text.push_str(&format!("{:indent$}{key}:\n", ""));
                mapping(inner, indent + 2, text);
            }
            other => text.push_str(&format!("{:indent$}{key}: {}\n", "", scalar(other))),
        }
    }
}

fn nested(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => sequence(items, indent, text),
        Value::Object(fields) if !fields.is_empty() => mapping(fields, indent, text),
        other => text.push_str(&format!("{:indent$}{}\n", "", scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(plain);
    let reserved =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if is_word && !reserved { text.clone() } else { escaped_json(&Value::String(text.clone()).to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_nest_by_indentation() {
        let value = json!([{"a": "x", "b": [1, {"c": null}], "d": {}, "e": "yes", "f": "1: 2"}, []]);
        let expected = "- a: x\n  b:\n  - 1\n  - c: null\n  d: {}\n  e: \"yes\"\n  f: \"1: 2\"\n- []\n";
        assert_eq!(write(&value), expected);
    }
}
