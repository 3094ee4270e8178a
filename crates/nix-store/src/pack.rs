//! Reads a tree from the disk as the objects of its archive: what [`super::tree::Tree`] does, the other way round.

use crate::hashing::Hashing;
use crate::nar::{MAX_DEPTH, Sink, Writer};
use nix::{
    dir::Dir,
    fcntl::{AtFlags, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, SFlag, fstatat},
};
use protocol::encoding::Sha256;
use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
};

/// Bytes that are read at a time.
const BUFFER: usize = 128 << 10;

/// Hands the object `name` in `parent` and all below it to `sink`, in the archive's order. Links are not followed.
///
/// # Errors
/// Those of the file system and of `sink`; an object that no archive can hold.
pub fn pack(parent: BorrowedFd<'_>, name: &CStr, sink: &mut impl Sink) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    object(parent, name, b"", 0, sink, &mut buffer)
}

/// SHA-256 and size of the archive of an object.
///
/// # Errors
/// Those of [`pack`].
pub fn nar_hash(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<(Sha256, u64)> {
    let mut writer = Writer::new(Hashing::new(io::sink()))?;
    pack(parent, name, &mut writer)?;
    Ok(writer.into_inner().finish())
}

/// The metadata of an object; links are not followed.
///
/// # Errors
/// Those of the file system.
pub fn stat(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Of what kind the object is: one of the bits of `S_IFMT`.
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// The names in a directory, in the archive's order.
///
/// # Errors
/// Those of the file system.
pub fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(directory, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a directory or a file as itself, never what a link leads to.
///
/// # Errors
/// Those of the file system.
pub fn open(parent: BorrowedFd<'_>, name: &CStr, kind: OFlag) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | kind;
    Ok(openat(parent, name, flags, Mode::empty())?.into())
}

fn object(
    parent: BorrowedFd<'_>,
    name: &CStr,
    shown: &[u8],
    depth: usize,
    sink: &mut impl Sink,
    buffer: &mut [u8],
) -> io::Result<()> {
    let stat = stat(parent, name)?;
    match kind(&stat) {
        SFlag::S_IFDIR if depth < MAX_DEPTH => {
            let directory = open(parent, name, OFlag::O_DIRECTORY)?;
            sink.enter(shown)?;
            for entry in names(directory.as_fd())? {
                object(directory.as_fd(), &entry, entry.to_bytes(), depth + 1, sink, buffer)?;
            }
            sink.leave()
        }
        SFlag::S_IFREG => {
            let executable = stat.st_mode & 0o100 != 0;
            file(open(parent, name, OFlag::O_NONBLOCK)?, shown, executable, stat.st_size as u64, sink, buffer)
        }
        SFlag::S_IFLNK => sink.symlink(shown, readlinkat(parent, name)?.as_bytes()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "an object that a store path cannot have")),
    }
}

fn file(
    mut file: File,
    shown: &[u8],
    executable: bool,
    size: u64,
    sink: &mut impl Sink,
    buffer: &mut [u8],
) -> io::Result<()> {
    sink.open(shown, executable, size)?;
    let mut rest = size;
    while rest > 0 {
        let wanted = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..wanted])?;
        sink.write(&buffer[..wanted])?;
        rest -= wanted as u64;
    }
    sink.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

    fn packed(folder: &Path) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        let parent = File::open(folder.parent().unwrap()).unwrap();
        let name = CString::new(folder.file_name().unwrap().as_bytes()).unwrap();
        pack(parent.as_fd(), &name, &mut writer).unwrap();
        let bytes = writer.into_inner();
        assert_eq!(nar_hash(parent.as_fd(), &name).unwrap(), (Sha256::of(&bytes), bytes.len() as u64));
        bytes
    }

    #[test]
    fn a_tree_is_packed_as_nix_packs_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a-"), vec![7; 300_001]).unwrap();
        fs::write(tree.join("a/empty"), "").unwrap();
        symlink("/no/where", tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a-"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
        for path in [tree.clone(), tree.join("a-"), tree.join("a/link"), tree.join("a/b")] {
            let output = Command::new("nix-store").arg("--dump").arg(&path).output().unwrap();
            assert!(packed(&path) == output.stdout, "{}", path.display());
        }
    }

    #[test]
    fn a_fifo_or_a_socket_is_an_error_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();
        let parent = File::open(folder.path()).unwrap();
        assert!(nar_hash(parent.as_fd(), c"fifo").is_err());
    }
}
