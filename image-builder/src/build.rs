//! `image-builder build`: kernel, agent, trust anchors, modules and tools become a bzImage and an initrd.

use crate::{
    command, cpio, kernel, libraries, modules, profile, store,
    tree::{Node, Tree},
    trust,
};
use protocol::{
    Code, Timestamp,
    failure::{OrFail, Result},
    image::{Artefact, ImageIndex},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// The best that the kernel's own decompressor takes without a window above 8 MiB.
const ZSTD_LEVEL: i32 = 19;

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

    let mut tree = skeleton();
    libraries::add_program(&mut tree, &request.agent, "init")?;
    tree.file("etc/centra/trust.json", trust::read(&request.trust, request.build_time)?);
    let included = modules::add(&mut tree, &kernel, profile, &request.extra_modules)?;
    add_tools(&mut tree, profile.tools, &request.extra_tools)?;
    if let Some(path) = &request.ca_bundle {
        let bundle = std::fs::read(path).or_fail(Code::Image, || format!("reading {}", path.display()))?;
        tree.file("etc/ssl/certs/ca-certificates.crt", bundle);
    }

    let initrd = compress(&cpio::write(&tree)?)?;
    let artefacts = BTreeMap::from([
        ("bzImage".to_owned(), store::put(&request.out, &kernel.image)?),
        ("initrd".to_owned(), store::put(&request.out, &initrd)?),
    ]);
    let image = index(profile.name, kernel.release, agent_version, artefacts)?;
    let index = store::put_index(&request.out, &image)?;
    let parts = parts(&tree);
    Ok(Report { index, image, parts, modules: included.files, absent_modules: included.absent })
}

fn index(
    profile: &str,
    kernel: String,
    agent_version: String,
    artefacts: BTreeMap<String, Artefact>,
) -> Result<ImageIndex> {
    let profile = profile.parse().or_fail(Code::Image, || "naming the profile")?;
    Ok(ImageIndex { format: 1, profile, kernel, agent_version, artefacts })
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
    zstd::bulk::compress(archive, ZSTD_LEVEL).or_fail(Code::Image, || "compressing the initrd")
}

fn parts(tree: &Tree) -> BTreeMap<&'static str, u64> {
    let all = tree.bytes_below("");
    let (agent, modules) = (tree.bytes_below("init"), tree.bytes_below("lib/modules/"));
    BTreeMap::from([("agent", agent), ("modules", modules), ("tools", all - agent - modules)])
}

#[cfg(test)]
mod tests;
