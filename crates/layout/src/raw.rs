//! The JSON as disko evaluates it, made ready for the typed tree: hooks gathered under one key, what only
//! disko's own scripts use left out.

use crate::fault::Fault;
use serde_json::{Map, Value};

const HOOKS: [&str; 6] =
    ["preCreateHook", "postCreateHook", "preMountHook", "postMountHook", "preUnmountHook", "postUnmountHook"];
/// What is for disko's image builder, or what disko computes for its scripts.
const UNUSED: [&str; 4] = ["imageName", "imageSize", "device", "type"];
/// A layout this deep is no layout.
const DEEPEST: usize = 64;

/// The tree without what is of no use here, hooks in a `hooks` of their own.
///
/// # Errors
/// For a hook that is not allowed.
pub fn prepare(devices: &Value, hooks_allowed: bool) -> Result<Value, Fault> {
    Reader { hooks_allowed }.tree(devices, "", 0)
}

struct Reader {
    hooks_allowed: bool,
}

impl Reader {
    fn tree(&self, value: &Value, at: &str, depth: usize) -> Result<Value, Fault> {
        if depth > DEEPEST {
            return Err(Fault::at(at, "it is nested too deeply"));
        }
        let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        match value {
            Value::Object(object) => self.object(object, at, depth, &below),
            Value::Array(items) => {
                let item = |(n, item): (usize, &Value)| self.tree(item, &below(&n.to_string()), depth + 1);
                Ok(Value::Array(items.iter().enumerate().map(item).collect::<Result<_, Fault>>()?))
            }
            plain => Ok(plain.clone()),
        }
    }

    fn object(
        &self,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
        below: &dyn Fn(&str) -> String,
    ) -> Result<Value, Fault> {
        let mut kept = Map::new();
        let mut hooks = Map::new();
        for (key, value) in object {
            match value {
                Value::String(text) if HOOKS.contains(&key.as_str()) => {
                    if text.trim().is_empty() {
                        continue;
                    }
                    if !self.hooks_allowed {
                        let remedy = "set disks.allow_hooks in the spec (--allow-hooks), or take the hook out";
                        return Err(Fault::at(&below(key), "a hook is shell text, which is not run unasked")
                            .with_remedy(remedy));
                    }
                    hooks.insert(key.clone(), value.clone());
                }
                Value::Null if HOOKS.contains(&key.as_str()) => {}
                // Free text of the operator's own choice.
                _ if ["options", "rootFsOptions", "settings"].contains(&key.as_str()) => {
                    kept.insert(key.clone(), value.clone());
                }
                _ => {
                    kept.insert(key.clone(), self.tree(value, &below(key), depth + 1)?);
                }
            }
        }
        drop_unused(&mut kept, at, depth);
        if !hooks.is_empty() {
            kept.insert("hooks".to_owned(), Value::Object(hooks));
        }
        Ok(Value::Object(kept))
    }
}

/// `device` matters for a disk and for a nodev; `type` for contents and datasets, of which there are several.
fn drop_unused(object: &mut Map<String, Value>, at: &str, depth: usize) {
    let is_entry = depth == 2;
    let section = at.split('.').next().unwrap_or_default();
    for key in UNUSED {
        let Some(value) = object.get(key).filter(|value| value.is_string()) else { continue };
        let keep = match key {
            "device" => is_entry && ["disk", "nodev"].contains(&section),
            // What says its type where only one is possible: an entry of a section, a subvolume, a topology.
            "type" => {
                let fixed = ["disk", "mdadm", "lvm_vg", "zpool", "bcachefs_filesystem", "nodev", "btrfs_subvol"];
                let fixed = fixed.iter().chain(&["bcachefs_subvolume", "topology"]);
                !fixed.into_iter().any(|fixed| value == fixed)
            }
            _ => !is_entry,
        };
        if !keep {
            object.remove(key);
        }
    }
}
