//! Loads the drivers that the hardware asks for by its modalias.

mod devices;
mod kernel;
mod uevent;

#[cfg(test)]
mod tests;

use protocol::{
    Code,
    failure::{OrFail, Result},
    modules::{IndexFiles, ModuleIndex},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A bus that has been silent this long has shown what it shows by itself.
const QUIET: Duration = Duration::from_millis(150);

/// A bus that never falls silent holds the way up no longer than this.
const LONGEST_SETTLE: Duration = Duration::from_secs(5);

/// Every SCSI or SATA controller brings disks a while later; their driver may as well be there first.
const SCSI_DISK: &str = "scsi:t-0x00";

/// What became of the modules that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Loaded, in this order.
    pub loaded: Vec<String>,
    /// Not loaded, and why. A driver that finds its device not to be there says so in this way, too.
    pub failed: Vec<(String, String)>,
    /// Not loaded, as they come with a tool overlay that is not here.
    pub absent: Vec<String>,
}

impl Report {
    /// One line for people.
    pub fn describe(&self) -> String {
        let loaded = format!("{} drivers", self.loaded.len());
        if self.failed.is_empty() {
            return loaded;
        }
        let failed: Vec<String> = self.failed.iter().map(|(module, cause)| format!("{module} ({cause})")).collect();
        format!("{loaded}; not loaded: {}", failed.join(", "))
    }

    fn add(&mut self, other: Report) {
        self.loaded.extend(other.loaded);
        self.failed.extend(other.failed);
        self.absent.extend(other.absent);
    }
}

/// Loads what this machine asks for until its buses fall silent, and leaves a thread behind that loads what
/// shows up later.
///
/// # Errors
/// `E-IMAGE` where this kernel's modules are not in the image: it was started with another kernel's initrd.
pub fn coldplug() -> Result<Report> {
    let sys = Path::new("/sys");
    let mut loader = Loader::open(&live_root()?, kernel::insert)?;
    // Before the look, so that nothing falls between the look and the listening.
    let Ok(mut events) = uevent::Listener::open() else { return Ok(loader.scan_all(sys)) };
    let mut report = loader.scan(sys);
    let end = Instant::now() + LONGEST_SETTLE;
    while Instant::now() < end
        && let Some(heard) = events.wait(Some(QUIET))
    {
        report.add(loader.hear(&heard, sys));
    }
    std::thread::spawn(move || hotplug(&mut loader, &mut events, sys));
    Ok(report)
}

fn hotplug<I: Fn(&Path) -> Result<(), String>>(loader: &mut Loader<I>, events: &mut uevent::Listener, sys: &Path) {
    while let Some(heard) = events.wait(None) {
        let report = loader.hear(&heard, sys);
        if !report.loaded.is_empty() || !report.failed.is_empty() {
            tracing::info!("hardware appeared: {}", report.describe());
        }
    }
}

/// Loads modules, or all that an alias such as `fs-ext4` stands for, with what they need. Returns the names of which
/// nothing is there afterwards, and why.
///
/// # Errors
/// `E-IMAGE` as [`coldplug`].
pub fn load(names: &[String]) -> Result<Vec<(String, String)>> {
    Ok(Loader::open(&live_root()?, kernel::insert)?.require(names))
}

fn live_root() -> Result<PathBuf> {
    let names = nix::sys::utsname::uname().or_fail(Code::System, || "asking for the kernel's release")?;
    Ok(Path::new("/lib/modules").join(names.release()))
}

/// The modules of one kernel, what has been tried of them, and how they get into it.
struct Loader<I> {
    root: PathBuf,
    index: ModuleIndex,
    insert: I,
    tried: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl<I: Fn(&Path) -> Result<(), String>> Loader<I> {
    fn open(root: &Path, insert: I) -> Result<Self> {
        let text = |name: &str| std::fs::read_to_string(root.join(name));
        let dep = text("modules.dep").map_err(|error| {
            let activity = format!("reading {}", root.join("modules.dep").display());
            protocol::Failure::from_error(Code::Image, activity, &error)
                .with_remedy("this initrd belongs to another kernel: build the image again and deploy it whole")
        })?;
        let other = |name: &str| text(name).unwrap_or_default();
        let (alias, softdep, builtin) = (other("modules.alias"), other("modules.softdep"), other("modules.builtin"));
        let index = ModuleIndex::parse(IndexFiles { dep: &dep, alias: &alias, softdep: &softdep, builtin: &builtin });
        Ok(Self { root: root.to_owned(), index, insert, tried: BTreeSet::new(), seen: BTreeSet::new() })
    }

    /// Loads for every device there is.
    fn scan(&mut self, sys: &Path) -> Report {
        self.offer(devices::modaliases(sys))
    }

    /// The same until a look shows nothing new: a PCI driver makes a virtio bus, and its devices ask for drivers
    /// of their own. A look takes a while on an emulated machine, so whoever can listens instead.
    fn scan_all(&mut self, sys: &Path) -> Report {
        let mut report = Report::default();
        loop {
            let seen = self.seen.len();
            report.add(self.scan(sys));
            if self.seen.len() == seen {
                return report;
            }
        }
    }

    fn hear(&mut self, heard: &uevent::Heard, sys: &Path) -> Report {
        if heard.lost { self.scan_all(sys) } else { self.offer(heard.modaliases.iter().cloned()) }
    }

    /// Loads for the devices among these that have not been seen yet.
    fn offer(&mut self, modaliases: impl IntoIterator<Item = String>) -> Report {
        let new: Vec<String> = modaliases.into_iter().filter(|modalias| self.seen.insert(modalias.clone())).collect();
        let mut report = self.load(&new);
        if self.tried.contains("scsi_mod") && self.seen.insert(SCSI_DISK.to_owned()) {
            report.add(self.load(&[SCSI_DISK.to_owned()]));
        }
        report
    }

    /// Loads what the names stand for, and returns those of which nothing is there afterwards.
    fn require(&mut self, names: &[String]) -> Vec<(String, String)> {
        let report = self.load(names);
        let missing = names.iter().filter_map(|name| Some((name.clone(), self.why_missing(name, &report)?)));
        missing.collect()
    }

    /// None where a module of this name is loaded or built in: a processor without AES refuses the fast one of two
    /// modules that are both called `aes`.
    fn why_missing(&self, name: &str, report: &Report) -> Option<String> {
        let why = |module: &&str| match report.failed.iter().find(|(failed, _)| failed == module) {
            Some((_, cause)) => Some(cause.clone()),
            None => report.absent.iter().any(|absent| absent == module).then(|| "it is in a tool overlay".to_owned()),
        };
        let modules = self.index.resolve(name);
        if modules.is_empty() {
            return (!self.index.is_builtin(name)).then(|| "this image has none of that name".to_owned());
        }
        let causes: Vec<String> = modules.iter().map(why).collect::<Option<_>>()?;
        Some(causes.join(", "))
    }

    /// Loads what the names stand for; those that stand for nothing are drivers that the image does not have.
    fn load(&mut self, names: &[String]) -> Report {
        let mut report = Report::default();
        for name in names.iter().flat_map(|name| self.index.resolve(name)) {
            let order = match self.index.load_order(&[name]) {
                Ok(order) => order,
                Err(error) => {
                    report.failed.push((name.to_owned(), error.to_string()));
                    continue;
                }
            };
            let path = |module: &str| self.root.join(&self.index.modules()[module].path);
            // The index covers the overlays. A hot plug after one was merged finds the file.
            if order.iter().any(|module| !self.tried.contains(*module) && !path(module).exists()) {
                report.absent.push(name.to_owned());
                continue;
            }
            for module in order {
                if !self.tried.insert(module.to_owned()) {
                    continue;
                }
                match (self.insert)(&path(module)) {
                    Ok(()) => report.loaded.push(module.to_owned()),
                    Err(cause) => report.failed.push((module.to_owned(), cause)),
                }
            }
        }
        report
    }
}
