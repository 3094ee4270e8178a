//! Values whose form depends on another key, with the path of what does not fit in the error.

use super::{BcachefsMember, Btrfs, Content, Dataset, Filesystem, Gpt, Layout, Luks, LvmPv, Mdraid, PoolMode};
use super::{Swap, Table, Topology, Vdev, ZfsFilesystem, ZfsMember, ZfsVolume, raw};
use protocol::Failure;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

/// The failure of a layout that does not read.
pub fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Failure {
    let (below, why) = apart(error);
    raw::refused(&format!("{}{below}", error.path()), &why)
}

/// serde knows the path only down to the next value that is read by hand; from there on it stands in the text,
/// behind a mark that no text of an operator begins with.
const MARK: char = '\u{1}';

fn apart(error: &serde_path_to_error::Error<serde_json::Error>) -> (String, String) {
    let text = error.inner().to_string();
    match text.strip_prefix(MARK).and_then(|text| text.split_once(MARK)) {
        Some(("", why)) => (String::new(), why.to_owned()),
        Some((path, why)) => (format!(".{path}"), why.to_owned()),
        None => (String::new(), text),
    }
}

fn read<T: DeserializeOwned, E: Error>(value: Value) -> Result<T, E> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (below, why) = apart(&error);
        // An empty path is shown as a dot.
        let path = format!("{}{below}", error.path());
        E::custom(format!("{MARK}{}{MARK}{why}", path.trim_start_matches('.')))
    })
}

fn misfit<E: Error>(key: &str, why: &str) -> E {
    E::custom(format!("{MARK}{key}{MARK}{why}"))
}

/// Content of any type, or none.
pub fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Content>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    let (kind, value) = tagged::<D::Error>(value)?;
    Ok(Some(match kind.as_str() {
        "gpt" => Content::Gpt(read::<Gpt, _>(value)?),
        "table" => Content::Table(read::<Table, _>(value)?),
        "filesystem" => Content::Filesystem(read::<Filesystem, _>(value)?),
        "btrfs" => Content::Btrfs(read::<Btrfs, _>(value)?),
        "swap" => Content::Swap(read::<Swap, _>(value)?),
        "luks" => Content::Luks(Box::new(read::<Luks, _>(value)?)),
        "lvm_pv" => Content::LvmPv(read::<LvmPv, _>(value)?),
        "mdraid" => Content::Mdraid(read::<Mdraid, _>(value)?),
        "zfs" => Content::Zfs(read::<ZfsMember, _>(value)?),
        "bcachefs" => Content::Bcachefs(read::<BcachefsMember, _>(value)?),
        other => return Err(misfit("type", &format!("`{other}` is not made here"))),
    }))
}

/// The value without its `type`, and the type.
fn tagged<E: Error>(mut value: Value) -> Result<(String, Value), E> {
    let kind = value.as_object_mut().and_then(|object| object.remove("type"));
    match kind {
        Some(Value::String(kind)) => Ok((kind, value)),
        _ => Err(misfit("type", "a `type` and the keys that disko documents for it are needed")),
    }
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, value) = tagged::<D::Error>(Value::deserialize(deserializer)?)?;
        match kind.as_str() {
            "zfs_fs" => read::<ZfsFilesystem, _>(value).map(|one| Dataset::Filesystem(Box::new(one))),
            "zfs_volume" => read::<ZfsVolume, _>(value).map(|volume| Dataset::Volume(Box::new(volume))),
            other => Err(misfit("type", &format!("`{other}` is no dataset: zfs_fs and zfs_volume are"))),
        }
    }
}

impl Default for PoolMode {
    fn default() -> Self {
        PoolMode::Uniform(String::new())
    }
}

impl<'de> Deserialize<'de> for PoolMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::String(mode) = &value {
            return Ok(PoolMode::Uniform(mode.clone()));
        }
        let topology = value.get("topology").cloned();
        let topology = topology.ok_or_else(|| misfit("topology", "it is neither a word nor a topology"))?;
        read::<Topology, _>(topology).map(|topology| PoolMode::Topology(Box::new(topology)))
    }
}

/// One, several or none.
pub fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vdev>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        one @ Value::Object(_) => Ok(vec![read(one)?]),
        many => read(many),
    }
}

/// `null` is as if it were not there.
pub fn null_is_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Arguments that disko puts into its script unquoted: the shell splits them at spaces, quotes respected.
/// `None` where the shell would do more than that.
pub fn words(arguments: &[String]) -> Option<Vec<String>> {
    let expands = |text: &str| text.contains(['$', '`', ';', '&', '|', '<', '>', '\n']);
    let split = arguments.iter().map(|text| if expands(text) { None } else { shlex::split(text) });
    split.collect::<Option<Vec<_>>>().map(|words| words.concat())
}

/// Files with keys that the layout names, by their path on the machine that installs.
pub fn key_files(layout: &Layout) -> Vec<String> {
    let mut files = Vec::new();
    let contents = layout.disk.values().map(|disk| &disk.content);
    let contents = contents.chain(layout.mdadm.values().map(|array| &array.content));
    let volumes = layout.lvm_vg.values().flat_map(|group| group.lvs.values().map(|volume| &volume.content));
    for content in contents.chain(volumes).flatten() {
        keys_of(content, &mut files);
    }
    for pool in layout.zpool.values() {
        let datasets = pool.datasets.values().map(|dataset| match dataset {
            Dataset::Filesystem(one) => (&one.options, None),
            Dataset::Volume(one) => (&one.options, one.content.as_ref()),
        });
        for (options, content) in datasets.chain([(&pool.root_fs_options, None)]) {
            files.extend(options.get("keylocation").and_then(|at| at.strip_prefix("file://")).map(str::to_owned));
            content.into_iter().for_each(|content| keys_of(content, &mut files));
        }
    }
    files.extend(layout.bcachefs_filesystems.values().filter_map(|one| one.password_file.clone()));
    files.sort();
    files.dedup();
    files
}

fn keys_of(content: &Content, files: &mut Vec<String>) {
    match content {
        Content::Gpt(gpt) => {
            gpt.partitions.values().filter_map(|one| one.content.as_ref()).for_each(|one| keys_of(one, files));
        }
        Content::Table(table) => {
            table.partitions.iter().filter_map(|one| one.content.as_ref()).for_each(|one| keys_of(one, files));
        }
        Content::Luks(luks) => {
            files.extend(luks.key().map(|key| key.file.to_owned()));
            files.extend(luks.additional_key_files.iter().cloned());
            luks.content.iter().for_each(|content| keys_of(content, files));
        }
        _ => {}
    }
}

/// The key that opens a LUKS device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LuksKey<'a> {
    /// Its file.
    pub file: &'a str,
    /// It is a passphrase: a newline at its end is not part of it.
    pub passphrase: bool,
}

impl Luks {
    /// Which file opens it, by disko's precedence.
    pub fn key(&self) -> Option<LuksKey<'_>> {
        let setting = self.settings.get("keyFile").and_then(Value::as_str);
        let file = |file| LuksKey { file, passphrase: false };
        if let Some(key) = setting {
            return Some(file(key));
        }
        match (&self.password_file, &self.key_file) {
            (Some(password), _) => Some(LuksKey { file: password, passphrase: true }),
            (None, key) => key.as_deref().map(file),
        }
    }
}
