//! What the other parts of a spec must know of the layout, read off its JSON. Whether it can be made is the agent's
//! to say, who also sees the disks.

use protocol::spec::{Disks, WipePolicy};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const HOOKS: [&str; 6] =
    ["preCreateHook", "postCreateHook", "preMountHook", "postMountHook", "preUnmountHook", "postUnmountHook"];

/// What was found.
#[derive(Debug, Default)]
pub struct Layout {
    /// Files with keys of encrypted devices, by the paths that the layout gives them.
    pub key_files: BTreeSet<String>,
    /// Where something is mounted.
    pub mountpoints: BTreeSet<String>,
    /// The first hook that is not empty, by its path.
    pub hook: Option<String>,
}

impl Layout {
    /// Reads the layout, without the disks that are ignored.
    pub fn of(disks: &Disks) -> Self {
        let mut found = Layout::default();
        let ignored = |name: &String| disks.wipe.get(name) == Some(&WipePolicy::Ignore);
        for (section, entries) in disks.devices.as_object().into_iter().flatten() {
            for (name, entry) in entries.as_object().into_iter().flatten() {
                if section == "disk" && ignored(name) {
                    continue;
                }
                if section == "nodev" && entry.get("mountpoint").and_then(Value::as_str).is_none() {
                    found.mountpoints.insert(name.clone());
                }
                found.read(entry, &format!("{section}.{name}"));
            }
        }
        found
    }

    fn read(&mut self, value: &Value, at: &str) {
        match value {
            Value::Object(object) => self.object(object, at),
            Value::Array(items) => items.iter().zip(0..).for_each(|(item, n)| self.read(item, &format!("{at}.{n}"))),
            _ => {}
        }
    }

    fn object(&mut self, object: &Map<String, Value>, at: &str) {
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        self.mountpoints.extend(text("mountpoint"));
        // disko's precedence; `type` is what tells a LUKS device from a partition of the same name.
        let setting = || object.get("settings")?.get("keyFile")?.as_str().map(str::to_owned);
        if text("type").as_deref() == Some("luks") {
            let more = object.get("additionalKeyFiles").and_then(Value::as_array);
            self.key_files.extend(more.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            self.key_files.extend(setting().or_else(|| text("passwordFile")).or_else(|| text("keyFile")));
        } else {
            self.key_files.extend(text("passwordFile"));
        }
        for options in ["options", "rootFsOptions"] {
            let at = object.get(options).and_then(|options| options.get("keylocation")).and_then(Value::as_str);
            self.key_files.extend(at.and_then(|at| at.strip_prefix("file://")).map(str::to_owned));
        }
        let hook = || HOOKS.iter().find(|hook| text(hook).is_some_and(|text| !text.trim().is_empty()));
        if self.hook.is_none() {
            self.hook = hook().map(|hook| format!("{at}.{hook}"));
        }
        object.iter().for_each(|(key, value)| self.read(value, &format!("{at}.{key}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layout(devices: Value) -> Layout {
        Layout::of(&Disks { devices, ..Disks::default() })
    }

    #[test]
    fn every_kind_of_key_file_is_found() {
        let luks = |more: Value| {
            let mut luks = json!({"type": "luks", "name": "c", "passwordFile": "/password"});
            luks.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            layout(json!({"disk": {"main": {"content": luks}}})).key_files.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(luks(json!({})), ["/password"]);
        let more = json!({"settings": {"keyFile": "/key"}, "keyFile": "/old", "additionalKeyFiles": ["/more"]});
        assert_eq!(luks(more), ["/key", "/more"]);
        let pool = json!({"zpool": {"z": {
            "rootFsOptions": {"keylocation": "file:///root.key"},
            "datasets": {"a": {"options": {"keylocation": "file:///a.key"}}, "b": {"options": {"keylocation": "prompt"}}}}},
            "bcachefs_filesystems": {"b": {"passwordFile": "/b.key"}}});
        assert_eq!(layout(pool).key_files.into_iter().collect::<Vec<_>>(), ["/a.key", "/b.key", "/root.key"]);
    }

    #[test]
    fn what_lies_on_an_ignored_disk_does_not_count() {
        let devices = json!({"disk": {"main": {"content": {"type": "luks", "passwordFile": "/k", "mountpoint": "/"}}}});
        let wipe = [("main".to_owned(), WipePolicy::Ignore)].into();
        let found = Layout::of(&Disks { devices, wipe, ..Disks::default() });
        assert!(found.key_files.is_empty() && found.mountpoints.is_empty());
    }

    #[test]
    fn a_hook_and_a_mount_point_are_found_and_a_partition_is_no_hook() {
        let found = layout(json!({"disk": {"main": {"content": {"partitions": {
            "preCreateHook": {"mountpoint": "/home"}, "b": {"postMountHook": " ", "content": {"preMountHook": "id"}}}}}},
            "nodev": {"/tmp": {"fsType": "tmpfs"}}}));
        assert_eq!(found.hook.as_deref(), Some("disk.main.content.partitions.b.content.preMountHook"));
        assert!(found.mountpoints.contains("/home") && found.mountpoints.contains("/tmp"));
    }
}
