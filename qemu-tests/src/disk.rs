//! Disk images of machines, and looks inside them from outside.

use crate::command::{command, output, run};
use anyhow::{Context, Result};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// A sparse raw image.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// The serial number that the machine sees.
    pub serial: String,
}

impl Disk {
    /// An empty disk.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &Path, serial: &str, megabytes: u64) -> Result<Self> {
        let path = dir.join(format!("{serial}.raw"));
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        file.set_len(megabytes << 20).with_context(|| format!("sizing {}", path.display()))?;
        Ok(Disk { path, serial: serial.to_owned() })
    }

    /// Puts an ext4 file system on the bare disk, as a foreign owner would have.
    ///
    /// # Errors
    /// mkfs.ext4 fails.
    pub fn format_ext4(&self, label: &str) -> Result<()> {
        run(command("mkfs.ext4", ["-q", "-F", "-L", label]).arg(&self.path))
    }

    /// SHA-256 of all its bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn digest(&self) -> Result<String> {
        let summed = output(command("sha256sum", ["--binary"]).arg(&self.path))?;
        summed.split_whitespace().next().map(str::to_owned).context("sha256sum says nothing")
    }

    /// Runs a shell script in a file system of a machine that is off, by its partition's GPT name.
    ///
    /// # Errors
    /// There is no such partition, or the script fails.
    pub fn edit(&self, partition: &str, script: &str) -> Result<()> {
        let start = self.start_of(partition)?;
        let folder = tempfile::tempdir()?;
        let options = format!("loop,offset={start}");
        // In a mount namespace of its own: nothing stays mounted, however it ends.
        let mounted = "mount -o \"$1\" \"$2\" \"$3\" && cd \"$3\" && sh -euc \"$4\" && cd / && umount \"$3\"";
        let mut edit = command("unshare", ["-m", "sh", "-c", mounted, "edit", &options]);
        run(edit.arg(&self.path).arg(folder.path()).arg(script))
    }

    /// The files below `EFI` of an EFI system partition, by its GPT name.
    ///
    /// # Errors
    /// There is no such partition, or it has no such folder.
    pub fn efi_files(&self, partition: &str) -> Result<Vec<String>> {
        let image = format!("{}@@{}", self.path.display(), self.start_of(partition)?);
        let listed = output(&mut command("mdir", ["-i", &image, "-b", "-s", "::/EFI"]))?;
        Ok(listed.lines().filter(|line| !line.ends_with('/')).map(|line| line.replace("::/EFI/", "")).collect())
    }

    /// Where these bytes stand on it, read block by block.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn positions_of(&self, wanted: &[u8]) -> Result<Vec<u64>> {
        const BLOCK: usize = 4 << 20;
        let reading = || format!("reading {}", self.path.display());
        let file = File::open(&self.path).with_context(reading)?;
        let (size, mut found) = (file.metadata().with_context(reading)?.len(), Vec::new());
        // What begins at the end of one block goes on in the next.
        let mut buffer = vec![0; BLOCK + wanted.len().saturating_sub(1)];
        for start in (0..size).step_by(BLOCK) {
            let length = buffer.len().min(usize::try_from(size - start)?);
            let block = &mut buffer[..length];
            file.read_exact_at(block, start).with_context(reading)?;
            // Most of a disk is empty.
            if block.iter().all(|byte| *byte == 0) {
                continue;
            }
            let here = block.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
            found.extend(here.map(|(at, _)| start + at as u64));
        }
        Ok(found)
    }

    fn start_of(&self, partition: &str) -> Result<u64> {
        self.partition(partition)?.with_context(|| format!("there is no partition {partition}"))
    }

    /// What wipefs finds on it: nothing on an empty disk.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn signatures(&self) -> Result<String> {
        output(command("wipefs", ["--no-act", "--parsable"]).arg(&self.path))
    }

    /// Where a partition begins, in bytes, by its GPT name.
    ///
    /// # Errors
    /// There is no partition table; `None` where it has no such name.
    pub fn partition(&self, name: &str) -> Result<Option<u64>> {
        let table = output(command("sgdisk", ["-p"]).arg(&self.path))?;
        Ok(partition_start(&table, name).map(|sector| sector * 512))
    }

    /// Whether a BIOS would find a boot loader: code in the first sector, before its partition table.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn has_boot_code(&self) -> Result<bool> {
        let mut code = [0; 440];
        let read = File::open(&self.path).and_then(|image| image.read_exact_at(&mut code, 0));
        read.with_context(|| format!("reading {}", self.path.display()))?;
        Ok(code.iter().any(|byte| *byte != 0))
    }
}

/// `sgdisk -p` has lines of number, start, end, size, unit, code, name.
fn partition_start(table: &str, name: &str) -> Option<u64> {
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let fits = words.len() >= 7 && words[0].parse::<u32>().is_ok() && words[6] == name;
        if fits { words[1].parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_its_name() {
        let table = "Number  Start (sector)    End (sector)  Size       Code  Name\n   \
                     1            2048            4095   1024.0 KiB  EF02  disk-main-boot\n   \
                     2            4096          135167   64.0 MiB    EF00  disk-main-ESP\n";
        assert_eq!(partition_start(table, "disk-main-ESP"), Some(4096));
        assert_eq!(partition_start(table, "disk-main-root"), None);
    }
}
