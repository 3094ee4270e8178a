//! `nix-cache-info`, as it is served: the operator's own file or ours, and where the closure index is.

use super::{Folder, Member};
use protocol::failure::Result;
use std::io::Read;

/// Where a client finds all narinfos of a closure in one answer. Nix skips lines that it does not know.
pub const INDEX: &str = "ClosureIndex: /v1/closure";
/// Where the folder has none of its own. A local cache comes before the public one, which has 40.
const DEFAULT: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
/// A file of a few lines.
const MAX_BYTES: u64 = 4096;

/// The text that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info(pub String);

impl Info {
    /// Reads it anew. Blocks.
    pub fn read(folder: &Folder) -> Result<Self> {
        let mut text = String::new();
        let read = folder.open(Member::Info)?.map(|(file, _)| file.take(MAX_BYTES).read_to_string(&mut text));
        Ok(Self::with_index(if matches!(read, Some(Ok(1..))) { &text } else { DEFAULT }))
    }

    fn with_index(text: &str) -> Self {
        Self(format!("{}\n{INDEX}\n", text.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_a_line_of_its_own() {
        for text in ["StoreDir: /nix/store", "StoreDir: /nix/store\n"] {
            assert_eq!(Info::with_index(text).0, "StoreDir: /nix/store\nClosureIndex: /v1/closure\n");
        }
    }
}
