//! The hash of what a member holds, at one revision. The gateway of 3.4 and 3.5 has another call at its path, so this one is
//! made by gRPC itself: one message of one number, framed (gRPC over HTTP/2).

use super::Etcd;
use crate::client::babbled;
use protocol::{Code, Failure, failure::Result};

const METHOD: &str = "etcdserverpb.Maintenance/HashKV";
/// A byte for the compression, four for the length.
const FRAME: usize = 5;
/// Protocol Buffers: a number.
const VARINT: u64 = 0;
/// Protocol Buffers: bytes with their length before them.
const BYTES: u64 = 2;

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHash {
    /// Of all keys up to the revision.
    pub hash: u64,
    /// What is older than this is gone, and is not in the hash.
    pub compacted: u64,
}

impl Etcd<'_> {
    /// The hash of all that this member holds up to the revision. Two members hold the same where both numbers are the same;
    /// where only the compaction differs, nothing is said.
    ///
    /// # Errors
    /// Those of the call; `E-CLUSTER-UNREACHABLE` where the member refuses, `E-PROTOCOL` where it babbles.
    pub async fn hash_at(&self, revision: u64) -> Result<DataHash> {
        let url = format!("{}/{METHOD}", self.base);
        let answer = self.client.grpc(&url, &framed(&question(revision))).await?;
        if answer.is_empty() {
            return Err(Failure::new(Code::ClusterUnreachable, format!("POST {url}: it refuses")));
        }
        read(&answer).ok_or_else(|| babbled(Failure::new(Code::Protocol, format!("POST {url}: the answer is no hash"))))
    }
}

/// `HashKVRequest { int64 revision = 1; }`
fn question(revision: u64) -> Vec<u8> {
    let mut message = vec![(1 << 3) | VARINT as u8];
    let mut rest = revision;
    while rest >= 0x80 {
        message.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    message.push(rest as u8);
    message
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// `HashKVResponse { ResponseHeader header = 1; uint32 hash = 2; int64 compact_revision = 3; }`, where zeros are left out.
fn read(answer: &[u8]) -> Option<DataHash> {
    let (head, mut rest) = answer.split_at_checked(FRAME)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    if head[0] != 0 || rest.len() != length as usize {
        return None;
    }
    let mut found = DataHash { hash: 0, compacted: 0 };
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            VARINT => {
                let value = varint(&mut rest)?;
                match key >> 3 {
                    2 => found.hash = value,
                    3 => found.compacted = value,
                    _ => {}
                }
            }
            BYTES => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.split_at_checked(length)?.1;
            }
            _ => return None,
        }
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for at in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * at).min(63);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_of_etcd_is_read() {
        // 3.4.23, revision 2: header, hash, and a compaction of -1, as where there was none.
        let answer =
            b"\x00\x00\x00\x00\x2d\x0a\x1a\x08\xcf\xa4\xef\xcd\x8d\xde\x8d\xc4\xc3\x01\x10\xd0\x84\xc4\xdd\xe1\xcb\xf9\
            \xf1\xcc\x01\x18\x02\x20\x02\x10\x84\xee\xf2\xd8\x0c\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read(answer), Some(DataHash { hash: 3_407_656_708, compacted: u64::MAX }));
        assert_eq!(framed(&question(2)), b"\x00\x00\x00\x00\x02\x08\x02");
        assert_eq!(question(300), b"\x08\xac\x02");
    }

    proptest! {
        #[test]
        fn any_answer_is_borne(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_number_is_written_as_it_is_read(revision: u64) {
            let question = question(revision);
            prop_assert_eq!(varint(&mut &question[1..]), Some(revision));
        }
    }
}
