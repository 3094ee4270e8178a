//! Files of NodeSpecs: JSON or TOML, one node or several.

use host::file;
use protocol::{
    Code, Failure,
    admin::ApplyRequest,
    failure::{OrFail, Result},
    parse,
    spec::NodeSpec,
};
use std::{io::Read, path::Path};

/// Reads the file; `-` is the standard input.
///
/// # Errors
/// `E-INPUT` with the path of the key.
pub fn read(path: &Path) -> Result<Vec<NodeSpec>> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).or_fail(Code::System, || "reading the standard input")?;
        return parse_text("the standard input", &text, looks_like_json(&text));
    }
    let text = file::read_text(path)?;
    let what = path.display().to_string();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => parse_text(&what, &text, true),
        Some("toml") => parse_text(&what, &text, false),
        _ => parse_text(&what, &text, looks_like_json(&text)),
    }
}

fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{') || (text.starts_with('[') && text[1..].trim_start().starts_with('{'))
}

/// `{"nodes": [...]}` or `[[nodes]]`, an array, or one node.
fn parse_text(what: &str, text: &str, json: bool) -> Result<Vec<NodeSpec>> {
    if json {
        let value: serde_json::Value = parse::json(what, text.as_bytes())?;
        if value.is_array() {
            return parse::json(what, text.as_bytes());
        }
        if value.get("nodes").is_some() {
            return Ok(parse::json::<ApplyRequest>(what, text.as_bytes())?.nodes);
        }
        return Ok(vec![parse::json(what, text.as_bytes())?]);
    }
    let table: toml::Table =
        text.parse().map_err(|error| Failure::new(Code::Input, format!("reading {what}: {error}")))?;
    let wrong = |error| parse::refused::<toml::de::Error>(what, &error);
    if table.contains_key("nodes") {
        let request: ApplyRequest = serde_path_to_error::deserialize(table).map_err(wrong)?;
        return Ok(request.nodes);
    }
    Ok(vec![serde_path_to_error::deserialize(table).map_err(wrong)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"name":"n1","match":{},"system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos",
        "substituters":[],"trusted_public_keys":[]},"disks":{"devices":{}}}"#;
    const TOML: &str = "name = 'n1'\n[match]\nserial = 'S1'\n[system]\n\
        toplevel = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos'\n\
        substituters = []\ntrusted_public_keys = []\n[disks.devices.disk.main]\ntype = 'disk'\n";

    #[test]
    fn one_node_or_several_in_either_format() {
        assert_eq!(parse_text("x", ONE, true).unwrap().len(), 1);
        assert_eq!(parse_text("x", &format!("[{ONE},{ONE}]"), true).unwrap().len(), 2);
        assert_eq!(parse_text("x", &format!("{{\"nodes\":[{ONE}]}}"), true).unwrap().len(), 1);
        assert_eq!(parse_text("x", TOML, false).unwrap()[0].matches.serial.as_deref(), Some("S1"));
    }

    #[test]
    fn a_wrong_key_is_named_by_its_path_in_both_formats() {
        let failure = parse_text("x", &TOML.replace("serial", "seriel"), false).unwrap_err();
        assert!(failure.cause.contains("match") && failure.cause.contains("seriel"), "{failure}");
        let failure = parse_text("x", &format!("[{ONE},{}]", ONE.replace("toplevel", "top")), true).unwrap_err();
        assert!(failure.cause.contains("[1].system"), "{failure}");
        let failure = parse_text("x", &TOML.replace("'S1'", "7"), false).unwrap_err();
        assert!(failure.cause.contains("match.serial"), "{failure}");
    }
}
