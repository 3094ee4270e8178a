//! What a laboratory boots: Debian's kernel, the product's initrd with all its tools, and behind it an archive with
//! this build of the agent, busybox and tools that look at what the agent has made.

use crate::{
    command::{command, output, run},
    demo_system::{self, linux::Kernel},
    paths,
    server::Server,
    vmlinux,
};
use anyhow::{Context, Result};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What only a laboratory has to do with.
const LAB_MODULES: &[&str] = &["virtio_console", "ahci", "xhci_pci", "usb_storage", "uas", "loop"];
/// What looks at disks from inside, by Debian's package of the same host.
const LOOKING: &[&str] = &["sfdisk", "sgdisk", "lsblk", "findmnt", "blkid", "wipefs", "dmsetup"];
const INIT: &str = include_str!("../../disk-lab/init");

/// Kernel and initrd for `-kernel` and `-initrd`.
#[derive(Debug, Clone)]
pub struct Image {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initrd.
    pub initrd: PathBuf,
}

/// Puts the initrd of this build of the agent into `dir`.
///
/// # Errors
/// A binary of the workspace or a tool of the host is missing.
pub fn build(dir: &Path) -> Result<Image> {
    // What is kept is shared.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::of_this_host()?;
    let agent = dir.join("agent");
    // A debug build's symbols would be a third of the machine's memory.
    run(command("strip", ["-o"]).arg(&agent).arg(paths::binary("initrd-agent")?))?;
    let mut initrd = fs::read(product_image(&kernel, &agent)?).context("reading the product's image")?;
    initrd.resize(initrd.len().next_multiple_of(512), 0);
    initrd.extend(fs::read(lab_archive(dir, &agent)?).context("reading the laboratory's archive")?);
    let file = dir.join("initrd");
    fs::write(&file, initrd).with_context(|| format!("writing {}", file.display()))?;
    Ok(Image { kernel: vmlinux::of(&kernel.image)?, initrd: file })
}

/// The product's initrd, kept as long as builder and kernel are the same: the agent in it is written over at boot.
fn product_image(kernel: &Kernel, agent: &Path) -> Result<PathBuf> {
    let builder = paths::binary("image-builder")?;
    let mut arguments = vec!["build", "--profile", "vm", "--with", "all"];
    arguments.extend(LAB_MODULES.iter().flat_map(|name| ["--extra-module", name]));
    let kept = paths::cache()?.join("disk-lab");
    let wanted = format!("{}{}\n", output(command("sha256sum", [&builder]).arg(&kernel.image))?, arguments.join(" "));
    let initrd = kept.join("initrd");
    if fs::read_to_string(kept.join("wanted")).is_ok_and(|found| found == wanted) && initrd.exists() {
        return Ok(initrd);
    }
    let _ = fs::remove_dir_all(&kept);
    fs::create_dir_all(&kept).with_context(|| format!("creating {}", kept.display()))?;
    let site = kept.join("site");
    Server::init(&site)?;
    let mut build = command(&builder, &arguments);
    build.arg("--trust").arg(site.join("trust.json")).arg("--agent").arg(agent).arg("--out").arg(kept.join("image"));
    build.arg("--kernel").arg(&kernel.image).arg("--modules").arg(&kernel.modules);
    run(&mut build).context("building the image of the disk laboratory")?;
    let index: serde_json::Value = serde_json::from_slice(&fs::read(kept.join("image/vm.json"))?)?;
    let digest = index["artefacts"]["initrd"]["sha256"].as_str().context("the image's index names no initrd")?;
    // The machine is slower at unpacking than this host.
    run(command("zstd", ["-q", "-d", "-f", "-o"]).arg(&initrd).arg(kept.join("image/blobs").join(digest)))?;
    fs::write(kept.join("wanted"), wanted).context("keeping what the initrd was made of")?;
    Ok(initrd)
}

/// A cpio archive; what it has in common with the image before it takes its place.
fn lab_archive(dir: &Path, agent: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    let lab = tree.join("lab");
    for folder in ["bin", "programs", "lib"] {
        fs::create_dir_all(lab.join(folder)).with_context(|| format!("creating {folder}"))?;
    }
    fs::rename(agent, tree.join("init")).context("placing the agent")?;
    copy(demo_system::busybox()?, &lab.join("busybox"))?;
    program(&lab.join("init"), INIT)?;
    // As PID 1 starts it: only with what the image has.
    let as_pid_1 = "#!/lab/busybox sh\nPATH=/bin:/sbin:/usr/bin:/usr/sbin exec /init \"$@\"\n";
    program(&lab.join("bin/initrd-agent"), as_pid_1)?;
    let modprobe = "#!/lab/busybox sh\nfor name; do /init -q -- \"$name\" || failed=1; done\nexit ${failed:-0}\n";
    program(&lab.join("bin/modprobe"), modprobe)?;
    for tool in LOOKING {
        add_tool(&lab, tool)?;
    }
    let archive = dir.join("lab.cpio");
    let line = format!("cd '{}' && find . | cpio -o -H newc --quiet >'{}'", tree.display(), archive.display());
    run(&mut command("sh", ["-c", &line]))?;
    fs::remove_dir_all(&tree).context("removing the tree of the archive")?;
    Ok(archive)
}

/// A tool with libraries of its own, so that it does not hide that the product lacks one.
fn add_tool(lab: &Path, tool: &str) -> Result<()> {
    let found = output(&mut command("sh", ["-c", "PATH=$PATH:/usr/sbin:/sbin command -v \"$1\"", "find", tool]))?;
    let found = found.trim();
    copy(found, &lab.join("programs").join(tool))?;
    for line in output(&mut command("ldd", [found]))?.lines() {
        let library = line.split_whitespace().find(|word| word.starts_with('/'));
        let Some(library) = library.map(Path::new) else { continue };
        let name = library.file_name().context("a library has a name")?;
        copy(library, &lab.join("lib").join(name))?;
    }
    let script = format!(
        "#!/lab/busybox sh\nexec /lab/lib/ld-linux-x86-64.so.2 --library-path /lab/lib /lab/programs/{tool} \"$@\"\n"
    );
    program(&lab.join("bin").join(tool), &script)
}

fn copy(from: impl AsRef<Path>, to: &Path) -> Result<()> {
    let from = from.as_ref();
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display())).map(drop)
}

fn program(path: &Path, text: &str) -> Result<()> {
    let mut file = fs::File::create(path).with_context(|| format!("creating {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o755)).with_context(|| format!("allowing {}", path.display()))
}
