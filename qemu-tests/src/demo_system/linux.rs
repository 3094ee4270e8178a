//! The kernel of the demo system and of the boot image: Debian's, as it is installed on this host.

use crate::command::{command, output, run};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What a virtual machine of ours has to offer, in stage 1 or after it.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "ahci",
    "sd_mod",
    "nvme",
    "e1000",
    "e1000e",
    "ext4",
    "crc32c_generic",
    "crc32c_intel",
    "vfat",
    "nls_ascii",
    "nls_cp437",
    "nls_iso8859-1",
    "nls_utf8",
    "efivarfs",
    "autofs4",
];

/// What a root on a stack needs beyond that.
pub(super) const STACKED: &[&str] = &[
    "dm_mod",
    "dm_crypt",
    "xts",
    "aesni_intel",
    "sha256_generic",
    "af_alg",
    "algif_skcipher",
    "algif_hash",
    "md_mod",
    "raid1",
    "btrfs",
    "xfs",
];

/// A kernel that is installed here.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `uname -r` of it.
    pub release: String,
    /// The bzImage.
    pub image: PathBuf,
    /// `/lib/modules/RELEASE`.
    pub modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of this host that has both image and modules.
    ///
    /// # Errors
    /// There is none.
    pub fn of_this_host() -> Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/boot").context("reading /boot")? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(release) = name.strip_prefix("vmlinuz-") else { continue };
            let modules = Path::new("/lib/modules").join(release);
            if modules.join("modules.dep").exists() && !release.contains("cloud") {
                found.push(Kernel { release: release.to_owned(), image: Path::new("/boot").join(&name), modules });
            }
        }
        found.sort_by(|a, b| a.release.cmp(&b.release));
        found.pop().context("no kernel under /boot with its modules: apt-get install linux-image-amd64")
    }

    /// Copies the image and the modules that a virtual machine needs, and more, to a folder, unless they are there.
    pub(super) fn copy_modules(&self, more: &[&str], target: &Path) -> Result<()> {
        let wanted = [MODULES, more].concat();
        let stamp = format!("{} {}\n", self.release, wanted.join(" "));
        let stamp_file = target.with_extension("wanted");
        if fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
            return Ok(());
        }
        let _ = fs::remove_dir_all(target);
        let mut files = BTreeSet::new();
        for module in wanted {
            let shown = output(&mut command("modprobe", ["-S", &self.release, "--show-depends", module]))?;
            // `insmod PATH OPTIONS`; what is built in shows as `builtin NAME`.
            files.extend(
                shown.lines().filter_map(|line| line.strip_prefix("insmod ")?.split(' ').next().map(PathBuf::from)),
            );
        }
        for file in &files {
            let Ok(relative) = file.strip_prefix("/") else { bail!("{} is not absolute", file.display()) };
            copy(file, &target.join(relative.strip_prefix("usr").unwrap_or(relative)))?;
        }
        let modules = target.join("lib/modules").join(&self.release);
        for index in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            copy(&self.modules.join(index), &modules.join(index))?;
        }
        copy(&self.image, &target.join("bzImage"))?;
        run(command("depmod", ["-b"]).arg(target).arg(&self.release))?;
        fs::write(&stamp_file, stamp).with_context(|| format!("writing {}", stamp_file.display()))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display())).map(drop)
}
