//! Software RAID.

use super::{
    builder::{Builder, Inside, Members, Mode},
    sizes,
};
use crate::action::{Command, Device, Open};
use layout::Array;
use uuid::Uuid;

/// Makes the array, or assembles it.
pub fn array<'a>(builder: &mut Builder<'_>, key: &str, one: &'a Array, members: &Members) -> Vec<Inside<'a>> {
    let Members { at, devices, mode } = members;
    let name = one.name.clone().unwrap_or_else(|| key.to_owned());
    let device = Device::Array(name.clone());
    builder.stands_on(&device, devices);
    sizes::array(&mut builder.sizes, &device, devices, one);
    builder.identify(Some(&builder.own.guid(at).to_string()), "array");
    if *mode == Mode::Make {
        let create = Command::new("mdadm", ["--create".to_owned(), device.to_string()])
            .arg(format!("--level={}", one.level))
            .arg(format!("--raid-devices={}", devices.len()))
            .arg(format!("--metadata={}", one.metadata.as_deref().unwrap_or("default")))
            .args(["--force", "--run", "--homehost=any"])
            .arg(format!("--uuid={}", md_uuid(builder.own.guid(at))))
            .args(one.extra_args.clone())
            .args(devices);
        builder.run(create.opening(Open::Array(name)).making([device.clone()]));
    } else {
        let assemble = Command::new("mdadm", ["--assemble".to_owned(), device.to_string()]).arg("--run");
        builder.open(assemble.args(devices).opening(Open::Array(name)).making([device.clone()]), *mode);
    }
    vec![Inside { at: at.clone(), device, content: one.content.as_ref(), mode: *mode }]
}

/// mdadm writes them in four groups.
fn md_uuid(uuid: Uuid) -> String {
    let hex = uuid.simple().to_string();
    format!("{}:{}:{}:{}", &hex[..8], &hex[8..16], &hex[16..24], &hex[24..])
}
