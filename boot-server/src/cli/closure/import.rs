//! `boot-server closure import`: copies closures from another cache into the server's.

use super::{
    Format,
    pack::{self, Packed, Zstd},
    print::{self, Imported},
    progress::Progress,
    queue::Queue,
    source::Source,
};
use crate::cli::client::{Client, Target};
use nix_store::{
    cache::Netrc,
    narinfo::NarInfo,
    signature::{self, PublicKey},
};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::StorePath,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// Paths that are copied at once.
const PATHS: usize = 4;
/// Questions that are asked at once.
const QUESTIONS: usize = 16;
/// The slowest network and server that are waited for, bytes a second.
const SLOWEST: u64 = 1 << 20;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The cache to copy from: a folder, such as nix copy --to file://DIR makes it, or a URL
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// Store paths; each comes with all that it refers to
    #[arg(value_name = "STOREPATH", required = true)]
    paths: Vec<StorePath>,
    /// Compress anew what is not compressed by zstd: zstd or zstd:LEVEL (1 to 19). Signatures stay valid
    #[arg(long, value_name = "HOW")]
    recompress: Option<Zstd>,
    /// Refuse what none of these keys has signed, NAME:BASE64; repeat for more
    #[arg(long = "trusted-key", value_name = "KEY", value_parser = PublicKey::parse)]
    trusted_keys: Vec<PublicKey>,
    /// File in the format of netrc(5) with the passwords of the cache
    #[arg(long, value_name = "FILE")]
    netrc_file: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    target: Target,
}

/// Anything passes where no key is named.
fn check_signature(info: &NarInfo, keys: &[PublicKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    signature::verify(info, keys).map_err(|fault| {
        fault.failure.context("importing").with_remedy("sign it, or pass the key of who did: --trusted-key")
    })
}

/// What the copy of each path needs.
struct Copier {
    client: Client,
    source: Source,
    recompress: Option<Zstd>,
}

/// Copies what is missing. Whatever interrupts it, the cache is whole, and the next run goes on.
pub async fn run(args: Import) -> Result<()> {
    let netrc = args.netrc_file.as_deref().map_or(Ok(Netrc::default()), Netrc::read)?;
    let source = Source::open(&args.from, &netrc)?;
    let copier = Arc::new(Copier { client: args.target.client()?, source, recompress: args.recompress });
    let closure = walk(&copier, &args.paths, &args.trusted_keys).await?;
    let missing = missing(&copier, &closure).await?;
    let mut done = Imported { present: (closure.len() - missing.len()) as u64, ..Imported::default() };
    copy(&copier, &closure, &missing, &mut done).await?;
    for path in args.paths.iter().filter(|path| !missing.contains(path)) {
        copier.renew(path).await?;
    }
    print::result(args.output, &done, print::imported)
}

type Closure = BTreeMap<StorePath, NarInfo>;

/// The narinfos of everything that the paths refer to, each signed where keys are given.
async fn walk(copier: &Arc<Copier>, paths: &[StorePath], keys: &[PublicKey]) -> Result<Closure> {
    let (mut closure, mut asking) = (Closure::new(), JoinSet::new());
    let mut queue: Vec<StorePath> = paths.to_vec();
    let mut seen: BTreeSet<StorePath> = paths.iter().cloned().collect();
    loop {
        while asking.len() < QUESTIONS
            && let Some(path) = queue.pop()
        {
            let copier = copier.clone();
            asking.spawn(async move { copier.source.narinfo(&path).await });
        }
        let Some(answer) = asking.join_next().await else { return Ok(closure) };
        let info = answer.or_fail(Code::Internal, || "asking for a narinfo")??;
        check_signature(&info, keys)?;
        queue.extend(info.references.iter().filter(|path| seen.insert((*path).clone())).cloned());
        closure.insert(info.path.clone(), info);
    }
}

/// Which of them the server does not have.
async fn missing(copier: &Arc<Copier>, closure: &Closure) -> Result<Vec<StorePath>> {
    let (mut missing, mut asking, mut paths) = (Vec::new(), JoinSet::new(), closure.keys().cloned());
    loop {
        while asking.len() < QUESTIONS
            && let Some(path) = paths.next()
        {
            let copier = copier.clone();
            asking.spawn(async move { Ok::<_, Failure>((copier.client.has(&narinfo_path(&path)).await?, path)) });
        }
        let Some(answer) = asking.join_next().await else { return Ok(missing) };
        let (has, path) = answer.or_fail(Code::Internal, || "asking the server for a path")??;
        if !has {
            missing.push(path);
        }
    }
}

/// Copies them, references first.
async fn copy(copier: &Arc<Copier>, closure: &Closure, missing: &[StorePath], done: &mut Imported) -> Result<()> {
    let progress = Progress::new("imported", "paths");
    let mut queue = Queue::new(missing.iter().filter_map(|path| closure.get(path)));
    let mut copying = JoinSet::new();
    loop {
        while copying.len() < PATHS
            && let Some(info) = queue.next().and_then(|path| closure.get(&path)).cloned()
        {
            copying.spawn(copier.clone().copy_one(info));
        }
        let Some(copied) = copying.join_next().await else { break };
        let (path, sent) = copied.or_fail(Code::Internal, || "copying a path")??;
        queue.done(&path);
        done.imported += 1;
        done.sent_bytes += sent;
        progress.sent(done.imported, missing.len() as u64, done.sent_bytes);
    }
    if queue.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::ClosureCorrupt, "ordering the closure: some paths refer to each other in a circle"))
}

impl Copier {
    /// Sends the NAR and then the narinfo; the bytes that were sent.
    async fn copy_one(self: Arc<Self>, info: NarInfo) -> Result<(StorePath, u64)> {
        let Packed { file, size, info } = pack::pack(&self.source, info, self.recompress).await?;
        let nar = format!("/cache/{}", info.url);
        let mut sent = 0;
        if !self.client.has(&nar).await? {
            self.client.put_file(&nar, file, size, patience(size)).await?;
            sent = size;
        }
        self.client.put(&narinfo_path(&info.path), info.to_string(), patience(info.nar_size)).await?;
        Ok((info.path, sent))
    }

    /// Puts the server's own narinfo again: what was asked for counts as new, also where it was there already.
    async fn renew(&self, path: &StorePath) -> Result<()> {
        let address = narinfo_path(path);
        let text = self.client.text(&address).await?;
        let size = nix_store::narinfo::parse(&text).map_or(0, |info| info.nar_size);
        self.client.put(&address, text, patience(size)).await
    }
}

fn narinfo_path(path: &StorePath) -> String {
    format!("/cache/{}.narinfo", path.hash_part())
}

/// How long to wait for the answer to so many bytes.
fn patience(bytes: u64) -> Duration {
    Duration::from_secs(60 + bytes / SLOWEST)
}
