//! A laboratory: one network with a boot-server, an etcd member and machines in it.

use crate::{
    command::{command, output, run},
    demo_system::{self, DemoSystem},
    disk::Disk,
    etcd::Etcd,
    machine::{BootFrom, Firmware, Machine},
    network::Network,
    paths,
    server::{Admission, Server},
};
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// Folders of sites that are kept.
const PREPARED: &str = "prepared-";

/// What all laboratories of one process share: made once.
#[derive(Debug)]
pub struct Prepared {
    /// The system to install.
    pub system: DemoSystem,
    /// A folder of `boot-server init` with the boot image that trusts it deployed.
    pub site: PathBuf,
    /// Kernel and initrd of the boot image, bytes.
    pub image_bytes: u64,
}

/// Builds the demo system and the boot image, or takes those of this process.
///
/// # Errors
/// A build fails.
pub fn prepare() -> Result<&'static Prepared> {
    static PREPARED: OnceLock<std::result::Result<Prepared, String>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| Prepared::make().map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow!("preparing the tests: {error}"))
}

impl Prepared {
    fn make() -> Result<Self> {
        let agent = paths::binary("initrd-agent")?;
        let system = demo_system::build(&agent, demo_system::Kind::Plain)?;
        let site = prepared_site(&agent, &system)?;
        let image_bytes = size_of_image(&site)?;
        Ok(Prepared { system, site, image_bytes })
    }
}

/// The site of these binaries: made once, kept for the next run.
fn prepared_site(agent: &Path, system: &DemoSystem) -> Result<PathBuf> {
    let sums = output(
        command("sha256sum", [agent])
            .arg(paths::binary("boot-server")?)
            .arg(paths::binary("image-builder")?)
            .arg(&system.kernel.image),
    )?;
    let key: String = sums.lines().filter_map(|line| line.get(..6)).collect();
    let kept = runs()?.join(format!("{PREPARED}{key}"));
    if !kept.exists() {
        remove_outdated()?;
        let making = tempfile::Builder::new().prefix(PREPARED).tempdir_in(runs()?)?;
        let site = making.path().join("site");
        Server::init(&site)?;
        deploy_image(&site, agent, system)?;
        fs::rename(making.keep(), &kept).with_context(|| format!("moving the site to {}", kept.display()))?;
    }
    Ok(kept.join("site"))
}

/// Sites of binaries that were built over since.
fn remove_outdated() -> Result<()> {
    for entry in fs::read_dir(runs()?).context("reading the folder of runs")? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREPARED) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Builds the boot image that trusts a site, and puts it where the site serves it from.
fn deploy_image(site: &Path, agent: &Path, system: &DemoSystem) -> Result<()> {
    let builder = paths::binary("image-builder")?;
    let built = site.with_extension("image");
    let mut build = command(&builder, ["build", "--profile", "vm"]);
    build.arg("--trust").arg(site.join("trust.json")).arg("--agent").arg(agent).arg("--out").arg(&built);
    build.arg("--kernel").arg(&system.kernel.image).arg("--modules").arg(&system.kernel.modules);
    run(&mut build).context("building the boot image")?;
    let mut deploy = command(&builder, ["deploy"]);
    deploy.arg("--from").arg(&built).arg("--to").arg(site.join("images"));
    run(&mut deploy).context("deploying the boot image")
}

/// Kernel and initrd, as the index of the image has them: tools in overlays are fetched only where a layout needs them.
fn size_of_image(site: &Path) -> Result<u64> {
    let index = fs::read(site.join("images/vm.json")).context("reading the image's index")?;
    let index: Value = serde_json::from_slice(&index).context("reading the image's index")?;
    let size = |name: &str| index["artefacts"][name]["size"].as_u64();
    size("bzImage").zip(size("initrd")).map(|(kernel, initrd)| kernel + initrd).context("an image has both")
}

/// Folder of everything that runs; what a failed test leaves is looked at here.
fn runs() -> Result<PathBuf> {
    let dir = paths::cache()?.join("runs");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

/// A laboratory. Fields are dropped in this order: machines first, the network after all that uses it.
#[derive(Debug)]
pub struct Lab {
    /// The boot-server.
    pub server: Server,
    /// The network.
    pub network: Arc<Network>,
    /// What was built once.
    pub prepared: &'static Prepared,
    dir: PathBuf,
    machines: u8,
    keep: bool,
    _room: Room,
}

/// Machines are emulated, and one of them keeps a core busy: two laboratories at a time are enough for two cores, or
/// one that has several machines.
#[derive(Debug)]
struct Room(u8);

impl Room {
    const ALL: u8 = 2;

    /// Waits until there is so much room.
    fn take(cores: u8) -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = GIVEN_BACK.wait_while(taken, |taken| *taken + cores > Self::ALL);
        *fits.unwrap_or_else(PoisonError::into_inner) += cores;
        Room(cores)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}

static TAKEN: Mutex<u8> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl Lab {
    /// A laboratory with a boot-server that runs, for one machine at a time.
    ///
    /// # Errors
    /// Something is missing on this host, or a program does not start.
    pub fn open(name: &str, admission: Admission) -> Result<Self> {
        Self::open_in(Room::take(1), name, admission)
    }

    /// As [`Lab::open`], with nothing beside it: for several machines.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub fn open_alone(name: &str, admission: Admission) -> Result<Self> {
        Self::open_in(Room::take(Room::ALL), name, admission)
    }

    fn open_in(room: Room, name: &str, admission: Admission) -> Result<Self> {
        let prepared = prepare()?;
        let dir = runs()?.join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let site = dir.join("site");
        run(command("cp", ["-a"]).arg(&prepared.site).arg(&site))?;
        let server = Server::configure(&site, admission, &prepared.system.binary_cache)?;
        let network = Arc::new(Network::create()?);
        let mut lab = Lab { server, network, prepared, dir, machines: 0, keep: false, _room: room };
        lab.server.start(&lab.network)?;
        Ok(lab)
    }

    /// Leaves all files where they are.
    pub fn keep_files(&mut self) {
        self.keep = true;
    }

    /// Folder of this laboratory's files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A machine that is off, with one empty disk.
    ///
    /// # Errors
    /// No tap or no room.
    pub fn machine(&mut self, firmware: Firmware) -> Result<Machine> {
        let disk = Disk::create(&self.dir, "disk-a", 2048)?;
        self.machine_with(firmware, vec![disk])
    }

    /// A machine that is off, with these disks.
    ///
    /// # Errors
    /// No tap.
    pub fn machine_with(&mut self, firmware: Firmware, disks: Vec<Disk>) -> Result<Machine> {
        self.machines += 1;
        let name = format!("machine-{}", self.machines);
        Machine::new(&self.dir, &self.network, &name, self.machines, firmware, disks)
    }

    /// Has a machine that is off install itself as a node that was applied, and starts what it has installed; the firmware's
    /// part is for the tests that say so.
    ///
    /// # Errors
    /// It is not installed in time.
    pub fn install(&self, machine: &mut Machine, node: &str, patience: Duration) -> Result<()> {
        machine.power_on(&self.network, BootFrom::Script)?;
        self.server.wait_state(&self.network, node, "installed", patience)?;
        machine.wait_off(patience)?;
        machine.power_on(&self.network, BootFrom::Script)
    }

    /// Builds the boot image anew, with the trust that the server's folder has now, and deploys it.
    ///
    /// # Errors
    /// The build fails.
    pub fn deploy_image(&self) -> Result<()> {
        deploy_image(&self.server.dir, &paths::binary("initrd-agent")?, &self.prepared.system)
    }

    /// The outside member of the cluster.
    ///
    /// # Errors
    /// It does not start.
    pub fn etcd(&self) -> Result<Etcd> {
        Etcd::start(&self.network, &self.server)
    }
}

/// Runs a test in a laboratory of its own. What fails does so while the laboratory stands, so that its logs are kept.
///
/// # Panics
/// The laboratory cannot be opened, or the test fails.
pub fn test(name: &str, admission: Admission, body: impl FnOnce(&mut Lab) -> Result<()>) {
    run_in(Lab::open(name, admission), name, body);
}

/// As [`test`], with nothing beside it: for several machines.
///
/// # Panics
/// As [`test`].
pub fn test_alone(name: &str, admission: Admission, body: impl FnOnce(&mut Lab) -> Result<()>) {
    run_in(Lab::open_alone(name, admission), name, body);
}

fn run_in(opened: Result<Lab>, name: &str, body: impl FnOnce(&mut Lab) -> Result<()>) {
    let mut lab = opened.unwrap_or_else(|error| panic!("opening the laboratory of {name}: {error:#}"));
    if let Err(error) = body(&mut lab) {
        panic!("{name}: {error:#}\nthe boot-server's log ends with\n{}", lab.server.log_end());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.kill();
        if self.keep {
            return;
        }
        // A failed test leaves its logs, but not its disks.
        if std::thread::panicking() {
            for entry in fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok) {
                if entry.path().extension().is_some_and(|extension| extension == "raw" || extension == "vars") {
                    let _ = fs::remove_file(entry.path());
                }
            }
            eprintln!("the logs of this test are in {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
