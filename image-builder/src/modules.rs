//! Chooses the modules of an image and puts them into its tree.

use crate::{kernel::Kernel, tree::Tree};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    modules::{IndexFiles, ModuleIndex},
};
use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

/// No module of a kernel comes near; a compressed one that claims more is damaged.
const LARGEST_MODULE: u64 = 64 << 20;

/// The modules of a kernel.
pub struct Modules {
    index: ModuleIndex,
    /// modules.builtin as depmod wrote it.
    builtin: String,
    /// On the build machine.
    source: PathBuf,
    /// In the image.
    target: String,
}

/// Modules by name, with all that they need.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// Those that are files.
    pub keep: BTreeSet<&'a str>,
    /// Optional ones that this kernel does not have.
    pub absent: Vec<String>,
}

impl Modules {
    /// Reads the index of the kernel's modules.
    ///
    /// # Errors
    /// `E-IMAGE` where it cannot be read.
    pub fn open(kernel: &Kernel) -> Result<Self> {
        let text = |name: &str| read_index(&kernel.modules, name);
        let (dep, alias, softdep, builtin) =
            (text("modules.dep")?, text("modules.alias")?, text("modules.softdep")?, text("modules.builtin")?);
        let index = ModuleIndex::parse(IndexFiles { dep: &dep, alias: &alias, softdep: &softdep, builtin: &builtin });
        let target = format!("lib/modules/{}", kernel.release);
        Ok(Self { index, builtin, source: kernel.modules.clone(), target })
    }

    /// Chooses modules with all that they need.
    ///
    /// # Errors
    /// `E-IMAGE` for a required one that is neither a file nor built in.
    pub fn choose<'a>(&'a self, required: impl Iterator<Item = &'a str>, optional: &[&str]) -> Result<Chosen<'a>> {
        choose(&self.index, required, optional)
    }

    /// Puts the files of these modules into a tree.
    ///
    /// # Errors
    /// `E-IMAGE` for one that cannot be read.
    pub fn put(&self, tree: &mut Tree, keep: &BTreeSet<&str>) -> Result<()> {
        for name in keep {
            let path = &self.index.modules()[*name].path;
            let bytes = read_module(&self.source.join(path))?;
            tree.file(&format!("{}/{}", self.target, uncompressed(path)), bytes);
        }
        Ok(())
    }

    /// Puts the index into a tree, reduced to these modules.
    pub fn put_index(&self, tree: &mut Tree, keep: &BTreeSet<&str>) {
        let files = self.index.clone().with_paths(uncompressed).reduced(keep);
        let mut put = |name: &str, text: &str| tree.file(&format!("{}/{name}", self.target), text);
        put("modules.dep", &files.dep);
        put("modules.alias", &files.alias);
        put("modules.softdep", &files.softdep);
        put("modules.builtin", &self.builtin);
    }
}

/// An index file; one that depmod did not write is empty, but without modules.dep there is nothing to choose from.
fn read_index(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && name != "modules.dep" => Ok(String::new()),
        other => other.or_fail(Code::Image, || format!("reading {}", path.display())),
    }
}

fn choose<'a>(
    index: &'a ModuleIndex,
    required: impl Iterator<Item = &'a str>,
    optional: &[&str],
) -> Result<Chosen<'a>> {
    let mut names = Vec::new();
    for module in required {
        let found = index.resolve(module);
        if found.is_empty() && !index.is_builtin(module) {
            return Err(Failure::new(Code::Image, format!("choosing modules: this kernel has no {module}"))
                .with_remedy("take a kernel that has it, such as Debian's linux-image-amd64"));
        }
        names.extend(found);
    }
    let mut absent = Vec::new();
    for module in optional {
        let found = index.resolve(module);
        if found.is_empty() && !index.is_builtin(module) {
            absent.push((*module).to_owned());
        }
        names.extend(found);
    }
    let order = index.load_order(&names).or_fail(Code::Image, || "following the dependencies of the modules")?;
    Ok(Chosen { keep: order.into_iter().collect(), absent })
}

/// Modules are stored plain: the archive is compressed as a whole, which is smaller.
fn uncompressed(path: &str) -> String {
    let plain = [".xz", ".zst"].iter().find_map(|suffix| path.strip_suffix(suffix));
    plain.unwrap_or(path).to_owned()
}

fn read_module(path: &Path) -> Result<Vec<u8>> {
    let activity = || format!("reading the module {}", path.display());
    let file = std::fs::File::open(path).or_fail(Code::Image, activity)?;
    let mut bytes = Vec::new();
    let read = match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("xz") => liblzma::read::XzDecoder::new(file).take(LARGEST_MODULE).read_to_end(&mut bytes),
        Some("zst") => {
            zstd::Decoder::new(file).and_then(|decoder| decoder.take(LARGEST_MODULE).read_to_end(&mut bytes))
        }
        _ => file.take(LARGEST_MODULE).read_to_end(&mut bytes),
    };
    read.or_fail(Code::Image, activity)?;
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Failure::new(Code::Image, format!("{}: not a kernel module", activity())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ModuleIndex {
        ModuleIndex::parse(IndexFiles {
            dep: "k/ext4.ko.xz: k/jbd2.ko.xz\nk/jbd2.ko.xz:\nk/e1000.ko:\n",
            builtin: "k/nvme.ko\n",
            ..IndexFiles::default()
        })
    }

    #[test]
    fn a_required_module_comes_with_its_dependencies_or_is_built_in() {
        let index = index();
        let chosen = choose(&index, ["ext4", "nvme"].into_iter(), &["e1000", "vmxnet3"]).unwrap();
        assert_eq!(chosen.keep, BTreeSet::from(["ext4", "jbd2", "e1000"]));
        assert_eq!(chosen.absent, ["vmxnet3"]);
    }

    #[test]
    fn a_required_module_that_is_missing_is_named() {
        let failure = choose(&index(), ["zfs"].into_iter(), &[]).unwrap_err();
        assert_eq!(failure.code, Code::Image);
        assert!(failure.cause.contains("zfs"), "{failure}");
    }

    #[test]
    fn a_compressed_module_is_stored_plain() {
        let folder = tempfile::tempdir().unwrap();
        let module = b"\x7fELF and so on";
        let zst = folder.path().join("a.ko.zst");
        std::fs::write(&zst, zstd::encode_all(&module[..], 3).unwrap()).unwrap();
        assert_eq!(read_module(&zst).unwrap(), module);
        let xz = folder.path().join("a.ko.xz");
        let mut encoder = liblzma::read::XzEncoder::new(&module[..], 6);
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        std::fs::write(&xz, bytes).unwrap();
        assert_eq!(read_module(&xz).unwrap(), module);
        assert_eq!(uncompressed("k/a.ko.zst"), "k/a.ko");
        std::fs::write(&xz, b"junk").unwrap();
        assert_eq!(read_module(&xz).unwrap_err().code, Code::Image);
    }
}
