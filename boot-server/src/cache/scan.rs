//! What is in the folder, all of it. Blocks.

use super::{Entry, Folder, Member, collect::NarFile, member};
use nix_store::signature;
use protocol::{
    Code, Timestamp,
    failure::{OrFail, Result},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{Metadata, ReadDir},
    io,
    path::Path,
};

impl Folder {
    /// The hash parts of all narinfos.
    pub fn hashes(&self) -> Result<Vec<String>> {
        let hash = |name: String| name.strip_suffix(".narinfo").filter(|hash| member::is_hash(hash)).map(str::to_owned);
        Ok(names(self.path())?.into_iter().filter_map(hash).collect())
    }

    /// The NAR files by name. Links and folders are left out: they are not served either.
    pub fn nars(&self) -> Result<BTreeMap<String, NarFile>> {
        let mut nars = BTreeMap::new();
        for name in names(&self.path().join("nar"))? {
            if let Some(metadata) = self.nar_metadata(&name)? {
                nars.insert(name, NarFile { size: metadata.len(), uploaded: time_of(&metadata) });
            }
        }
        Ok(nars)
    }

    fn nar_metadata(&self, name: &str) -> Result<Option<Metadata>> {
        Ok(self.open(Member::Nar(name))?.map(|(_, metadata)| metadata))
    }

    /// What the graph holds of a narinfo.
    ///
    /// # Errors
    /// As [`Folder::narinfo`].
    pub fn entry(&self, hash: &str) -> Result<Option<Entry>> {
        let Some((_, metadata)) = self.open(Member::NarInfo(&format!("{hash}.narinfo")))? else { return Ok(None) };
        let Some((_, mut info)) = self.narinfo(hash)? else { return Ok(None) };
        info.references.remove(&info.path);
        Ok(Some(Entry {
            signed: signature::is_there(&info),
            path: info.path,
            references: info.references,
            nar: info.url,
            nar_size: info.nar_size,
            file_size: info.file_size.unwrap_or(0),
            uploaded: time_of(&metadata),
        }))
    }
}

fn time_of(metadata: &Metadata) -> Timestamp {
    metadata.modified().map_or(Timestamp::UNIX_EPOCH, Timestamp::from)
}

/// The names in a folder; none where there is no folder.
fn names(path: &Path) -> Result<BTreeSet<String>> {
    let read = |entries: ReadDir| -> io::Result<BTreeSet<String>> {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    match std::fs::read_dir(path).and_then(read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        other => other.or_fail(Code::System, || format!("listing {}", path.display())),
    }
}
