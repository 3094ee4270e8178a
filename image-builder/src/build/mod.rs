//! `image-builder build`: kernel, agent, trust anchors, modules and tools become a bzImage and an initrd.

use crate::{
    command, cpio, kernel, libraries,
    modules::Modules,
    overlay::{self, Content},
    profile, store,
    tree::{Node, Tree},
    trust,
};
use protocol::{
    Code, Timestamp,
    failure::{OrFail, Result},
    image::ImageIndex,
    overlay::{LIST, OverlayList, ToolSet},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The best that the kernel's own decompressor takes without a window above 8 MiB.
const ZSTD_LEVEL: i32 = 19;

/// Tool sets that are put into the image itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// These; it is an error where this machine lacks one.
    Named(BTreeSet<ToolSet>),
    /// All that this machine has.
    All,
}

impl Default for Inside {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Inside {
    fn has(&self, set: ToolSet) -> bool {
        *self == Self::All || self.is_named(set)
    }

    fn is_named(&self, set: ToolSet) -> bool {
        matches!(self, Self::Named(sets) if sets.contains(&set))
    }
}

/// What to build.
#[derive(Debug)]
pub struct Request {
    /// Name of a profile.
    pub profile: String,
    /// trust.json of the boot-server.
    pub trust: PathBuf,
    /// The agent's binary.
    pub agent: PathBuf,
    /// A bzImage; the newest of /boot where absent.
    pub kernel: Option<PathBuf>,
    /// Its modules; /lib/modules/RELEASE where absent.
    pub modules: Option<PathBuf>,
    /// Modules beyond the profile's.
    pub extra_modules: Vec<String>,
    /// Tools beyond the profile's, by name or path.
    pub extra_tools: Vec<String>,
    /// Tool sets inside; of the others there will be overlays.
    pub with: Inside,
    /// CAs for caches on the public internet, PEM.
    pub ca_bundle: Option<PathBuf>,
    /// Floor for the node's clock.
    pub build_time: Option<Timestamp>,
    /// Where blobs and index go.
    pub out: PathBuf,
}

/// What was built.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The index file.
    pub index: PathBuf,
    /// Its content.
    pub image: ImageIndex,
    /// Bytes in the initrd before compression, by part.
    pub parts: BTreeMap<&'static str, u64>,
    /// Number of modules.
    pub modules: usize,
    /// Optional modules that this kernel does not have.
    pub absent_modules: Vec<String>,
    /// Tool sets inside the image.
    pub with: BTreeSet<ToolSet>,
    /// Tool sets that there is no overlay of, and why.
    pub absent_overlays: BTreeMap<ToolSet, String>,
}

impl Report {
    /// Bytes that a machine fetches to boot.
    pub fn total(&self) -> u64 {
        self.image.artefacts.values().map(|artefact| artefact.size).sum()
    }
}

/// Builds the image.
///
/// # Errors
/// `E-IMAGE` and `E-TRUST-ANCHORS` for inputs that are missing or do not fit; nothing is written then.
pub fn run(request: &Request) -> Result<Report> {
    let profile = profile::find(&request.profile)?;
    let kernel = kernel::read(request.kernel.as_deref(), request.modules.as_deref())?;
    let agent_version = command::version_of(&request.agent)?;

    let modules = Modules::open(&kernel)?;
    let required = profile.modules.iter().copied().chain(request.extra_modules.iter().map(String::as_str));
    let chosen = modules.choose(required, profile.optional)?;
    let sets = gather(&modules, &request.with)?;

    let mut tree = skeleton();
    libraries::add_program(&mut tree, &request.agent, "init")?;
    let anchors = trust::read(&request.trust, request.build_time)?;
    let text = serde_json::to_vec(&anchors).or_fail(Code::Internal, || "writing trust.json")?;
    tree.file("etc/centra/trust.json", text);
    modules.put(&mut tree, &chosen.keep)?;
    add_tools(&mut tree, profile.tools, &request.extra_tools)?;
    if let Some(path) = &request.ca_bundle {
        let bundle = std::fs::read(path).or_fail(Code::Image, || format!("reading {}", path.display()))?;
        tree.file("etc/ssl/certs/ca-certificates.crt", bundle);
    }
    // It covers the overlays, so that the agent finds their modules once they are there.
    let indexed = sets.present.values().flat_map(|content| &content.modules).chain(&chosen.keep).copied().collect();
    modules.put_index(&mut tree, &indexed);
    let (inside, overlays): (BTreeMap<_, _>, BTreeMap<_, _>) =
        sets.present.into_iter().partition(|(set, _)| request.with.has(*set));
    let with: BTreeSet<ToolSet> = inside.keys().copied().collect();
    for content in inside.into_values() {
        tree.merge(content.tree);
    }
    let blobs = pack_overlays(overlays, &tree)?;
    let overlays: OverlayList = blobs.iter().map(|(set, bytes)| (*set, store::describe(bytes))).collect();
    tree.file(LIST, serde_json::to_vec(&overlays).or_fail(Code::Internal, || "listing the overlays")?);

    let initrd = compress(&cpio::write(&tree)?)?;
    for bytes in blobs.values() {
        store::put(&request.out, bytes)?;
    }
    let artefacts = BTreeMap::from([
        ("bzImage".to_owned(), store::put(&request.out, &kernel.image)?),
        ("initrd".to_owned(), store::put(&request.out, &initrd)?),
    ]);
    let profile = profile.name.parse().or_fail(Code::Image, || "naming the profile")?;
    let image = ImageIndex {
        format: 1,
        profile,
        kernel: kernel.release,
        agent_version,
        ca_spki_sha256: anchors.ca_spki_sha256,
        artefacts,
        overlays,
    };
    let index = store::put_index(&request.out, &image)?;
    let modules = tree.iter().filter(|(path, _)| path.ends_with(".ko")).count();
    let absent_modules = chosen.absent;
    Ok(Report { index, image, parts: parts(&tree), modules, absent_modules, with, absent_overlays: sets.absent })
}

struct Sets<'a> {
    present: BTreeMap<ToolSet, Content<'a>>,
    absent: BTreeMap<ToolSet, String>,
}

fn gather<'a>(modules: &'a Modules, with: &Inside) -> Result<Sets<'a>> {
    let mut sets = Sets { present: BTreeMap::new(), absent: BTreeMap::new() };
    for set in ToolSet::ALL {
        match overlay::gather(*set, modules) {
            Ok(content) => _ = sets.present.insert(*set, content),
            Err(failure) if with.is_named(*set) => {
                return Err(failure.context(format!("putting the {set} tools into the image")));
            }
            Err(failure) => _ = sets.absent.insert(*set, failure.cause),
        }
    }
    Ok(sets)
}

/// The blobs, of what the image does not have itself.
fn pack_overlays(overlays: BTreeMap<ToolSet, Content<'_>>, base: &Tree) -> Result<BTreeMap<ToolSet, Vec<u8>>> {
    let pack = |content: Content<'_>| compress(&overlay::archive(&content.tree.without(base))?);
    std::thread::scope(|scope| {
        let packers: Vec<_> =
            overlays.into_iter().map(|(set, content)| (set, scope.spawn(move || pack(content)))).collect();
        let join = |(set, packer): (ToolSet, std::thread::ScopedJoinHandle<'_, Result<Vec<u8>>>)| {
            let blob = packer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok((set, blob))
        };
        packers.into_iter().map(join).collect()
    })
}

/// The folders and nodes that must be there before the agent has mounted anything.
fn skeleton() -> Tree {
    let mut tree = Tree::default();
    for folder in ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys", "usr", "var"] {
        tree.add(folder, Node::Directory(0o755));
    }
    tree.add("tmp", Node::Directory(0o1777));
    // The kernel opens it as the standard files of PID 1, before devtmpfs is mounted.
    tree.add("dev/console", Node::Device(0o600, 5, 1));
    tree.add("dev/null", Node::Device(0o666, 1, 3));
    // The kernel asks this program for file systems and ciphers that are modules; the agent answers to the name.
    tree.add("sbin/modprobe", Node::Symlink("/init".to_owned()));
    tree
}

fn add_tools(tree: &mut Tree, tools: &[&str], extra: &[String]) -> Result<()> {
    for tool in tools.iter().copied().chain(extra.iter().map(String::as_str)) {
        let name = tool.rsplit('/').next().unwrap_or(tool);
        libraries::add_program(tree, &libraries::find_tool(tool)?, &format!("bin/{name}"))?;
    }
    // Without it mke2fs warns and uses its own defaults, which differ from the distribution's.
    if let Ok(settings) = std::fs::read("/etc/mke2fs.conf") {
        tree.file("etc/mke2fs.conf", settings);
    }
    Ok(())
}

fn compress(archive: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(archive, ZSTD_LEVEL).or_fail(Code::Image, || "compressing an archive")
}

fn parts(tree: &Tree) -> BTreeMap<&'static str, u64> {
    let all = tree.bytes_below("");
    let (agent, modules) = (tree.bytes_below("init"), tree.bytes_below("lib/modules/"));
    BTreeMap::from([("agent", agent), ("modules", modules), ("tools", all - agent - modules)])
}

#[cfg(test)]
mod tests;
