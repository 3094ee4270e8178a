//! What the types of a NodeSpec cannot say, checked before it is stored.

mod layout;

use layout::Layout;
use protocol::{
    Code, Failure,
    failure::Result,
    spec::{FileSpec, NodeSpec},
};
use std::collections::HashSet;

/// Where secrets lie on the target; what is elsewhere can only be the key of a device, and is not written.
const SECRETS: &str = "/etc/nixos/secrets/";
/// Files of one spec.
const MOST_FILES: usize = 256;

/// Checks one spec.
///
/// # Errors
/// `E-INPUT` with the node and the path of the key.
pub fn check(spec: &NodeSpec) -> Result<()> {
    let layout = Layout::of(&spec.disks);
    let found = substituters(spec)
        .and_then(|()| trusted_keys(spec))
        .and_then(|()| hostname(spec))
        .and_then(|()| disks(spec, &layout))
        .and_then(|()| files("files", &spec.files))
        .and_then(|()| files("secrets", &spec.secrets))
        .and_then(|()| keys(spec, &layout));
    let wrong = |text: String| Failure::new(Code::Input, format!("checking node {} at {text}", spec.name));
    found.map_err(wrong)?;
    if let Some(cluster) = &spec.cluster {
        let failure = cluster.check();
        failure.map_err(|failure| wrong(format!("cluster: {}", failure.cause)))?;
    }
    Ok(())
}

type Check = std::result::Result<(), String>;

fn substituters(spec: &NodeSpec) -> Check {
    if spec.system.substituters.is_empty() {
        return Err("system.substituters: name at least one Nix binary cache".to_owned());
    }
    for (index, url) in spec.system.substituters.iter().enumerate() {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or(""));
        let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_none_or(str::is_empty) || !printable {
            // Not shown: it may hold a password.
            return Err(format!("system.substituters[{index}]: this is not an http or https URL"));
        }
    }
    Ok(())
}

fn trusted_keys(spec: &NodeSpec) -> Check {
    if spec.system.trusted_public_keys.is_empty() {
        return Err("system.trusted_public_keys: name at least one key; nothing unsigned is installed".to_owned());
    }
    for (index, key) in spec.system.trusted_public_keys.iter().enumerate() {
        let parts = key.split_once(':');
        let bytes = parts.and_then(|(_, text)| data_encoding::BASE64.decode(text.as_bytes()).ok());
        let named = parts.is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        if !named || bytes.is_none_or(|bytes| bytes.len() != 32) {
            return Err(format!("system.trusted_public_keys[{index}]: {key:?} is not NAME:BASE64 of an Ed25519 key"));
        }
    }
    Ok(())
}

fn hostname(spec: &NodeSpec) -> Check {
    let Some(name) = &spec.hostname else { return Ok(()) };
    let label = |label: &str| label.parse::<protocol::names::NodeName>().is_ok();
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(());
    }
    Err(format!("hostname: {name:?} is not a host name of labels a-z, 0-9 and -"))
}

fn disks(spec: &NodeSpec, layout: &Layout) -> Check {
    let Some(disk) = spec.disks.devices.get("disk").and_then(serde_json::Value::as_object) else {
        return Err("disks.devices.disk: disko's devices need at least one disk".to_owned());
    };
    if disk.is_empty() {
        return Err("disks.devices.disk: disko's devices need at least one disk".to_owned());
    }
    let named = spec.disks.select.keys().map(|name| ("select", name));
    for (key, name) in named.chain(spec.disks.wipe.keys().map(|name| ("wipe", name))) {
        if !disk.contains_key(name) {
            return Err(format!("disks.{key}.{name}: disks.devices.disk has no disk of this name"));
        }
    }
    for (name, selector) in &spec.disks.select {
        selector.check().map_err(|why| format!("disks.select.{name}: {why}"))?;
    }
    if let Some(hook) = layout.hook.as_ref().filter(|_| !spec.disks.allow_hooks) {
        return Err(format!(
            "disks.devices.{hook}: a hook is shell text, which runs only where disks.allow_hooks is true"
        ));
    }
    let mut seen = HashSet::new();
    for (index, path) in spec.disks.keep.iter().enumerate() {
        if path != "/" && !is_plain(path) {
            return Err(format!("disks.keep[{index}]: {path:?} is not an absolute mount point without . and .."));
        }
        if !seen.insert(path) {
            return Err(format!("disks.keep[{index}]: {path:?} is there twice"));
        }
        if !layout.mountpoints.contains(path) {
            return Err(format!("disks.keep[{index}]: disks.devices mounts nothing at {path:?}"));
        }
    }
    Ok(())
}

/// An absolute path below `/`, without `.`, `..` and empty parts.
fn is_plain(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain)) && !path.contains('\0')
}

fn files(key: &str, files: &[FileSpec]) -> Check {
    if files.len() > MOST_FILES {
        return Err(format!("{key}: more than {MOST_FILES} files"));
    }
    let mut seen = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        if !is_plain(&file.path) {
            return Err(format!("{key}[{index}].path: {:?} is not an absolute path without . and ..", file.path));
        }
        if file.path.starts_with("/nix/") {
            return Err(format!("{key}[{index}].path: {:?} is in the Nix store", file.path));
        }
        let octal = file.mode.len() <= 5 && u32::from_str_radix(&file.mode, 8).is_ok_and(|mode| mode <= 0o7777);
        if !octal || file.mode.starts_with('+') {
            return Err(format!("{key}[{index}].mode: {:?} is not an octal mode such as \"0600\"", file.mode));
        }
        if key == "secrets" && u32::from_str_radix(&file.mode, 8).is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(format!("{key}[{index}].mode: {:?} lets others than its owner at a secret", file.mode));
        }
        if !seen.insert(&file.path) {
            return Err(format!("{key}[{index}].path: {:?} is there twice", file.path));
        }
    }
    Ok(())
}

/// Keys of encrypted devices are secrets, and every secret is either such a key or at home among the secrets.
fn keys(spec: &NodeSpec, layout: &Layout) -> Check {
    let given: HashSet<&String> = spec.secrets.iter().map(|secret| &secret.path).collect();
    if let Some(key) = layout.key_files.iter().find(|key| !given.contains(key)) {
        return Err(format!("disks.devices: it names the key file {key:?}, and no file in secrets has this path"));
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        if !secret.path.starts_with(SECRETS) && !layout.key_files.contains(&secret.path) {
            return Err(format!(
                "secrets[{index}].path: {:?} is not below {SECRETS}, nor does disks.devices name it as a key",
                secret.path
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({"name": "n1", "match": {"macs": ["52:54:00:00:00:01"]},
            "system": {"toplevel": "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos",
                "substituters": ["http://10.77.0.1:8080/cache"],
                "trusted_public_keys": ["cache-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},
            "disks": {"devices": {"disk": {"main": {"content": {"mountpoint": "/"}}}}, "select": {"main": {"serial": "x"}},
                "keep": ["/"]},
            "files": [{"path": "/etc/motd", "mode": "0644", "content": "hi"}]})
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut spec = good();
        *spec.pointer_mut(pointer).unwrap() = value;
        check(&serde_json::from_value(spec).unwrap()).unwrap_err().cause
    }

    #[test]
    fn a_good_spec_passes() {
        assert_eq!(check(&serde_json::from_value(good()).unwrap()), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (pointer, value, path) in [
            ("/system/substituters", json!([]), "system.substituters"),
            ("/system/substituters/0", json!("ftp://x"), "system.substituters[0]"),
            ("/system/substituters/0", json!("http:///cache"), "system.substituters[0]"),
            ("/system/trusted_public_keys/0", json!("nokey"), "system.trusted_public_keys[0]"),
            ("/system/trusted_public_keys/0", json!("a:AAAA"), "system.trusted_public_keys[0]"),
            ("/disks/devices", json!({}), "disks.devices.disk"),
            ("/disks/select", json!({"other": {"serial": "x"}}), "disks.select.other"),
            ("/disks/select/main", json!({}), "disks.select.main"),
            ("/disks/select/main", json!({"size": "8"}), "disks.select.main: size"),
            ("/disks/select/main", json!({"model": "<or> "}), "disks.select.main: model"),
            ("/disks/keep", json!(["home"]), "disks.keep[0]"),
            ("/disks/keep", json!(["/", "/"]), "disks.keep[1]"),
            ("/disks/keep", json!(["/home"]), "disks.keep[0]: disks.devices mounts nothing"),
            ("/disks/devices/disk/main", json!({"preCreateHook": "id"}), "disks.devices.disk.main.preCreateHook"),
            ("/files/0/path", json!("/etc/../x"), "files[0].path"),
            ("/files/0/path", json!("etc/x"), "files[0].path"),
            ("/files/0/path", json!("/"), "files[0].path"),
            ("/files/0/path", json!("/nix/store/x"), "files[0].path"),
            ("/files/0/mode", json!("rw"), "files[0].mode"),
            ("/files/0/mode", json!("77777"), "files[0].mode"),
        ] {
            let cause = refused(pointer, value);
            assert!(cause.contains(path), "{path}: {cause}");
        }
    }

    #[test]
    fn a_secret_elsewhere_is_a_key_that_the_layout_names() {
        let secret = |path: &str| json!([{"path": path, "mode": "0400", "content": "hunter2"}]);
        let with = |devices: Value, secrets: Value| {
            let mut spec = good();
            spec["disks"] = json!({"devices": devices});
            spec["secrets"] = secrets;
            check(&serde_json::from_value(spec).unwrap()).map_err(|failure| failure.cause)
        };
        let luks = json!({"disk": {"main": {"content": {"type": "luks", "name": "c", "passwordFile": "/tmp/k"}}}});
        let plain = json!({"disk": {"main": {}}});
        assert_eq!(with(luks.clone(), secret("/tmp/k")), Ok(()));
        assert_eq!(with(plain.clone(), secret("/etc/nixos/secrets/k")), Ok(()));
        let refused = with(plain, secret("/tmp/k")).unwrap_err();
        assert!(refused.contains("secrets[0].path") && !refused.contains("hunter2"), "{refused}");
        let missing = with(luks, json!([])).unwrap_err();
        assert!(missing.contains("/tmp/k") && missing.contains("secrets"), "{missing}");
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let mut spec = good();
        spec["secrets"] = json!([{"path": "/etc/nixos/secrets/x", "mode": "0644", "content": "hunter2"}]);
        let failure = check(&serde_json::from_value(spec).unwrap()).unwrap_err();
        assert!(failure.cause.contains("secrets[0].mode") && !failure.cause.contains("hunter2"), "{failure}");
    }
}
