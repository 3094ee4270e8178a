//! Reading what operators and peers wrote, with the path of the key in the error.

use crate::{Code, Failure, failure::Result};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Reads JSON; an error names the key by its path: `disks.select.main.serial`.
///
/// # Errors
/// `E-INPUT` with the path, what was found and what is allowed.
pub fn json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| match error.inner().classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            Failure::new(Code::Input, format!("reading {what}: {}", error.inner())).with_remedy(no_json(bytes))
        }
        Category::Data => refused(what, &error),
    })?;
    reader.end().map_err(|error| {
        let remedy = "one JSON value is meant: remove what follows it";
        Failure::new(Code::Input, format!("reading {what}: {error}")).with_remedy(remedy)
    })?;
    Ok(value)
}

/// What to do about bytes that are no JSON: no key can be named.
fn no_json(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => "save it without a byte order mark: it begins with one",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "save it as UTF-8: it is UTF-16",
        [] => "it is empty: write it again",
        _ if bytes.trim_ascii_start().starts_with(b"//") || bytes.trim_ascii_start().starts_with(b"#") => {
            "JSON has no comments: remove them"
        }
        _ => "it is no JSON at the place that is named: mend that, or write it again",
    }
}

/// The failure for a value that does not fit its type, from any format.
pub fn refused<E: std::error::Error>(what: &str, error: &serde_path_to_error::Error<E>) -> Failure {
    let path = error.path().to_string();
    let cause = if path == "." { error.inner().to_string() } else { format!("at {path}: {}", error.inner()) };
    Failure::new(Code::Input, format!("reading {what}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::NodeSpec;

    const SPEC: &str = r#"{"name":"n1","match":{"macs":["52:54:00:00:00:01"]},
        "system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":[],"trusted_public_keys":[]},
        "disks":{"devices":{},"select":{"main":{"SERIAL":"x"}}}}"#;

    #[test]
    fn an_unknown_key_is_refused_with_its_path() {
        let failure = json::<NodeSpec>("node.json", SPEC.as_bytes()).unwrap_err();
        assert!(failure.cause.contains("disks.select.main"), "{failure}");
        assert!(failure.cause.contains("SERIAL"), "{failure}");
    }

    #[test]
    fn a_spec_survives_the_wire() {
        let spec: NodeSpec = json("node.json", SPEC.replace("SERIAL", "serial").as_bytes()).unwrap();
        let again: NodeSpec = json("node.json", &serde_json::to_vec(&spec).unwrap()).unwrap();
        assert_eq!(spec, again);
    }

    #[test]
    fn what_is_no_json_is_told_so_and_no_key_is_asked_for() {
        let remedy = |bytes: &[u8]| json::<NodeSpec>("x", bytes).unwrap_err().remedy;
        for (bytes, part) in [
            (&b"\xef\xbb\xbf{}"[..], "byte order mark"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (b" // n1\n{}", "no comments"),
            (b"{\"name\": ", "no JSON"),
            (b"", "empty"),
        ] {
            assert!(remedy(bytes).contains(part), "{part}: {}", remedy(bytes));
        }
        assert!(json::<u32>("x", b"1 2").unwrap_err().remedy.contains("what follows"));
        assert_eq!(remedy(br#"{"nme":"n1"}"#), Code::Input.remedy());
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        for (text, place) in
            [("{\"a\": 1,}", "line 1 column 9"), ("{\n\"a\"", "line 2 column 3"), ("", "line 1 column 0")]
        {
            let failure = json::<serde_json::Value>("x.json", text.as_bytes()).unwrap_err();
            assert!(failure.cause.contains(place) && !failure.cause.contains(" at ?"), "{failure}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert!(json::<u32>("x", b"1 2").is_err());
    }
}
