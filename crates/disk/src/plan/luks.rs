//! LUKS.

use super::{
    builder::{Builder, Inside, Mode},
    filesystem, sizes,
};
use crate::action::{Action, Arg, Command, Device, Key, Open};
use layout::{Luks, words};

/// Encrypts the device and opens it, or opens it.
pub fn make<'a>(builder: &mut Builder<'_>, at: &str, device: &Device, one: &'a Luks, mode: Mode) -> Vec<Inside<'a>> {
    let mapper = Device::Mapper(one.name.clone());
    let open = || luks_open(device, one).opening(Open::Mapper(one.name.clone())).making([mapper.clone()]);
    let Some(key) = luks_key(one) else { return Vec::new() };
    builder.stands_on(&mapper, std::slice::from_ref(device));
    let extra = words(&one.extra_format_args).unwrap_or_default();
    let uuid = (!filesystem::names_uuid(&extra, &["--uuid"])).then(|| builder.own.guid(at).to_string());
    builder.identify(uuid.as_deref(), "LUKS device");
    sizes::luks(&mut builder.sizes, at, device, &mapper, one);
    if mode == Mode::Make {
        let mut format = Command::new("cryptsetup", ["-q", "luksFormat"]).arg(device);
        if let Some(uuid) = uuid {
            format = format.args(["--uuid".to_owned(), uuid]);
        }
        builder.run(format.args(extra.clone()).args(key.clone()));
        builder.run(open().arg("--persistent"));
        for file in &one.additional_key_files {
            let new = Arg::Key(Key { file: file.clone(), passphrase: false });
            let add = Command::new("cryptsetup", ["-q", "luksAddKey"]).arg(device).arg(new);
            builder.run(add.args(derivation(&extra)).args(key.clone()));
        }
    } else {
        builder.open(open(), mode);
    }
    // What is kept whole keeps the keys that it has.
    let sealing = one.sealing(at).ok().flatten().filter(|_| mode != Mode::Open);
    if let Some(sealing) = sealing {
        builder.actions.push(Action::Seal { device: device.clone(), key, pcrs: sealing.pcrs });
    }
    vec![Inside { at: at.to_owned(), device: mapper, content: one.content.as_ref(), mode }]
}

/// The key and which part of it.
fn luks_key(one: &Luks) -> Option<Vec<Arg>> {
    let key = one.key()?;
    let mut arguments = vec![Arg::from("--key-file")];
    arguments.push(Arg::Key(Key { file: key.file.to_owned(), passphrase: key.passphrase }));
    for (setting, option) in [("keyFileSize", "--keyfile-size"), ("keyFileOffset", "--keyfile-offset")] {
        if let Some(bytes) = one.settings.get(setting).and_then(serde_json::Value::as_u64) {
            arguments.extend([Arg::from(option), Arg::Text(bytes.to_string())]);
        }
    }
    Some(arguments)
}

fn luks_open(device: &Device, one: &Luks) -> Command {
    let is_set = |setting: &str| one.settings.get(setting).and_then(serde_json::Value::as_bool) == Some(true);
    let mut open = Command::new("cryptsetup", ["open"]).arg(device).arg(one.name.clone());
    if is_set("allowDiscards") {
        open = open.arg("--allow-discards");
    }
    if is_set("bypassWorkqueues") {
        open = open.args(["--perf-no_read_workqueue", "--perf-no_write_workqueue"]);
    }
    open.args(words(&one.extra_open_args).unwrap_or_default()).args(luks_key(one).unwrap_or_default())
}

/// How the first key is stretched holds for further ones, too.
fn derivation(format_arguments: &[String]) -> Vec<String> {
    const OPTIONS: [&str; 6] =
        ["--iter-time", "-i", "--pbkdf", "--pbkdf-memory", "--pbkdf-parallel", "--pbkdf-force-iterations"];
    let mut found = Vec::new();
    let mut words = format_arguments.iter();
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            found.push(word.clone());
            found.extend(words.next().cloned());
        } else if OPTIONS.iter().any(|option| word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))) {
            found.push(word.clone());
        }
    }
    found
}
