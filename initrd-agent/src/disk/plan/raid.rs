//! Software RAID.

use super::{
    action::{Action, Command, Device, Open},
    build::{Builder, Mode},
};
use crate::disk::layout::Array;
use uuid::Uuid;

impl Builder<'_> {
    pub fn array(&mut self, key: &str, one: &Array) {
        let name = one.name.clone().unwrap_or_else(|| key.to_owned());
        let device = Device::Array(name.clone());
        let (members, mode) = self.members_of("mdadm", key);
        if members.is_empty() {
            return;
        }
        let at = format!("mdadm.{key}");
        self.stands_on(&device, &members);
        self.before(&at, &one.hooks);
        if mode == Mode::Make {
            let create = Command::new("mdadm", ["--create".to_owned(), device.to_string()])
                .arg(format!("--level={}", one.level))
                .arg(format!("--raid-devices={}", members.len()))
                .arg(format!("--metadata={}", one.metadata.as_deref().unwrap_or("default")))
                .args(["--force", "--run", "--homehost=any"])
                .arg(format!("--uuid={}", md_uuid(self.own.guid(&at))))
                .args(one.extra_args.clone())
                .args(&members);
            self.run(create.opening(Open::Array(name)));
            self.actions.push(Action::Wipe(device.clone()));
        } else {
            let assemble = Command::new("mdadm", ["--assemble".to_owned(), device.to_string()]).arg("--run");
            self.run(assemble.args(&members).opening(Open::Array(name)));
        }
        if let Some(content) = &one.content {
            self.content(&at, &device, content, mode);
        }
        self.after(&at, &one.hooks);
    }
}

/// mdadm writes them in four groups.
fn md_uuid(uuid: Uuid) -> String {
    let hex = uuid.simple().to_string();
    format!("{}:{}:{}:{}", &hex[..8], &hex[8..16], &hex[16..24], &hex[24..])
}
