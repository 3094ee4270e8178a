//! What `nix copy --to https://...` puts: NARs, then the narinfos that name them, references first.

use super::{Cache, Folder, Member, check, disk, member};
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use nix_store::hashing::Hashing;
use nix_store::narinfo::{self, Compression, NarInfo};
use protocol::{
    Code, Failure,
    encoding::{Sha256, nix_base32_encode},
    failure::{OrFail, Result},
};
use std::{
    io::Write,
    time::{Duration, SystemTime},
};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

/// Between two pieces of a body.
const IDLE: Duration = Duration::from_secs(60);
/// Pieces that wait for the disk.
const QUEUE: usize = 8;
/// The server's state may lie on the same disk.
const KEEP_FREE: u64 = 256 << 20;
/// How often the free space is looked at, bytes.
const SPACE_CHECK: u64 = 64 << 20;
/// Names in a refusal.
const NAMED: usize = 10;

/// Remedy where the sender or the way damaged it.
const AGAIN: &str = "it was damaged on its way or by its sender: push it again";

/// A file that has arrived.
struct Received {
    file: NamedTempFile,
    hash: Sha256,
}

impl Cache {
    /// Takes in `nar/NAME`; whether it was not here yet. `length` is what the sender announced.
    ///
    /// # Errors
    /// `E-INPUT` for a name without hash or a body that is too large or breaks off, `E-CLOSURE-CORRUPT` where the hash
    /// in the name is another, `E-NO-SPACE`, `E-SYSTEM`. Nothing stays then.
    pub async fn put_nar(&self, name: &str, length: Option<u64>, body: &mut Body) -> Result<bool> {
        let activity = format!("taking in nar/{name}");
        let expected = member::hash_of_nar(name).ok_or_else(|| misnamed(&activity, name))?;
        let known = name.to_owned();
        if self.on_disk(move |folder| renewed(folder, &known, length)).await? {
            return Ok(false);
        }
        let _place = self.uploads.acquire().await.or_fail(Code::Internal, || "counting uploads")?;
        let received = self.receive(&activity, length, body).await?;
        if received.hash != expected {
            let hash = nix_base32_encode(&received.hash.0);
            let cause = format!("{activity}: the hash of what arrived is {hash}");
            return Err(Failure::new(Code::ClosureCorrupt, cause).with_remedy(AGAIN));
        }
        let name = name.to_owned();
        self.on_disk(move |folder| folder.keep(&received.file, Member::Nar(&name))).await?;
        Ok(true)
    }

    async fn receive(&self, activity: &str, length: Option<u64>, body: &mut Body) -> Result<Received> {
        let max = self.max_upload;
        let too_large = format!("{activity}: it is larger than {max} bytes");
        let too_large = Failure::new(Code::Input, too_large).with_remedy("raise [cache] max_upload_gib in config.toml");
        if length.is_some_and(|length| length > max) {
            return Err(too_large);
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let expected = length.unwrap_or(0);
        let writing = self.on_disk(move |folder| write(folder, expected, max, too_large, receiver));
        let (written, fed) = tokio::join!(writing, feed(activity, body, sender));
        // What the disk said is the cause where the body was not read on.
        written.and_then(|received| fed.map(|()| received))
    }

    /// Takes in `HASH.narinfo`, once its NAR is whole and everything that it refers to is here.
    ///
    /// # Errors
    /// `E-INPUT` for what is no narinfo of this name, `E-CLOSURE-MISSING` naming what is not here, `E-CLOSURE-CORRUPT`,
    /// `E-NO-SPACE`, `E-SYSTEM`. Nothing has changed then.
    pub async fn put_narinfo(&self, hash: &str, body: &mut Body) -> Result<NarInfo> {
        let activity = format!("taking in {hash}.narinfo");
        let text = narinfo_body(&activity, body).await?;
        let info = read(&activity, hash, &text)?;
        let checked = info.clone();
        let place = self.checks.acquire().await.or_fail(Code::Internal, || "counting checks")?;
        self.on_disk(move |folder| check_nar(folder, &checked)).await?;
        drop(place);
        let (added, settled) = (info.clone(), self.settled().await);
        self.on_disk(move |folder| {
            let _settled = settled;
            add(folder, &added, text.as_bytes())
        })
        .await?;
        Ok(info)
    }
}

/// A file below `nar/` whose name is none that is kept.
fn misnamed(activity: &str, name: &str) -> Failure {
    let ending = name.split_once(".nar.").map(|(_, ending)| ending);
    let is_known = |ending: &str| Compression::ALL.iter().any(|(.., known)| known.strip_prefix('.') == Some(ending));
    match ending.filter(|ending| !is_known(ending)) {
        Some(ending) => Failure::new(Code::Input, format!("{activity}: compression {ending:?} is not supported"))
            .with_remedy("push with compression=zstd in the cache's URL"),
        None => Failure::new(Code::Input, format!("{activity}: a NAR is named by the hash of its file, HASH.nar.zst"))
            .with_remedy("let Nix push it: nix copy --to https://SERVER:8443/cache PATH"),
    }
}

/// Whether the NAR is here already, in the size that is announced; if so its age begins anew, so that it is not
/// collected before its narinfo comes.
fn renewed(folder: &Folder, name: &str, length: Option<u64>) -> Result<bool> {
    let Some((file, metadata)) = folder.open(Member::Nar(name))? else { return Ok(false) };
    if length.is_some_and(|length| length != metadata.len()) {
        return Ok(false);
    }
    file.set_modified(SystemTime::now()).or_fail(Code::System, || format!("touching nar/{name} of the cache"))?;
    Ok(true)
}

/// Hands the body on in pieces; an error where it does not come to its end.
async fn feed(activity: &str, body: &mut Body, sender: mpsc::Sender<Bytes>) -> Result<()> {
    let broken = |what: &str| Failure::new(Code::Input, format!("{activity}: {what}")).with_remedy("push it again");
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        match frame.map_err(|_| broken("nothing arrived for a minute"))? {
            None => return Ok(()),
            Some(Err(error)) => return Err(broken(&protocol::failure::chain(&error))),
            Some(Ok(frame)) => {
                // Whoever writes has an error of its own to tell.
                let Ok(data) = frame.into_data() else { continue };
                if sender.send(data).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Writes and hashes what arrives. Blocks.
fn write(
    folder: &Folder,
    expected: u64,
    max: u64,
    too_large: Failure,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<Received> {
    let room = |needed: u64| match folder.free()?.checked_sub(KEEP_FREE) {
        Some(room) if room >= needed => Ok(()),
        _ => Err(disk::no_space("taking in a NAR: the disk of the cache is full")),
    };
    room(expected)?;
    let mut file = Hashing::new(folder.incoming()?);
    let (mut size, mut next_check) = (0u64, SPACE_CHECK);
    while let Some(piece) = pieces.blocking_recv() {
        size += piece.len() as u64;
        if size > max {
            return Err(too_large);
        }
        if size > next_check {
            room(0)?;
            next_check = size + SPACE_CHECK;
        }
        file.write_all(&piece).map_err(|error| disk::unwritten("taking in a NAR", &error))?;
    }
    let (file, hash, _) = file.into_parts();
    Ok(Received { file, hash })
}

async fn narinfo_body(activity: &str, body: &mut Body) -> Result<String> {
    let refused = |what: String| Failure::new(Code::Input, format!("{activity}: {what}"));
    let body = tokio::time::timeout(IDLE, Limited::new(body, narinfo::MAX_BYTES).collect()).await;
    let body = body.map_err(|_| refused("it did not arrive within a minute".to_owned()))?;
    let bytes = body.map_err(|error| refused(error.to_string()))?.to_bytes();
    String::from_utf8(bytes.into()).map_err(|_| refused("it is no text".to_owned()))
}

/// The narinfo, where it is one that this cache can hold.
fn read(activity: &str, hash: &str, text: &str) -> Result<NarInfo> {
    let refused = |what: String| Failure::new(Code::Input, format!("{activity}: {what}"));
    let info = narinfo::parse(text).map_err(|error| refused(error.to_string()).with_remedy(error.remedy))?;
    if info.path.hash_part() != hash {
        return Err(refused(format!("it is about {}", info.path)));
    }
    if !matches!(Member::parse(&info.url), Some(Member::Nar(_))) {
        return Err(refused(format!("its URL {:?} is not nar/NAME", info.url)));
    }
    if info.file_hash.is_none() || info.file_size.is_none() {
        return Err(refused("it lacks FileHash or FileSize".to_owned()));
    }
    Ok(info)
}

fn check_nar(folder: &Folder, info: &NarInfo) -> Result<()> {
    let (file, _) = nar_of(folder, info)?;
    let checked = check::nar(file, info);
    if checked.is_err() {
        remove_misnamed(folder, info)?;
    }
    checked.map_err(|failure| failure.with_remedy(AGAIN))
}

/// A power cut may have damaged a NAR that Nix wrote into the folder: Nix does not send what has the name already.
fn remove_misnamed(folder: &Folder, info: &NarInfo) -> Result<()> {
    let (mut file, _) = nar_of(folder, info)?;
    let mut hashing = Hashing::new(std::io::sink());
    std::io::copy(&mut file, &mut hashing).or_fail(Code::System, || format!("reading {} of the cache", info.url))?;
    let Some(member @ Member::Nar(name)) = Member::parse(&info.url) else { return Ok(()) };
    if member::hash_of_nar(name).is_some_and(|hash| hash != hashing.finish().0) {
        tracing::warn!(nar = name, "removed: its content is not what its name says");
        folder.remove(member)?;
    }
    Ok(())
}

fn nar_of(folder: &Folder, info: &NarInfo) -> Result<(std::fs::File, std::fs::Metadata)> {
    let opened = Member::parse(&info.url).map(|member| folder.open(member)).transpose()?.flatten();
    opened.ok_or_else(|| missing(info, &info.url))
}

/// Makes the narinfo appear, where what it needs is still there.
fn add(folder: &Folder, info: &NarInfo, text: &[u8]) -> Result<()> {
    nar_of(folder, info)?;
    let mut absent = Vec::new();
    for path in info.references.iter().filter(|path| **path != info.path) {
        if !folder.has(path.hash_part())? {
            absent.push(path.as_str());
        }
    }
    if !absent.is_empty() {
        let more = absent.len().saturating_sub(NAMED);
        let named = absent[..absent.len().min(NAMED)].join(", ");
        return Err(missing(info, &if more > 0 { format!("{named} and {more} more") } else { named }));
    }
    let mut file = folder.incoming()?;
    file.write_all(text).map_err(|error| disk::unwritten("taking in a narinfo", &error))?;
    folder.keep(&file, Member::NarInfo(&format!("{}.narinfo", info.path.hash_part())))
}

fn missing(info: &NarInfo, what: &str) -> Failure {
    Failure::new(Code::ClosureMissing, format!("taking in {}: the cache does not have {what}", info.path)).with_remedy(
        "push the whole closure, and let Nix ask the cache anew what it has: nix copy --refresh --to URL PATH",
    )
}
