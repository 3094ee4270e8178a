//! What is open while a layout is in use, and how it is closed.

use super::{
    action::{Action, Command, Device, Open},
    plan::Plan,
    private_dev::{self, PrivateDev},
    tool::{prepare_private, tool},
};
use host::command;
use protocol::failure::Result;
use std::{fs, path::Path};

/// What is open: arrays, volume groups, encrypted devices. Closed on drop, the last first, so that the next attempt
/// finds free disks.
#[derive(Debug)]
pub struct Opened {
    dev: PrivateDev,
    open: Vec<Open>,
}

impl Opened {
    /// Nothing yet, on the disks of a plan.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub fn nothing(plan: &Plan) -> Result<Self> {
        let dev = PrivateDev::new(plan.disks.iter().map(|disk| disk.disk.clone()).collect())?;
        Ok(Self { dev, open: Vec::new() })
    }

    /// What tools see as /dev.
    pub fn dev(&self) -> &PrivateDev {
        &self.dev
    }

    /// Something has been opened.
    pub fn add(&mut self, open: Open) {
        self.open.push(open);
    }

    /// Closes everything.
    ///
    /// # Errors
    /// `E-TOOL` where something is busy.
    pub fn close(mut self) -> Result<()> {
        self.close_all()
    }

    /// The same; what is left after a failure is closed on drop.
    ///
    /// # Errors
    /// `E-TOOL` where something is busy.
    pub fn close_all(&mut self) -> Result<()> {
        while let Some(open) = self.open.pop() {
            close(&open, &self.dev)?;
        }
        Ok(())
    }

    /// What opening a plan leaves open, where it has been opened.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub fn of(plan: &Plan) -> Result<Self> {
        let mut found = Self::nothing(plan)?;
        let is_there = |device: &Device| found.dev.nodes().find(device).is_some();
        let opens = plan.open.iter().filter_map(|action| match action {
            Action::Run(Command { opens: Some(open), makes, .. }) => {
                let is_open = matches!(open, Open::Pool(_)) || makes.iter().any(is_there);
                is_open.then(|| open.clone())
            }
            _ => None,
        });
        let open: Vec<Open> = opens.collect();
        found.open = open;
        Ok(found)
    }

    /// Leaves everything open.
    pub fn forget(&mut self) {
        self.open.clear();
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        while let Some(open) = self.open.pop() {
            if let Err(failure) = close(&open, &self.dev) {
                tracing::warn!("closing: {failure}");
            }
        }
    }
}

fn close(open: &Open, dev: &PrivateDev) -> Result<()> {
    let device = match open {
        Open::Array(name) => Some(Device::Array(name.clone())),
        Open::Mapper(name) => Some(Device::Mapper(name.clone())),
        Open::Group(..) | Open::Pool(_) => None,
    };
    if device.is_some_and(|device| dev.nodes().find(&device).is_none()) {
        return Ok(());
    }
    prepare_private()?;
    dev.show_disks()?;
    let show = |device: &Device| dev.show(device).map(|path| path.to_string_lossy().into_owned());
    let arguments: Vec<String> = match open {
        Open::Array(name) => {
            vec!["mdadm".to_owned(), "--stop".to_owned(), show(&Device::Array(name.clone()))?]
        }
        Open::Mapper(name) => {
            show(&Device::Mapper(name.clone()))?;
            vec!["cryptsetup".to_owned(), "close".to_owned(), name.clone()]
        }
        Open::Pool(name) => vec!["zpool".to_owned(), "export".to_owned(), name.clone()],
        Open::Group(name, members) => {
            let own = ["lvm", "vgchange", "--activate", "n"].map(str::to_owned);
            let mut arguments = own.to_vec();
            for member in members {
                arguments.extend(["--devices".to_owned(), show(member)?]);
            }
            arguments.push(name.clone());
            arguments
        }
    };
    command::run_command(tool(&arguments[0], &arguments[1..], dev)?, None)?;
    if let Open::Array(name) = open {
        // Without udev the name stays, and may lead to another array that gets the same number.
        for folder in [dev.root(), Path::new("/dev")] {
            let _ = fs::remove_file(folder.join("md").join(name));
        }
    }
    private_dev::tidy();
    Ok(())
}
