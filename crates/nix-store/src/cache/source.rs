//! Where a cache's files come from: the network or a folder.

use super::{
    folder,
    stream::{From, Opened},
    web::Web,
};
use crate::{fault::Fault, retry::Patience};
use std::path::PathBuf;

/// Where files come from.
pub enum Source {
    /// http or https.
    Web(Box<Web>),
    /// A folder.
    Folder(PathBuf),
}

impl Source {
    /// Begins to get the file `name`, which is relative to the cache, or to its origin after a slash.
    ///
    /// # Errors
    /// A fault that says whether another try can help.
    pub async fn open(&self, name: &str, from: Option<&From>, patience: &Patience) -> Result<Opened, Fault> {
        match self {
            Self::Web(web) => web.open(name, from, patience).await,
            Self::Folder(root) => folder::open(root.join(name), from.map_or(0, |from| from.position), patience).await,
        }
    }

    /// The file as it may be printed.
    pub fn place(&self, name: &str) -> String {
        match self {
            Self::Web(web) => web.place(name),
            Self::Folder(root) => root.join(name).display().to_string(),
        }
    }
}
