//! What the types of a NodeSpec cannot say, checked before it is stored.

use layout::Layout;
use nix_store::signature::PublicKey;
use protocol::{
    Code, Failure,
    failure::Result,
    names::NodeName,
    secrets::FOLDER,
    spec::{Disks, FileSpec, NodeSpec, WipePolicy},
};
use std::collections::{BTreeSet, HashSet};

/// Files of one spec.
const MOST_FILES: usize = 256;

/// Checks one spec, for a node that has secrets at these paths apart from it.
///
/// # Errors
/// `E-INPUT` with the node and the path of the key.
pub fn check(spec: &NodeSpec, apart: &HashSet<String>) -> Result<()> {
    let wrong = |text: String| Failure::new(Code::Input, format!("checking node {} at {text}", spec.name));
    substituters(spec).and_then(|()| trusted_keys(spec)).and_then(|()| hostname(spec)).map_err(wrong)?;
    let layout = layout_of(&spec.disks).map_err(|fault| {
        let failure = wrong(format!("disks.devices.{}: {}", fault.at, fault.why));
        match fault.remedy {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        }
    })?;
    let key_files: BTreeSet<String> = layout::key_files(&layout).into_iter().collect();
    disks(spec, &layout)
        .and_then(|()| files("files", &spec.files))
        .and_then(|()| files("secrets", &spec.secrets))
        .and_then(|()| keys(spec, &key_files, apart))
        .map_err(wrong)?;
    if let Some(cluster) = &spec.cluster {
        let failure = cluster.check();
        failure.map_err(|failure| wrong(format!("cluster: {}", failure.cause)))?;
    }
    Ok(())
}

/// Checks a secret that is kept apart from the spec of its node, which may not be there yet.
///
/// # Errors
/// `E-INPUT` for a path or mode that a secret cannot have; `E-WRONG-STATE` where the spec has a secret at this path.
pub fn secret(node: &NodeName, spec: Option<&NodeSpec>, secret: &FileSpec) -> Result<()> {
    let path = &secret.path;
    let wrong = |text: String| Failure::new(Code::Input, format!("checking the secret of node {node} at {text}"));
    files("secrets", std::slice::from_ref(secret)).map_err(wrong)?;
    let Some(spec) = spec else { return Ok(()) };
    if spec.secrets.iter().any(|of_spec| of_spec.path == *path) {
        let cause = format!("setting the secret {path:?} of node {node}: its spec has one at this path");
        return Err(Failure::new(Code::WrongState, cause).with_remedy("apply the spec without it first"));
    }
    if !path.starts_with(FOLDER) && !key_files(spec).contains(path) {
        return Err(wrong(format!("path: {path:?} is not below {FOLDER}, nor does its layout name it as a key")));
    }
    Ok(())
}

/// The keys of encrypted devices that the spec's layout names.
pub fn key_files(spec: &NodeSpec) -> BTreeSet<String> {
    layout_of(&spec.disks).map(|layout| layout::key_files(&layout).into_iter().collect()).unwrap_or_default()
}

/// The layout as the agent reads it, without the disks that are ignored.
fn layout_of(disks: &Disks) -> std::result::Result<Layout, layout::Fault> {
    let mut layout = Layout::read(&disks.devices, disks.allow_hooks)?;
    layout.disk.retain(|name, _| disks.wipe.get(name) != Some(&WipePolicy::Ignore));
    Ok(layout)
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
        PublicKey::parse(key).map_err(|failure| format!("system.trusted_public_keys[{index}]: {}", failure.cause))?;
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
    let laid_out = spec.disks.devices.get("disk").and_then(serde_json::Value::as_object);
    let named = spec.disks.select.keys().map(|name| ("select", name));
    for (key, name) in named.chain(spec.disks.wipe.keys().map(|name| ("wipe", name))) {
        if laid_out.is_none_or(|disks| !disks.contains_key(name)) {
            return Err(format!("disks.{key}.{name}: disks.devices.disk has no disk of this name"));
        }
    }
    for (name, selector) in &spec.disks.select {
        selector.check().map_err(|why| format!("disks.select.{name}: {why}"))?;
    }
    let mountpoints = layout::mountpoints(layout);
    let mut seen = HashSet::new();
    for (index, path) in spec.disks.keep.iter().enumerate() {
        if path != "/" && !is_plain(path) {
            return Err(format!("disks.keep[{index}]: {path:?} is not an absolute mount point without . and .."));
        }
        if !seen.insert(path) {
            return Err(format!("disks.keep[{index}]: {path:?} is there twice"));
        }
        if !mountpoints.contains(path) {
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

/// Keys of encrypted devices are secrets, and every secret is either such a key or at home among the secrets; none has two
/// truths.
fn keys(spec: &NodeSpec, key_files: &BTreeSet<String>, apart: &HashSet<String>) -> Check {
    let given: HashSet<&String> = spec.secrets.iter().map(|secret| &secret.path).chain(apart).collect();
    if let Some(key) = key_files.iter().find(|key| !given.contains(key)) {
        return Err(format!(
            "disks.devices: it names the key file {key:?}, and no file in secrets has this path (boot-server secret generate {} {key})",
            spec.name
        ));
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        let path = &secret.path;
        if apart.contains(path) {
            return Err(format!(
                "secrets[{index}].path: {path:?} was set by boot-server secret; delete it there first"
            ));
        }
        if !path.starts_with(FOLDER) && !key_files.contains(path) {
            return Err(format!(
                "secrets[{index}].path: {path:?} is not below {FOLDER}, nor does disks.devices name it as a key"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn disk(content: &Value) -> Value {
        json!({"disk": {"main": {"type": "disk", "device": "/dev/vda", "content": content}}})
    }

    fn good() -> Value {
        json!({"name": "n1", "match": {"macs": ["52:54:00:00:00:01"]},
            "system": {"toplevel": "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos",
                "substituters": ["http://10.77.0.1:8080/cache"],
                "trusted_public_keys": ["cache-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},
            "disks": {"devices": disk(&json!({"type": "filesystem", "format": "ext4", "mountpoint": "/"})),
                "select": {"main": {"serial": "x"}}, "keep": ["/"]},
            "files": [{"path": "/etc/motd", "mode": "0644", "content": "hi"}]})
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut spec = good();
        *spec.pointer_mut(pointer).unwrap() = value;
        check(&serde_json::from_value(spec).unwrap(), &HashSet::new()).unwrap_err().cause
    }

    #[test]
    fn a_good_spec_passes() {
        assert_eq!(check(&serde_json::from_value(good()).unwrap(), &HashSet::new()), Ok(()));
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
            check(&serde_json::from_value(spec).unwrap(), &HashSet::new()).map_err(|failure| failure.cause)
        };
        let luks = disk(&json!({"type": "luks", "name": "c", "passwordFile": "/tmp/k"}));
        let plain = disk(&json!(null));
        assert_eq!(with(luks.clone(), secret("/tmp/k")), Ok(()));
        assert_eq!(with(plain.clone(), secret("/etc/nixos/secrets/k")), Ok(()));
        let refused = with(plain, secret("/tmp/k")).unwrap_err();
        assert!(refused.contains("secrets[0].path") && !refused.contains("hunter2"), "{refused}");
        let missing = with(luks, json!([])).unwrap_err();
        assert!(missing.contains("/tmp/k") && missing.contains("secrets"), "{missing}");
    }

    #[test]
    fn a_layout_that_no_machine_would_make_is_refused_by_its_path() {
        let root = |key: &str| {
            let content = json!({"type": "filesystem", "format": "ext4", "mountpoint": "/"});
            disk(&json!({"type": "gpt", "partitions": {"root": {"size": "100%", key: "100%", "content": content}}}))
        };
        let cause = refused("/disks/devices", root("sizze"));
        assert!(
            cause.contains("disks.devices.disk.main.content.partitions.root") && cause.contains("sizze"),
            "{cause}"
        );
        let mut spec = good();
        spec["disks"]["devices"] = root("end");
        assert_eq!(check(&serde_json::from_value(spec).unwrap(), &HashSet::new()), Ok(()));
        let format = json!({"type": "filesystem", "format": "reiserfs", "mountpoint": "/"});
        assert!(refused("/disks/devices", disk(&format)).contains("disks.devices.disk.main.content.format"));
    }

    #[test]
    fn what_lies_on_an_ignored_disk_does_not_count() {
        let mut spec = good();
        let luks = json!({"type": "luks", "name": "c", "passwordFile": "/k",
            "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/home"}});
        spec["disks"]["devices"]["disk"]["data"] = json!({"device": "/dev/vdb", "content": luks});
        let checked = |spec: &Value| {
            check(&serde_json::from_value(spec.clone()).unwrap(), &HashSet::new()).map_err(|failure| failure.cause)
        };
        assert!(checked(&spec).unwrap_err().contains("\"/k\""));
        spec["disks"]["wipe"] = json!({"data": "ignore"});
        assert_eq!(checked(&spec), Ok(()));
        spec["disks"]["keep"] = json!(["/home"]);
        assert!(checked(&spec).unwrap_err().contains("mounts nothing"));
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let mut spec = good();
        spec["secrets"] = json!([{"path": "/etc/nixos/secrets/x", "mode": "0644", "content": "hunter2"}]);
        let failure = check(&serde_json::from_value(spec).unwrap(), &HashSet::new()).unwrap_err();
        assert!(failure.cause.contains("secrets[0].mode") && !failure.cause.contains("hunter2"), "{failure}");
    }
}
