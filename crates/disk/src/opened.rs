//! What is open while a layout is in use, and how it is closed.

use super::{
    action::{Action, Command, Open},
    device_node::name_for_tools,
    plan::Plan,
    tool::tool,
};
use host::command;
use protocol::failure::Result;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is open: arrays, volume groups, encrypted devices. Closed on drop, the last first, so that the next attempt
/// finds free disks.
#[derive(Debug, Default)]
pub struct Opened(Vec<(Open, Vec<PathBuf>)>);

impl Opened {
    /// Something has been opened; `members` are the devices of a volume group.
    pub fn add(&mut self, open: Open, members: Vec<PathBuf>) {
        self.0.push((open, members));
    }

    /// Closes everything.
    ///
    /// # Errors
    /// `E-TOOL` where something is busy.
    pub fn close(mut self) -> Result<()> {
        while let Some((open, members)) = self.0.pop() {
            close(&open, &members)?;
        }
        Ok(())
    }

    /// What opening a plan leaves open, where it has been opened.
    pub fn of(plan: &Plan) -> Self {
        let opens = plan.open.iter().filter_map(|action| match action {
            Action::Run(Command { opens: Some(open), .. }) => Some(open.clone()),
            _ => None,
        });
        let members = |open: &Open| match open {
            Open::Group(_, members) => members.iter().filter_map(|one| name_for_tools(one).ok()).collect(),
            _ => Vec::new(),
        };
        let is_there = |open: &Open| match open {
            Open::Array(name) => Path::new("/dev/md").join(name).exists(),
            Open::Mapper(name) => Path::new("/dev/mapper").join(name).exists(),
            Open::Group(..) | Open::Pool(_) => true,
        };
        Self(
            opens
                .filter(is_there)
                .map(|open| {
                    let paths = members(&open);
                    (open, paths)
                })
                .collect(),
        )
    }

    /// Leaves everything open.
    pub fn leave(mut self) {
        self.0.clear();
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        for (open, members) in self.0.drain(..).rev() {
            if let Err(failure) = close(&open, &members) {
                tracing::warn!("closing: {failure}");
            }
        }
    }
}

fn close(open: &Open, members: &[PathBuf]) -> Result<()> {
    let arguments: Vec<String> = match open {
        Open::Array(name) => vec!["mdadm".to_owned(), "--stop".to_owned(), format!("/dev/md/{name}")],
        Open::Mapper(name) => vec!["cryptsetup".to_owned(), "close".to_owned(), name.clone()],
        Open::Pool(name) => vec!["zpool".to_owned(), "export".to_owned(), name.clone()],
        Open::Group(name, _) => {
            let own = ["lvm", "vgchange", "--activate", "n"].map(str::to_owned);
            let devices = members.iter().flat_map(|path| ["--devices".to_owned(), path.to_string_lossy().into_owned()]);
            own.into_iter().chain(devices).chain([name.clone()]).collect()
        }
    };
    command::run_command(tool(&arguments[0], &arguments[1..]), None)?;
    if let Open::Array(name) = open {
        // Without udev the name stays, and may lead to another array that gets the same number.
        let _ = fs::remove_file(Path::new("/dev/md").join(name));
    }
    Ok(())
}
