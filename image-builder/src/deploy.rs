//! `image-builder deploy`: copies images into the folder that a boot-server serves.

use crate::store;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
    image::ImageIndex,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What a deployment did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Profiles whose index was written.
    pub profiles: Vec<String>,
    /// Bytes of the blobs that the indexes name.
    pub bytes: u64,
    /// Blobs removed because no index names them any more.
    pub pruned: usize,
}

/// Copies every image of `from` into `to`: blobs first, then the indexes by rename.
///
/// # Errors
/// `E-IMAGE` where there is no image, or a blob is missing or not what its name says; `to` then still holds
/// the images it held.
pub fn run(from: &Path, to: &Path, prune: bool) -> Result<Report> {
    let images = indexes(from)?;
    if images.is_empty() {
        return Err(Failure::new(Code::Image, format!("deploying from {}: no image there", from.display()))
            .with_remedy("build one: image-builder build --profile vm --out DIR"));
    }
    let mut report = Report::default();
    for artefact in images.iter().flat_map(ImageIndex::blobs) {
        let source = store::blobs(from).join(artefact.sha256.hex());
        let bytes = fs::read(&source).or_fail(Code::Image, || format!("reading {}", source.display()))?;
        if Sha256::of(&bytes) != artefact.sha256 {
            return Err(Failure::new(
                Code::Image,
                format!("reading {}: damaged, its hash is another", source.display()),
            )
            .with_remedy("build the image again"));
        }
        store::put(to, &bytes)?;
        report.bytes += artefact.size;
    }
    for index in &images {
        store::put_index(to, index)?;
        report.profiles.push(index.profile.to_string());
    }
    if prune {
        report.pruned = prune_blobs(to)?;
    }
    Ok(report)
}

/// The indexes of a folder, by the name of their file.
fn indexes(folder: &Path) -> Result<Vec<ImageIndex>> {
    let entries = fs::read_dir(folder).or_fail(Code::Image, || format!("reading {}", folder.display()))?;
    let json = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "json") && path.is_file();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(json).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).or_fail(Code::Image, || format!("reading {}", path.display()))?;
        protocol::parse::json(&path.display().to_string(), &bytes)
    };
    paths.iter().map(read).collect()
}

fn prune_blobs(folder: &Path) -> Result<usize> {
    let images = indexes(folder)?;
    let named: BTreeSet<String> =
        images.iter().flat_map(ImageIndex::blobs).map(|artefact| artefact.sha256.hex()).collect();
    let blobs = store::blobs(folder);
    let entries = fs::read_dir(&blobs).or_fail(Code::Image, || format!("reading {}", blobs.display()))?;
    let mut pruned = 0;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Whatever else lies there is not ours to remove.
        if name.parse::<Sha256>().is_ok() && !named.contains(&name) {
            fs::remove_file(entry.path()).or_fail(Code::Image, || format!("removing {}", entry.path().display()))?;
            pruned += 1;
        }
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::overlay::ToolSet;
    use std::collections::BTreeMap;

    /// An image with this initrd and an overlay.
    fn image(folder: &Path, initrd: &[u8]) -> Sha256 {
        let artefact = store::put(folder, initrd).unwrap();
        let sha256 = artefact.sha256;
        let overlay = store::put(folder, &[initrd, b" tools"].concat()).unwrap();
        let index = ImageIndex {
            format: 1,
            profile: "vm".parse().unwrap(),
            kernel: "6.1".into(),
            agent_version: "1".into(),
            ca_spki_sha256: vec![],
            artefacts: BTreeMap::from([("initrd".to_owned(), artefact)]),
            overlays: BTreeMap::from([(ToolSet::Lvm, overlay)]),
        };
        store::put_index(folder, &index).unwrap();
        sha256
    }

    #[test]
    fn a_deployment_replaces_the_image_and_prunes_when_told() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = image(from.path(), b"old");
        run(from.path(), to.path(), false).unwrap();
        let new = image(from.path(), b"new");
        let report = run(from.path(), to.path(), false).unwrap();
        assert_eq!(report, Report { profiles: vec!["vm".into()], bytes: 12, pruned: 0 });
        let blob = |sha256: Sha256| to.path().join("blobs").join(sha256.hex());
        let overlay = |initrd: &str| blob(Sha256::of(format!("{initrd} tools").as_bytes()));
        assert!(blob(old).exists() && blob(new).exists() && overlay("new").exists());
        assert_eq!(run(from.path(), to.path(), true).unwrap().pruned, 2);
        assert!(!blob(old).exists() && !overlay("old").exists() && blob(new).exists() && overlay("new").exists());
    }

    #[test]
    fn a_damaged_blob_leaves_what_was_deployed_as_it_was() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        image(from.path(), b"good");
        run(from.path(), to.path(), false).unwrap();
        let before = fs::read(to.path().join("vm.json")).unwrap();
        let sha256 = image(from.path(), b"newer");
        fs::write(from.path().join("blobs").join(sha256.hex()), b"other").unwrap();
        assert_eq!(run(from.path(), to.path(), true).unwrap_err().code, Code::Image);
        assert_eq!(fs::read(to.path().join("vm.json")).unwrap(), before);
    }

    #[test]
    fn a_folder_without_images_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(folder.path(), folder.path(), false).unwrap_err().code, Code::Image);
    }
}
