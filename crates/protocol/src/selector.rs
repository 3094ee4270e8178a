//! Which disk is meant: hints that must match exactly one.

use crate::{
    hint::{SizeHint, TextHint},
    inventory::Transport,
};
use serde::{Deserialize, Serialize};

/// Hints that must match exactly one disk (Ironic's root device hints, with their operators: [`crate::hint`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Selector {
    /// A path: `/dev/vda`, `/dev/disk/by-id/...`, `/dev/disk/by-path/...`, `/dev/disk/by-diskseq/...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// As the kernel writes it (`naa.5000...`, `eui.`) or as udev does (`0x5000...`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    /// All 32 digits of a long world-wide name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn_with_extension: Option<String>,
    /// The last 16 digits of a long world-wide name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn_vendor_extension: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Bytes or `8G`; a range as `>=8G`, `<2T`, `8G..64G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hctl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_path: Option<String>,
    /// Kernel name: `vda` or `/dev/vda`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

impl Selector {
    /// The disk at this path.
    pub fn of_path(path: impl Into<String>) -> Self {
        Self { device: Some(path.into()), ..Self::default() }
    }

    /// Reads a selector of the command line: a path, a JSON object, or `serial=X,size=>=8G`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let selector = if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
            Self::of_path(text)
        } else if text.starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(text);
            let selector = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
            json.end().map_err(|error| error.to_string())?;
            selector
        } else {
            Self::of_pairs(text)?
        };
        selector.check().map(|()| selector)
    }

    fn of_pairs(text: &str) -> Result<Self, String> {
        let mut selector = Self::default();
        let mut given: Vec<String> = Vec::new();
        for (key, value) in pairs(text)? {
            if given.contains(&key) {
                return Err(format!("{key} is there twice"));
            }
            let slot = match key.as_str() {
                "device" => &mut selector.device,
                "serial" => &mut selector.serial,
                "wwn" => &mut selector.wwn,
                "wwn_with_extension" => &mut selector.wwn_with_extension,
                "wwn_vendor_extension" => &mut selector.wwn_vendor_extension,
                "model" => &mut selector.model,
                "vendor" => &mut selector.vendor,
                "size" => &mut selector.size,
                "hctl" => &mut selector.hctl,
                "by_path" => &mut selector.by_path,
                "name" => &mut selector.name,
                "rotational" => {
                    let value = value.trim().to_ascii_lowercase();
                    selector.rotational =
                        Some(value.parse().map_err(|_| "rotational: it is true or false".to_owned())?);
                    given.push(key);
                    continue;
                }
                "transport" => {
                    let name = serde_json::Value::String(value.trim().to_ascii_lowercase());
                    selector.transport = Some(serde_json::from_value(name).unwrap_or_default());
                    given.push(key);
                    continue;
                }
                _ => return Err(format!("{key} is no hint; hints are {HINTS}")),
            };
            *slot = Some(value);
            given.push(key);
        }
        Ok(selector)
    }

    /// The hints that are text, by name.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = [
            ("serial", &self.serial),
            ("wwn", &self.wwn),
            ("wwn_with_extension", &self.wwn_with_extension),
            ("wwn_vendor_extension", &self.wwn_vendor_extension),
            ("model", &self.model),
            ("vendor", &self.vendor),
            ("hctl", &self.hctl),
            ("by_path", &self.by_path),
            ("name", &self.name),
        ];
        texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    /// Whether every hint can be understood, and there is one.
    ///
    /// # Errors
    /// What is wrong with it, in words, with the name of the hint.
    pub fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err("a selector that names nothing matches every disk".to_owned());
        }
        for (name, text) in self.texts() {
            TextHint::parse(text).map_err(|why| format!("{name}: {why}"))?;
        }
        if let Some(size) = &self.size {
            SizeHint::parse(size).map_err(|why| format!("size: {why}"))?;
        }
        if self.transport == Some(Transport::Unknown) {
            return Err("transport: it is nvme, sata, sas, scsi, virtio, usb, mmc or xen".to_owned());
        }
        match &self.device {
            Some(path) if path.trim().is_empty() => Err("device: it says nothing".to_owned()),
            _ => Ok(()),
        }
    }
}

const HINTS: &str = "device, serial, wwn, wwn_with_extension, wwn_vendor_extension, model, vendor, size, rotational, \
                     hctl, by_path, name and transport";

/// `key=value` behind each comma; what is not of this form belongs to the value before, which may hold commas.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in text.split(',') {
        let key = part
            .split_once('=')
            .map(|(key, value)| (key.trim(), value))
            .filter(|(key, _)| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        match (key, pairs.last_mut()) {
            (Some((key, value)), _) => pairs.push((key.to_owned(), value.to_owned())),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            (None, None) => {
                return Err(format!("{text:?} is no path, no JSON object, and not like serial=X,size=>=8G"));
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_selector_is_a_path_an_object_or_pairs() {
        assert_eq!(Selector::parse("/dev/vda"), Ok(Selector::of_path("/dev/vda")));
        let serial = Selector { serial: Some("X".into()), ..Selector::default() };
        assert_eq!(Selector::parse(r#"{"serial": "X"}"#), Ok(serial.clone()));
        assert_eq!(Selector::parse("serial=X"), Ok(serial));
        let both = Selector::parse("serial=X,size=>=8G,rotational=false,transport=nvme").unwrap();
        assert_eq!((both.size.as_deref(), both.rotational), (Some(">=8G"), Some(false)));
        assert_eq!(both.transport, Some(Transport::Nvme));
    }

    #[test]
    fn a_value_may_hold_an_operator_blanks_commas_and_equal_signs() {
        let selector =
            Selector::parse("model=<or> Foo, Inc. 5 <or> B,serial=s== X=1,size=<range-in> [ 8G 16G ]").unwrap();
        assert_eq!(selector.model.as_deref(), Some("<or> Foo, Inc. 5 <or> B"));
        assert_eq!(selector.serial.as_deref(), Some("s== X=1"));
        assert_eq!(selector.size.as_deref(), Some("<range-in> [ 8G 16G ]"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("", "no path"),
            ("vda", "no path"),
            ("{}", "names nothing"),
            (r#"{"serail": "X"}"#, "serail"),
            (r#"{"serial": "X"} x"#, "trailing"),
            ("serail=X", "serail"),
            ("serial=X,serial=Y", "twice"),
            ("serial=", "serial"),
            ("size=8", "unit"),
            ("rotational=maybe", "rotational"),
            ("transport=pigeon", "transport"),
            ("device=", "device"),
        ] {
            let why = Selector::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "(serial=|size=|\\{\"|/)?\\PC{0,60}") {
            let _ = Selector::parse(&text);
        }
    }
}
