//! LVM: groups and their volumes.

use super::{
    builder::{Builder, Inside, Members, Mode},
    sizes,
};
use crate::action::{Action, Command, Device, Open, Variables};
use layout::{LvmPv, LvmType, Volume, VolumeGroup, VolumeSize, words};
use uuid::Uuid;

/// A physical volume of a group.
pub fn member(builder: &mut Builder<'_>, at: &str, device: &Device, one: &LvmPv, mode: Mode) {
    let uuid = uuid(builder.own.guid(at));
    builder.identify(Some(&uuid), "physical volume");
    if mode == Mode::Make {
        let create = Command::new("lvm", ["pvcreate", "--yes", "-ff", "--norestorefile", "--uuid", &uuid]);
        builder.run(create.arg("--devices").arg(device).arg(device));
    }
    builder.member("lvm_vg", &one.vg, device, mode);
}

/// Makes the group with its volumes, or activates it.
pub fn group<'a>(builder: &mut Builder<'_>, key: &str, one: &'a VolumeGroup, set: &Members) -> Vec<Inside<'a>> {
    let Members { at, devices: members, mode } = set;
    let mode = *mode;
    let name = one.name.clone().unwrap_or_else(|| key.to_owned());
    let opens = Open::Group(name.clone(), members.clone());
    let mut volumes: Vec<_> = one.lvs.iter().collect();
    volumes.sort_by_key(|(_, volume)| volume.priority());
    let device_of = |(key, volume): &(&String, &Volume)| Device::Volume {
        group: name.clone(),
        name: volume.name.as_ref().unwrap_or(key).clone(),
    };
    let sized: Vec<(&String, &Volume, Device)> = volumes.iter().map(|pair| (pair.0, pair.1, device_of(pair))).collect();
    sizes::group(&mut builder.sizes, at, members, &sized);
    if mode == Mode::Make {
        builder.run(lvm("vgcreate", members).arg("--yes").arg(name.clone()).args(members).opening(opens));
    } else {
        let activate = lvm("vgchange", members).args(["--activate", "y"]).arg(name.clone());
        builder.open(activate.opening(opens).making(volumes.iter().map(device_of)), mode);
        let is_kept = mode == Mode::Reuse && !builder.opening;
        let looked_at = |one: &Volume| is_kept && one.lvm_type != Some(LvmType::ThinPool);
        for (_, volume, device) in sized.iter().filter(|(_, one, _)| looked_at(one)) {
            builder.look(Action::Expect { device: device.clone(), size: exact_size(volume) }, mode);
        }
    }
    for (key, volume) in &volumes {
        if mode == Mode::Make {
            let volume_name = volume.name.as_ref().unwrap_or(key);
            let thin = volume.lvm_type == Some(LvmType::ThinVolume);
            let how = match (thin, volume.size.contains('%')) {
                (true, _) => "-V",
                (false, true) => "-l",
                (false, false) => "-L",
            };
            let free = if volume.size.ends_with('%') { "FREE" } else { "" };
            // lvcreate refuses the option for a pool, in which no signature is ever seen.
            let pool = volume.lvm_type == Some(LvmType::ThinPool);
            let wipe = ["--yes", "--wipesignatures", "y"].into_iter().take(if pool { 1 } else { 3 });
            let mut create = lvm("lvcreate", members)
                .args(wipe)
                .arg(how)
                .arg(format!("{}{free}", volume.size))
                .args(["-n", volume_name]);
            match volume.lvm_type {
                Some(LvmType::ThinVolume) => {
                    create = create.arg(format!("--thinpool={}", volume.pool.as_deref().unwrap_or_default()));
                }
                Some(kind) => create = create.arg(format!("--type={}", lvm_type(kind))),
                None => {}
            }
            let create = create.args(words(&volume.extra_args).unwrap_or_default()).arg(name.clone());
            let at = format!("{at}.lvs.{key}");
            let variables: Variables = vec![
                ("name", volume_name.as_str().into()),
                ("size", volume.size.as_str().into()),
                ("type", "lvm_lv".into()),
            ];
            builder.before(&at, &volume.hooks, &variables);
            builder.run(create.making([device_of(&(key, volume))]));
            builder.after(&at, &volume.hooks, &variables);
        }
    }
    let mut inside = Vec::new();
    for (key, volume) in volumes {
        let device = device_of(&(key, volume));
        builder.stands_on(&device, members);
        if volume.content.is_some() {
            let at = format!("{at}.lvs.{key}");
            inside.push(Inside { at, device, content: volume.content.as_ref(), mode });
        }
    }
    inside
}

/// Bytes of a volume, where lvcreate rounds them by nothing but whole extents: with stripes it is by more.
fn exact_size(volume: &Volume) -> Option<u64> {
    let is_plain = matches!(volume.lvm_type, None | Some(LvmType::ThinVolume)) && volume.extra_args.is_empty();
    match volume.amount() {
        Some(VolumeSize::Bytes(bytes)) if is_plain => Some(bytes.div_ceil(sizes::EXTENT).saturating_mul(sizes::EXTENT)),
        _ => None,
    }
}

/// A command of LVM that sees these physical volumes only: a foreign group of the same name is out of its sight.
fn lvm(command: &'static str, members: &[Device]) -> Command {
    members.iter().fold(Command::new("lvm", [command]), |command, member| command.arg("--devices").arg(member))
}

fn lvm_type(kind: LvmType) -> &'static str {
    match kind {
        LvmType::Mirror => "mirror",
        LvmType::Raid0 => "raid0",
        LvmType::Raid1 => "raid1",
        LvmType::Raid4 => "raid4",
        LvmType::Raid5 => "raid5",
        LvmType::Raid6 => "raid6",
        LvmType::Raid10 => "raid10",
        LvmType::ThinPool => "thin-pool",
        LvmType::ThinVolume => "thin",
    }
}

/// LVM writes identifiers in groups of 6, 4, 4, 4, 4, 4 and 6.
pub fn uuid(own: Uuid) -> String {
    let hex = own.simple().to_string();
    let ends = [6, 10, 14, 18, 22, 26, 32];
    let starts = std::iter::once(0).chain(ends);
    starts.zip(ends).map(|(start, end)| &hex[start..end]).collect::<Vec<_>>().join("-")
}
