//! Bounded reads of small kernel files that may be missing, binary or full of blanks.

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// No attribute of the kernel is larger; a captured tree may hold anything.
const LARGEST: u64 = 64 << 10;

/// More entries than any machine has devices of one kind.
const MOST_ENTRIES: usize = 10_000;

/// A folder of attributes.
#[derive(Debug, Clone)]
pub struct Dir(PathBuf);

impl Dir {
    /// The folder at a path, whether it is there or not.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder below.
    pub fn join(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether something of that name is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// The content of an attribute; nothing where it cannot be read, as `carrier` of a card that is down.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.0.join(name);
        // A pipe in a captured tree would block for ever.
        fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mut bytes = Vec::new();
        fs::File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// An attribute as text on one line, without blanks at its ends; nothing where it is empty.
    pub fn text(&self, name: &str) -> Option<String> {
        clean(&self.bytes(name)?)
    }

    /// An attribute that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// An attribute that is 1.
    pub fn flag(&self, name: &str) -> bool {
        self.number(name) == Some(1)
    }

    /// The folder a link leads to.
    pub fn follow(&self, link: &str) -> Option<Dir> {
        self.0.join(link).canonicalize().ok().map(Dir)
    }

    /// The last part of what a link says, such as the driver's name, whether its target is there or not.
    pub fn link_name(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.0.join(link)).ok()?;
        target.file_name().map(OsStr::to_string_lossy).map(std::borrow::Cow::into_owned)
    }

    /// The folders (and links to folders) below, sorted by name.
    pub fn entries(&self) -> Vec<Dir> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut found: Vec<Dir> = entries.flatten().take(MOST_ENTRIES).map(|entry| Dir(entry.path())).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// Text of a device: lossily decoded, control characters and runs of blanks as one blank.
pub fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padding_and_control_characters_are_dropped() {
        assert_eq!(clean(b"  QEMU\t HARDDISK \0\0\n").as_deref(), Some("QEMU HARDDISK"));
        assert_eq!(clean(b" \n"), None);
        assert_eq!(clean(b"\xff\xfeX").as_deref(), Some("\u{fffd}\u{fffd}X"));
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_clean_line(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(line) = clean(&bytes) {
                prop_assert!(!line.contains(char::is_control));
                prop_assert_eq!(line.trim(), line.as_str());
            }
        }
    }
}
