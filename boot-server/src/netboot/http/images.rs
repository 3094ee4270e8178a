//! `/boot/nixos/PROFILE/FILE`: kernel and initrd, by the index of the profile. `/v1/artefacts/SHA256`: whatever the
//! deployed images name, by hash.

use super::reply::{self, Refusal};
use crate::base::files;
use axum::{http::HeaderMap, response::Response};
use protocol::{Code, Failure, artefact::Artefact, encoding::Sha256, image::ImageIndex, names::NodeName};
use std::{
    ffi::OsString,
    io::{self, Read},
    path::{Path, PathBuf},
};

const MAX_INDEX: u64 = 1 << 20;

/// The folder that image-builder deploys to. Read anew for each request: a deployment takes effect at
/// once, and the index is small.
#[derive(Debug, Clone)]
pub struct Images {
    /// `[images] dir`.
    pub folder: PathBuf,
    /// Serves the profiles that have no image of their own.
    pub default_profile: NodeName,
}

impl Images {
    /// The image for a profile: its own, else the default one.
    pub fn image_of(&self, profile: &NodeName) -> NodeName {
        let own = files::open_below(&self.folder, &[&index_name(profile)]).is_ok();
        if own { profile.clone() } else { self.default_profile.clone() }
    }

    /// Answers a request for a file of an image.
    ///
    /// # Errors
    /// 404 for what is not in the index; 500 where index and blobs do not fit each other.
    pub fn serve(&self, request: &HeaderMap, profile: &str, name: &str) -> Result<Response, Refusal> {
        let unknown = |what: String| {
            let remedy = "build and deploy it: image-builder build --profile NAME, image-builder deploy";
            Refusal::not_found(Failure::new(Code::NotFound, what).with_remedy(remedy))
        };
        let profile: NodeName = profile.parse().map_err(|bad| unknown(format!("reading a profile's name: {bad}")))?;
        let index = match read_index(&self.folder, &profile) {
            Ok(index) => index,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unknown(format!("there is no image for profile {profile}")));
            }
            Err(error) => {
                let activity = format!("reading the image index of profile {profile}");
                return Err(Refusal::internal(Failure::from_error(Code::Image, activity, &error)));
            }
        };
        let artefact = index
            .artefacts
            .get(name)
            .ok_or_else(|| unknown(format!("the image of profile {profile} has no such file")))?;
        open_blob(&self.folder, request, artefact)
    }
}

/// Answers a request for an artefact of any deployed image. The hash is looked for in the indexes: what no image names
/// is not served, whether or not it still lies in the folder.
///
/// # Errors
/// 404 for what no image names; 500 where an index cannot be read, or does not fit the blobs.
pub fn artefact(folder: &Path, request: &HeaderMap, hash: &str) -> Result<Response, Refusal> {
    let unknown = || {
        let cause = "looking for an artefact: no deployed image names this hash";
        let remedy = "deploy the image it belongs to; a machine that runs an older image must boot the present one";
        Refusal::not_found(Failure::new(Code::NotFound, cause).with_remedy(remedy))
    };
    let wanted: Sha256 = hash.parse().map_err(|_| unknown())?;
    let unreadable = |error: &io::Error| {
        Refusal::internal(Failure::from_error(
            Code::Image,
            format!("reading the images of {}", folder.display()),
            error,
        ))
    };
    for profile in profiles(folder).map_err(|error| unreadable(&error))? {
        let index = match read_index(folder, &profile) {
            Ok(index) => index,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        if let Some(artefact) = index.blobs().find(|artefact| artefact.sha256 == wanted) {
            return open_blob(folder, request, artefact);
        }
    }
    Err(unknown())
}

/// The indexes of what is deployed, of those that can be read.
pub fn indexes(folder: &Path) -> Vec<ImageIndex> {
    profiles(folder).into_iter().flatten().filter_map(|profile| read_index(folder, &profile).ok()).collect()
}

/// The profiles that have an index. Other files of the folder are none of ours.
fn profiles(folder: &Path) -> io::Result<Vec<NodeName>> {
    let names = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok()).collect())
}

fn open_blob(folder: &Path, request: &HeaderMap, artefact: &Artefact) -> Result<Response, Refusal> {
    let hash = artefact.sha256.to_string();
    let damaged = |error: &io::Error| {
        Refusal::internal(
            Failure::from_error(Code::Image, format!("opening blob {hash}"), error)
                .with_remedy("deploy the image again: image-builder deploy"),
        )
    };
    let (file, metadata) = files::open_below(folder, &["blobs", &hash]).map_err(|error| damaged(&error))?;
    if metadata.len() != artefact.size {
        let other = format!("it has {} bytes instead of {}", metadata.len(), artefact.size);
        return Err(damaged(&io::Error::other(other)));
    }
    let etag = format!("\"{hash}\"");
    Ok(reply::file(request, file, artefact.size, &etag, "application/octet-stream"))
}

fn index_name(profile: &NodeName) -> String {
    format!("{profile}.json")
}

fn read_index(folder: &Path, profile: &NodeName) -> io::Result<ImageIndex> {
    let (file, _) = files::open_below(folder, &[&index_name(profile)])?;
    let mut text = Vec::new();
    file.take(MAX_INDEX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}
