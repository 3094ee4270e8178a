//! Listing, checking and collecting: what an admin does with the cache as a whole.

use super::{Cache, Entry, Folder, Graph, Member, check, collect};
use nix_store::{
    narinfo::NarInfo,
    signature::{self, PublicKey},
};
use protocol::{
    Code, Failure, Timestamp,
    closures::{Closure, ClosureList, GcReport, GcRequest, VerifyReport, VerifyRequest},
    failure::{OrFail, Result},
    names::{NodeName, StorePath},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use time::Duration;
use tokio::{sync::OwnedMutexGuard, task::JoinSet};

/// What nodes need, and which.
pub type Roots = BTreeMap<StorePath, Vec<NodeName>>;

/// Told how many of how many steps are done.
pub trait Progress: Fn(u64, u64) + Send + Sync + 'static {}
impl<F: Fn(u64, u64) + Send + Sync + 'static> Progress for F {}

impl Cache {
    /// Every closure.
    pub async fn list(&self, roots: Roots) -> Result<ClosureList> {
        self.on_disk(move |folder| {
            let (graph, damaged) = read(folder)?;
            let needed = roots.keys().filter_map(|path| graph.get(path.hash_part()));
            let tops: BTreeMap<&str, &Entry> =
                graph.toplevels().chain(needed).map(|entry| (entry.path.as_str(), entry)).collect();
            let mut closures: Vec<Closure> = tops.values().map(|entry| closure(&graph, entry, &roots)).collect();
            closures.sort_by(|one, other| name_of(&one.path).cmp(name_of(&other.path)));
            Ok(ClosureList { closures, damaged })
        })
        .await
    }

    /// Reads every NAR, or those of some closures, and compares it with its narinfo; which of these keys, where there are any,
    /// have signed it.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING` where a path that was named is not here, `E-SYSTEM`. Damage is in the report.
    pub async fn verify(
        self: Arc<Self>,
        request: VerifyRequest,
        keys: Vec<PublicKey>,
        progress: impl Progress,
    ) -> Result<VerifyReport> {
        let keys = Arc::new(keys);
        let (named, remove) = (request.paths, request.remove);
        let hashes = self.on_disk(move |folder| to_check(folder, &named)).await?;
        let (total, mut rest) = (hashes.len() as u64, hashes.into_iter());
        let (mut checking, mut checked, mut damage) = (JoinSet::new(), 0, BTreeMap::new());
        let mut unsigned = BTreeSet::new();
        loop {
            while checking.len() < 2 * self.checks.available_permits().max(1)
                && let Some(hash) = rest.next()
            {
                checking.spawn(self.clone().check_one(hash, keys.clone()));
            }
            let Some(done) = checking.join_next().await else { break };
            let (hash, found) = done.or_fail(Code::Internal, || "checking the cache")?;
            match found {
                Ok(path) => unsigned.extend(path),
                Err(failure) => drop(damage.insert(hash, failure)),
            }
            checked += 1;
            progress(checked, total);
        }
        let removed = if remove && !damage.is_empty() { self.withdraw(damage.clone()).await? } else { Vec::new() };
        let unsigned = unsigned.into_iter().collect();
        Ok(VerifyReport { checked, damaged: damage.into_values().collect(), removed, unsigned })
    }

    /// The path, where no key has signed it.
    async fn check_one(
        self: Arc<Self>,
        hash: String,
        keys: Arc<Vec<PublicKey>>,
    ) -> (String, Result<Option<StorePath>>) {
        let Ok(_place) = self.checks.acquire().await else { return (hash, Ok(None)) };
        let wanted = hash.clone();
        let found = self.on_disk(move |folder| {
            check_narinfo(folder, &wanted)?;
            unsigned(folder, &wanted, &keys)
        });
        let found = found.await;
        (hash, found)
    }

    /// Whether the path is here, and none of the keys has signed it.
    pub async fn is_unsigned(&self, path: &StorePath, keys: Vec<PublicKey>) -> Result<bool> {
        let hash = path.hash_part().to_owned();
        self.on_disk(move |folder| Ok(unsigned(folder, &hash, &keys)?.is_some())).await
    }

    /// Takes narinfos out of service, and what refers to them: the next push brings them anew.
    async fn withdraw(&self, damage: BTreeMap<String, Failure>) -> Result<Vec<String>> {
        let settled = self.settled().await;
        self.on_disk(move |folder| {
            let _settled = settled;
            let (graph, _) = read(folder)?;
            let gone = graph.referrers(damage.keys().map(String::as_str));
            let order = graph.referrers_first(&gone);
            remove_narinfos(folder, &order)?;
            // A push asks whether the NAR is here: a damaged one must not be.
            let corrupt = |hash: &&&str| damage.get(**hash).is_some_and(|failure| failure.code == Code::ClosureCorrupt);
            let stays =
                |nar: &str| graph.entries().any(|entry| entry.nar == nar && !gone.contains(entry.path.hash_part()));
            for entry in order.iter().filter(corrupt).filter_map(|hash| graph.get(hash)) {
                if let Some(member @ Member::Nar(_)) = Member::parse(&entry.nar).filter(|_| !stays(&entry.nar)) {
                    folder.remove(member)?;
                }
            }
            folder.sync()?;
            Ok(order.iter().map(|hash| format!("{hash}.narinfo")).collect())
        })
        .await
    }

    /// Removes what neither the roots nor recent pushes need. `settled` shows that nothing changes meanwhile.
    ///
    /// # Errors
    /// `E-CLOSURE-CORRUPT` where a narinfo cannot be read, as it may refer to anything; `E-SYSTEM`.
    pub async fn collect(
        &self,
        settled: OwnedMutexGuard<()>,
        request: &GcRequest,
        roots: Roots,
        now: Timestamp,
        progress: impl Progress,
    ) -> Result<GcReport> {
        let dry_run = request.dry_run;
        let keep_newer = Duration::seconds(i64::try_from(request.keep_newer_seconds).unwrap_or(i64::MAX));
        self.on_disk(move |folder| {
            let _settled = settled;
            let (graph, mut damaged) = read(folder)?;
            if let Some(failure) = damaged.pop() {
                return Err(failure.with_remedy("take it out of service first: boot-server closure verify --remove"));
            }
            let nars = folder.nars()?;
            let roots: BTreeSet<String> = roots.keys().map(|path| path.hash_part().to_owned()).collect();
            let garbage = collect::garbage(&graph, &nars, &roots, keep_newer, now);
            if !dry_run {
                remove(folder, &garbage, &progress)?;
            }
            let paths: Vec<StorePath> =
                garbage.narinfos.iter().filter_map(|hash| graph.get(hash)).map(|entry| entry.path.clone()).collect();
            Ok(GcReport {
                nars: garbage.nars.len() as u64,
                freed_bytes: garbage.nars.iter().filter_map(|name| nars.get(*name)).map(|file| file.size).sum(),
                kept: (graph.entries().count() - paths.len()) as u64,
                paths,
            })
        })
        .await
    }
}

/// All narinfos, and why some cannot be read. Blocks.
fn read(folder: &Folder) -> Result<(Graph, Vec<Failure>)> {
    let (mut graph, mut damaged) = (Graph::default(), Vec::new());
    for hash in folder.hashes()? {
        match folder.entry(&hash) {
            Ok(Some(entry)) => graph.add(entry),
            Ok(None) => {}
            Err(failure) if failure.code == Code::ClosureCorrupt => damaged.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok((graph, damaged))
}

fn name_of(path: &StorePath) -> &str {
    &path.base()[33..]
}

fn closure(graph: &Graph, top: &Entry, roots: &Roots) -> Closure {
    let hashes = graph.closure([top.path.hash_part()]);
    let entries: Vec<&Entry> = hashes.iter().filter_map(|hash| graph.get(hash)).collect();
    Closure {
        path: top.path.clone(),
        paths: entries.len() as u64,
        missing: (hashes.len() - entries.len()) as u64,
        nar_bytes: entries.iter().map(|entry| entry.nar_size).sum(),
        file_bytes: entries.iter().map(|entry| entry.file_size).sum(),
        unsigned: entries.iter().filter(|entry| !entry.signed).count() as u64,
        nodes: roots.get(&top.path).cloned().unwrap_or_default(),
        uploaded: top.uploaded,
    }
}

/// The hash parts of everything, or of the closures of these.
fn to_check(folder: &Folder, named: &[StorePath]) -> Result<Vec<String>> {
    if named.is_empty() {
        return folder.hashes();
    }
    for path in named {
        if !folder.has(path.hash_part())? {
            return Err(Failure::new(Code::ClosureMissing, format!("checking {path}: the cache does not have it")));
        }
    }
    let (graph, _) = read(folder)?;
    let reached = graph.closure(named.iter().map(StorePath::hash_part));
    // What is missing is told by whoever refers to it.
    let here = |hash: &&str| folder.has(hash).unwrap_or(true);
    Ok(reached.into_iter().filter(here).map(str::to_owned).collect())
}

/// One narinfo, its references and its NAR. One that has gone meanwhile is fine.
fn check_narinfo(folder: &Folder, hash: &str) -> Result<()> {
    let Some((_, info)) = folder.narinfo(hash)? else { return Ok(()) };
    let missing = |what: &str| {
        Failure::new(Code::ClosureMissing, format!("checking {}: the cache does not have {what}", info.path))
    };
    for path in info.references.iter().filter(|path| **path != info.path) {
        if !folder.has(path.hash_part())? {
            return Err(missing(path.as_str()));
        }
    }
    match Member::parse(&info.url) {
        Some(member @ Member::Nar(_)) => match folder.open(member)? {
            Some((file, _)) => check::nar(file, &info),
            None if folder.has(hash)? => Err(missing(&info.url)),
            None => Ok(()),
        },
        _ => Err(Failure::new(
            Code::ClosureCorrupt,
            format!("checking {}: its URL {:?} is not nar/NAME", info.path, info.url),
        )),
    }
}

fn unsigned(folder: &Folder, hash: &str, keys: &[PublicKey]) -> Result<Option<StorePath>> {
    let info = folder.narinfo(hash)?.map(|(_, info)| info);
    // Before there is a spec, nobody can say who is trusted.
    let refused = |info: &NarInfo| match keys {
        [] => !signature::is_there(info),
        keys => signature::verify(info, keys).is_err(),
    };
    Ok(info.filter(refused).map(|info| info.path))
}

fn remove(folder: &Folder, garbage: &collect::Garbage, progress: &impl Progress) -> Result<()> {
    remove_narinfos(folder, &garbage.narinfos)?;
    // Only then the NARs: a power cut must not leave a narinfo without its NAR.
    folder.sync()?;
    let total = garbage.nars.len() as u64;
    for (done, name) in (1..).zip(&garbage.nars) {
        folder.remove(Member::Nar(name))?;
        progress(done, total);
    }
    folder.sync()
}

fn remove_narinfos(folder: &Folder, order: &[&str]) -> Result<()> {
    order.iter().try_for_each(|hash| folder.remove(Member::NarInfo(&format!("{hash}.narinfo"))))
}
