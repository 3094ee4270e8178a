//! Chooses the modules of an image and puts them into its tree.

use crate::{kernel::Kernel, profile::Profile, tree::Tree};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    modules::{IndexFiles, ModuleIndex},
};
use std::{collections::BTreeSet, io::Read, path::Path};

/// No module of a kernel comes near; a compressed one that claims more is damaged.
const LARGEST_MODULE: u64 = 64 << 20;

/// What was put into the tree.
#[derive(Debug, Default)]
pub struct Included {
    /// Modules that are files.
    pub files: usize,
    /// Optional modules that this kernel does not have.
    pub absent: Vec<String>,
}

/// Puts the modules of a profile, with all that they need and a reduced index, under /lib/modules.
///
/// # Errors
/// `E-IMAGE` for a module that must be there and is not, and for one that cannot be read.
pub fn add(tree: &mut Tree, kernel: &Kernel, profile: &Profile, extra: &[String]) -> Result<Included> {
    let text = |name: &str| read_index(&kernel.modules, name);
    let (dep, alias, softdep, builtin) =
        (text("modules.dep")?, text("modules.alias")?, text("modules.softdep")?, text("modules.builtin")?);
    let index = ModuleIndex::parse(IndexFiles { dep: &dep, alias: &alias, softdep: &softdep, builtin: &builtin });
    let required = profile.modules.iter().copied().chain(extra.iter().map(String::as_str));
    let chosen = choose(&index, required, profile.optional)?;

    let folder = format!("lib/modules/{}", kernel.release);
    for name in &chosen.keep {
        let path = &index.modules()[*name].path;
        let bytes = read_module(&kernel.modules.join(path))?;
        tree.file(&format!("{folder}/{}", uncompressed(path)), bytes);
    }
    let files = index.clone().with_paths(uncompressed).reduced(&chosen.keep);
    tree.file(&format!("{folder}/modules.dep"), files.dep);
    tree.file(&format!("{folder}/modules.alias"), files.alias);
    tree.file(&format!("{folder}/modules.softdep"), files.softdep);
    tree.file(&format!("{folder}/modules.builtin"), builtin);
    Ok(Included { files: chosen.keep.len(), absent: chosen.absent })
}

/// An index file; one that depmod did not write is empty, but without modules.dep there is nothing to choose from.
fn read_index(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && name != "modules.dep" => Ok(String::new()),
        other => other.or_fail(Code::Image, || format!("reading {}", path.display())),
    }
}

#[derive(Debug)]
struct Chosen<'a> {
    keep: BTreeSet<&'a str>,
    absent: Vec<String>,
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
