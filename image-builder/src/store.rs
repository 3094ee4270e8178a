//! Blobs by content hash and the indexes that name them, written so that a reader never sees half of one.

use protocol::{
    Code,
    artefact::Artefact,
    encoding::Sha256,
    failure::{OrFail, Result},
    image::ImageIndex,
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The folder of the blobs.
pub fn blobs(folder: &Path) -> PathBuf {
    folder.join("blobs")
}

/// Stores bytes under their hash.
///
/// # Errors
/// `E-IMAGE` where the folder cannot be written.
pub fn put(folder: &Path, bytes: &[u8]) -> Result<Artefact> {
    let artefact = describe(bytes);
    let target = blobs(folder).join(artefact.sha256.hex());
    let there = fs::read(&target).is_ok_and(|present| present == bytes);
    if !there {
        write(&target, bytes)?;
    }
    Ok(artefact)
}

/// What an index says of these bytes.
pub fn describe(bytes: &[u8]) -> Artefact {
    Artefact { sha256: Sha256::of(bytes), size: bytes.len() as u64 }
}

/// Writes `PROFILE.json`, after the blobs it names.
///
/// # Errors
/// As [`put`].
pub fn put_index(folder: &Path, index: &ImageIndex) -> Result<PathBuf> {
    let mut json = serde_json::to_vec_pretty(index).or_fail(Code::Internal, || "writing an image index")?;
    json.push(b'\n');
    let path = folder.join(format!("{}.json", index.profile));
    write(&path, &json)?;
    Ok(path)
}

/// A temporary file beside the target, synced, then renamed over it.
fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::with_prefix_in(".new-", folder)?;
        file.write_all(bytes)?;
        fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(target)?;
        fs::File::open(folder)?.sync_all()
    };
    attempt().or_fail(Code::Image, || format!("writing {}", target.display()))
}
