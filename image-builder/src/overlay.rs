//! Tool overlays: the content of a tool set as a tree, and the blob that an agent merges into `/`.

use crate::{
    libraries,
    modules::Modules,
    tree::{Node, Tree},
};
use nix_store::nar::{Sink, Writer};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    overlay::ToolSet,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
};

/// A tool set as this machine and the kernel have it.
#[derive(Debug)]
pub struct Content<'a> {
    /// Programs, libraries, modules and settings, whether or not the image has them as well.
    pub tree: Tree,
    /// The names of its modules.
    pub modules: BTreeSet<&'a str>,
}

/// Gathers a tool set.
///
/// # Errors
/// `E-IMAGE` where this machine lacks one of its programs or the kernel one of its modules.
pub fn gather(set: ToolSet, modules: &Modules) -> Result<Content<'_>> {
    let install = |failure: Failure| {
        failure.with_remedy(format!("install what the {set} tools come with (Debian: {})", set.packages()))
    };
    let mut tree = Tree::default();
    let programs = programs(set).map_err(install)?;
    add_programs(&mut tree, &programs)?;
    for (name, program) in opened_libraries(set).iter().flat_map(|name| programs.values().map(move |path| (name, path)))
    {
        libraries::add_opened_library(&mut tree, name, program)?;
    }
    let chosen = modules.choose(set.modules().iter().copied(), set.optional_modules())?;
    modules.put(&mut tree, &chosen.keep)?;
    if set == ToolSet::Lvm {
        tree.file("etc/lvm/lvm.conf", lvm_settings(&programs));
    }
    Ok(Content { tree, modules: chosen.keep })
}

/// Where the programs are, by name.
fn programs(set: ToolSet) -> Result<BTreeMap<&'static str, PathBuf>> {
    let mut found = BTreeMap::new();
    for name in set.programs() {
        found.insert(*name, libraries::find_tool(name)?);
    }
    let helpers = set.helpers().iter().filter_map(|name| Some((*name, libraries::find_tool(name).ok()?)));
    found.extend(helpers);
    Ok(found)
}

/// One file that goes by several names is put once; it looks at the name that it is called by.
fn add_programs(tree: &mut Tree, programs: &BTreeMap<&str, PathBuf>) -> Result<()> {
    let mut names: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (name, path) in programs {
        let real = path.canonicalize().or_fail(Code::Image, || format!("following {}", path.display()))?;
        match names.get(&real) {
            Some(first) => tree.add(&format!("bin/{name}"), Node::Symlink((*first).to_owned())),
            None => {
                libraries::add_program(tree, path, &format!("bin/{name}"))?;
                names.insert(real, name);
            }
        }
    }
    Ok(())
}

/// Libraries that no program names: glibc ends a thread with the help of libgcc, and aborts where it is not there.
fn opened_libraries(set: ToolSet) -> &'static [&'static str] {
    match set {
        ToolSet::Luks | ToolSet::Bcachefs | ToolSet::Zfs => &["libgcc_s.so.1"],
        _ => &[],
    }
}

/// The initrd has neither udev nor daemons, and its programs are in /bin.
fn lvm_settings(programs: &BTreeMap<&str, PathBuf>) -> String {
    let check = |name: &str| if programs.contains_key(name) { format!("/bin/{name}") } else { String::new() };
    format!(
        "devices {{\n\tobtain_device_list_from_udev = 0\n\tuse_devicesfile = 0\n}}\n\
         activation {{\n\tmonitoring = 0\n\tudev_rules = 0\n\tudev_sync = 0\n}}\n\
         backup {{\n\tarchive = 0\n}}\n\
         global {{\n\tcache_check_executable = \"{}\"\n\tevent_activation = 0\n\
         \tthin_check_executable = \"{}\"\n\tuse_lvmpolld = 0\n}}\n",
        check("cache_check"),
        check("thin_check")
    )
}

/// The NAR of a tree.
///
/// # Errors
/// `E-INTERNAL` for a node that a NAR cannot hold.
pub fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let mut children = Children::new();
    for (path, node) in tree.iter() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        children.entry(folder).or_default().push((name, path, node));
    }
    write(&mut children).or_fail(Code::Internal, || "archiving an overlay")
}

/// By folder, what is in it: name, path, node.
type Children<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str, &'a Node)>>;

fn write(children: &mut Children<'_>) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new())?;
    writer.enter(b"")?;
    write_folder(&mut writer, children, "")?;
    writer.leave()?;
    Ok(writer.into_inner())
}

/// As deep as the paths are, which this program made.
fn write_folder(writer: &mut Writer<Vec<u8>>, children: &mut Children<'_>, folder: &str) -> io::Result<()> {
    let mut entries = children.remove(folder).unwrap_or_default();
    // A path's order is not that of its names: `a-b` stands before `a/c`.
    entries.sort_unstable_by_key(|(name, ..)| *name);
    for (name, path, node) in entries {
        let name = name.as_bytes();
        match node {
            Node::Directory(_) => {
                writer.enter(name)?;
                write_folder(writer, children, path)?;
                writer.leave()?;
            }
            Node::File(mode, content) => {
                writer.open(name, mode & 0o100 != 0, content.len() as u64)?;
                writer.write(content)?;
                writer.close()?;
            }
            Node::Symlink(target) => writer.symlink(name, target.as_bytes())?,
            Node::Device(..) => return Err(io::Error::other(format!("{path} is a device"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Listing(Vec<String>, Vec<String>);

    impl Listing {
        fn note(&mut self, name: &[u8], what: &str) {
            let name = String::from_utf8_lossy(name);
            let path: Vec<&str> = self.0.iter().map(String::as_str).chain([&*name]).collect();
            self.1.push(format!("{}{what}", path[1..].join("/")));
        }
    }

    impl Sink for Listing {
        fn enter(&mut self, name: &[u8]) -> io::Result<()> {
            self.0.push(String::from_utf8_lossy(name).into_owned());
            Ok(())
        }
        fn leave(&mut self) -> io::Result<()> {
            self.0.pop();
            Ok(())
        }
        fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
            self.note(name, &format!(" -> {}", String::from_utf8_lossy(target)));
            Ok(())
        }
        fn open(&mut self, name: &[u8], executable: bool, size: u64) -> io::Result<()> {
            self.note(name, &format!(" {size}{}", if executable { " x" } else { "" }));
            Ok(())
        }
        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn close(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_strict_reader_takes_the_archive_of_a_tree() {
        let mut tree = Tree::default();
        tree.program("bin/mdadm", b"12345".to_vec());
        tree.file("bin-2/x", "");
        tree.add("bin/mdmon", Node::Symlink("mdadm".into()));
        tree.file("lib/a/b", "123456789");
        let mut listing = Listing::default();
        nix_store::nar::unpack(&archive(&tree).unwrap()[..], &mut listing).unwrap();
        assert_eq!(listing.1, ["bin/mdadm 5 x", "bin/mdmon -> mdadm", "bin-2/x 0", "lib/a/b 9"]);
        tree.add("dev/null", Node::Device(0o666, 1, 3));
        assert!(archive(&tree).is_err());
    }

    #[test]
    fn a_file_with_several_names_is_put_once() {
        let folder = tempfile::tempdir().unwrap();
        let second = folder.path().join("second");
        std::os::unix::fs::symlink("/bin/true", &second).unwrap();
        let mut tree = Tree::default();
        add_programs(&mut tree, &BTreeMap::from([("a", "/bin/true".into()), ("b", second)])).unwrap();
        let find = |path: &str| tree.iter().find(|(found, _)| *found == path).unwrap().1;
        assert!(matches!(find("bin/a"), Node::File(..)));
        assert_eq!(*find("bin/b"), Node::Symlink("a".into()));
    }

    #[test]
    fn lvm_checks_a_pool_with_the_program_that_is_there() {
        let with = lvm_settings(&BTreeMap::from([("thin_check", PathBuf::new())]));
        assert!(with.contains("\tthin_check_executable = \"/bin/thin_check\"\n"), "{with}");
        assert!(with.contains("\tcache_check_executable = \"\"\n"), "{with}");
    }
}
