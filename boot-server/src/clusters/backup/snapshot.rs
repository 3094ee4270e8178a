//! An etcd snapshot through the gateway: lines of JSON with pieces of the database, and its SHA-256 as the last 32
//! bytes, which `etcdctl snapshot restore` checks again.

use crate::clusters::members::survey::at;
use cluster::{client::PeerClient, etcd::Etcd};
use http_body_util::BodyExt;
use protocol::{
    Code, Failure,
    cluster_address::Peer,
    failure::{OrFail, Result},
};
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use std::{fs::File, io::Write, path::Path, time::Duration};

/// etcd sends pieces of 32 KiB; this bounds a line of a peer that is none.
const MOST_LINE_BYTES: usize = 4 << 20;
/// A stream that brings nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);
const HASH_BYTES: usize = 32;

/// Writes the snapshot of one member to a new file; its size.
///
/// # Errors
/// `E-CLUSTER-UNREACHABLE` where the stream breaks off or is not what its own hash says; `E-SYSTEM` of the file.
pub async fn save(caller: &PeerClient, peer: &Peer, path: &Path) -> Result<u64> {
    let activity = format!("taking a snapshot of etcd at https://{peer}");
    let broke = |text: &str| Failure::new(Code::ClusterUnreachable, format!("{activity}: {text}"));
    let answer = Etcd::new(caller, at(peer)).snapshot().await.map_err(|failure| failure.context(&activity))?;
    let writing = || format!("writing {}", path.display());
    let mut file = File::options().write(true).create_new(true).open(path).or_fail(Code::System, writing)?;
    let (mut body, mut buffer, mut database) = (answer.into_body(), Vec::new(), Hashing::default());
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| broke("it brings nothing more"))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| broke(&error.to_string()))?;
        buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let piece = piece(&line).map_err(|text| broke(&text))?;
            database.update(&piece);
            file.write_all(&piece).or_fail(Code::System, writing)?;
        }
        if buffer.len() > MOST_LINE_BYTES {
            return Err(broke("a line does not end"));
        }
    }
    if !buffer.is_empty() {
        let piece = piece(&buffer).map_err(|text| broke(&text))?;
        database.update(&piece);
        file.write_all(&piece).or_fail(Code::System, writing)?;
    }
    let size = database.finish().ok_or_else(|| broke("it is not what its own SHA-256 says: it broke off"))?;
    file.sync_all().or_fail(Code::System, writing)?;
    Ok(size)
}

/// The bytes of one line.
fn piece(line: &[u8]) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    struct Line {
        result: Option<Piece>,
        error: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Piece {
        #[serde(default)]
        blob: String,
    }
    if line.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match (line.result, line.error) {
        (Some(piece), None) => data_encoding::BASE64.decode(piece.blob.as_bytes()).map_err(|error| error.to_string()),
        (_, Some(error)) => Err(error.to_string().chars().take(300).collect()),
        (None, None) => Err("a line has neither result nor error".to_owned()),
    }
}

/// Hashes all but the last 32 bytes, whatever the pieces.
struct Hashing {
    context: Context,
    last: Vec<u8>,
    size: u64,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), last: Vec::new(), size: 0 }
    }
}

impl Hashing {
    fn update(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.last.extend_from_slice(piece);
        let sure = self.last.len().saturating_sub(HASH_BYTES);
        self.context.update(&self.last[..sure]);
        self.last.drain(..sure);
    }

    /// The size, where the hash is right.
    fn finish(self) -> Option<u64> {
        let whole = self.size > HASH_BYTES as u64 && self.context.finish().as_ref() == self.last;
        whole.then_some(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::encoding::Sha256;

    proptest! {
        #[test]
        fn a_snapshot_is_whole_however_it_was_cut_and_not_without_its_end(
            database in prop::collection::vec(any::<u8>(), 1..300), cuts in 1usize..50, lost in 1usize..40
        ) {
            let whole = [database.clone(), Sha256::of(&database).0.to_vec()].concat();
            let read = |bytes: &[u8]| {
                let mut hashing = Hashing::default();
                bytes.chunks(cuts).for_each(|piece| hashing.update(piece));
                hashing.finish()
            };
            prop_assert_eq!(read(&whole), Some(whole.len() as u64));
            prop_assert_eq!(read(&whole[..whole.len().saturating_sub(lost)]), None);
        }

        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = piece(&line);
        }
    }

    #[test]
    fn an_error_in_the_stream_is_told() {
        assert_eq!(piece(br#"{"result":{"remaining_bytes":"3","blob":"YWJj"}}"#).unwrap(), b"abc");
        assert!(piece(br#"{"error":{"grpc_code":14,"message":"no leader"}}"#).unwrap_err().contains("no leader"));
    }
}
