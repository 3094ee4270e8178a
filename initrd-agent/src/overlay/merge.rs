//! From a blob to files of the root: unpacked beside it first, and then renamed into it.

use nix_store::nar;
use nix_store::tree::{self, Tree};
use protocol::{Code, Failure, failure::Result, overlay::ToolSet};
use std::{
    fs::{self, File, Permissions},
    io::{self, BufReader, Read},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
};

/// No overlay is larger when it is unpacked: it is held in memory.
const LARGEST: u64 = 1 << 30;
/// The window of what image-builder writes, as a power of two; it is memory.
const WINDOW_LOG: u32 = 23;
/// Decompressed bytes that are written at a time.
const BUFFER: usize = 128 << 10;
/// What the root gets last: where a set's programs are there, the rest is there as well.
const PROGRAMS: &str = "bin";

/// A merge of one overlay.
pub struct Merge<'a> {
    /// Whose.
    pub set: ToolSet,
    /// An empty folder on the file system of the root.
    pub staging: &'a Path,
    /// Where it goes.
    pub root: &'a Path,
}

impl Merge<'_> {
    /// Unpacks a blob whose hash was checked, removes it, and merges what was in it.
    ///
    /// # Errors
    /// `E-TOOLS` where it is no overlay, `E-NO-SPACE` where there is no memory for it: then nothing was merged.
    /// `E-SYSTEM` where the root does not take it: then the programs were not.
    pub fn blob(&self, blob: &Path) -> Result<()> {
        let activity = format!("unpacking the {} tools", self.set);
        let unreadable = |error: &io::Error| Failure::from_error(Code::Tools, &activity, error);
        let unpacked = File::open(blob).map_err(|error| unreadable(&error))?;
        let staged = File::open(self.staging).map_err(|error| unreadable(&error))?;
        let mut decompressed = zstd::Decoder::new(unpacked).map_err(|error| unreadable(&error))?;
        decompressed.window_log_max(WINDOW_LOG).map_err(|error| unreadable(&error))?;
        let archive = BufReader::with_capacity(BUFFER, decompressed.take(LARGEST));
        nar::unpack(archive, &mut Tree::new(staged.as_fd(), b"tree")).map_err(|error| match error {
            nar::Error::Read(error) => unreadable(&error),
            nar::Error::Sink(error) => unwritable(activity.clone(), &error),
            nar::Error::Format(what, offset) => {
                Failure::new(Code::Tools, format!("{activity}: the NAR has {what} at byte {offset}"))
            }
        })?;
        let merged = fs::remove_file(blob).and_then(|()| folder(&self.staging.join("tree"), self.root));
        merged.map_err(|error| unwritable(format!("merging the {} tools into /", self.set), &error))
    }
}

/// Moves what is in a folder into another, and leaves alone what is there: overlays of one image share libraries, and
/// equal paths are equal files. No link is followed.
fn folder(from: &Path, to: &Path) -> io::Result<()> {
    // Nothing can be moved out of the store's 0555, but by root.
    fs::set_permissions(from, Permissions::from_mode(0o755))?;
    let mut names = fs::read_dir(from)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_by_key(|name| (name == PROGRAMS, name.clone()));
    for name in names {
        let (source, target) = (from.join(&name), to.join(&name));
        if !source.symlink_metadata()?.is_dir() {
            if !tree::exists(&target) {
                fs::rename(&source, &target)?;
            }
            continue;
        }
        match target.symlink_metadata() {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Err(io::Error::other(format!("{} is no folder", target.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&target)?,
            Err(error) => return Err(error),
        }
        folder(&source, &target)?;
    }
    Ok(())
}

/// The failure of a write into the initrd.
pub fn unwritable(activity: String, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull => Failure::from_error(Code::NoSpace, activity, error)
            .with_remedy("the tools are held in memory: give the machine more of it"),
        _ => Failure::from_error(Code::System, activity, error),
    }
}
