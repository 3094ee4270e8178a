//! NBD, as far as QEMU needs it for a disk: the oldstyle greeting, and read, write and flush.
//!
//! Nothing else is offered: QEMU makes a flush of FUA, and no difference of discards.

use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};

const GREETING: &[u8; 8] = b"NBDMAGIC";
const OLDSTYLE: u64 = 0x0000_4202_8186_1253;
const HAS_FLAGS: u32 = 1;
const SENDS_FLUSH: u32 = 4;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
/// QEMU sends no larger ones.
const LARGEST: u32 = 32 << 20;
const EINVAL: u32 = 22;
const EIO: u32 = 5;

/// What a machine asks of its disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// So many bytes from there.
    Read(u64, usize),
    /// These bytes to there.
    Write(u64, Vec<u8>),
    /// What was answered before must be durable.
    Flush,
    /// Something that this disk has not.
    Unknown,
}

/// Tells the other side that here is a disk of so many bytes.
///
/// # Errors
/// The connection fails.
pub fn greet(stream: &mut impl Write, size: u64) -> Result<()> {
    let mut greeting = Vec::with_capacity(152);
    greeting.extend_from_slice(GREETING);
    greeting.extend_from_slice(&OLDSTYLE.to_be_bytes());
    greeting.extend_from_slice(&size.to_be_bytes());
    greeting.extend_from_slice(&(HAS_FLAGS | SENDS_FLUSH).to_be_bytes());
    greeting.resize(152, 0);
    stream.write_all(&greeting).context("greeting an NBD client")
}

/// The next request with its handle; none once the other side has gone.
///
/// # Errors
/// It is no request, or longer than a request may be.
pub fn receive(stream: &mut impl Read) -> Result<Option<(u64, Request)>> {
    let mut head = [0; 28];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Ok(None),
        Err(error) => return Err(error).context("reading an NBD request"),
    }
    let number = |from: usize, length: usize| head[from..from + length].iter().fold(0, |n, &b| n << 8 | u64::from(b));
    let (kind, handle, offset, length) = (number(6, 2), number(8, 8), number(16, 8), number(24, 4));
    if number(0, 4) != u64::from(REQUEST) || length > u64::from(LARGEST) {
        bail!("no NBD request: {head:x?}");
    }
    let length = length as usize;
    let request = match kind {
        0 => Request::Read(offset, length),
        1 => {
            let mut data = vec![0; length];
            stream.read_exact(&mut data).context("reading what an NBD client writes")?;
            Request::Write(offset, data)
        }
        2 => return Ok(None),
        3 => Request::Flush,
        _ => Request::Unknown,
    };
    Ok(Some((handle, request)))
}

/// Answers a request: with what was read, or why it failed.
///
/// # Errors
/// The connection fails.
pub fn answer(stream: &mut impl Write, handle: u64, outcome: &std::io::Result<Vec<u8>>) -> Result<()> {
    let error = match outcome {
        Ok(_) => 0,
        Err(error) if error.kind() == ErrorKind::InvalidInput => EINVAL,
        Err(_) => EIO,
    };
    let data = outcome.as_deref().unwrap_or_default();
    let mut reply = Vec::with_capacity(16 + data.len());
    reply.extend_from_slice(&REPLY.to_be_bytes());
    reply.extend_from_slice(&error.to_be_bytes());
    reply.extend_from_slice(&handle.to_be_bytes());
    reply.extend_from_slice(data);
    stream.write_all(&reply).context("answering an NBD client")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(kind: u16, offset: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = REQUEST.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(77u64.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
        bytes
    }

    fn received(bytes: &[u8]) -> Option<(u64, Request)> {
        receive(&mut &bytes[..]).expect("a request")
    }

    #[test]
    fn requests_are_read_as_the_specification_lays_them_out() {
        assert_eq!(received(&request(0, 1 << 40, 4096, b"")), Some((77, Request::Read(1 << 40, 4096))));
        assert_eq!(received(&request(1, 512, 2, b"ab")), Some((77, Request::Write(512, b"ab".to_vec()))));
        assert_eq!(received(&request(3, 0, 0, b"")), Some((77, Request::Flush)));
        assert_eq!(received(&request(4, 0, 512, b"")), Some((77, Request::Unknown)));
        assert_eq!(received(&request(2, 0, 0, b"")), None);
        assert_eq!(received(b""), None);
    }

    #[test]
    fn a_request_that_is_too_long_is_refused_before_its_bytes_are_taken() {
        assert!(receive(&mut &request(1, 0, LARGEST + 1, b"")[..]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), valid: bool) {
            let mut bytes = bytes;
            if valid && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&REQUEST.to_be_bytes());
            }
            let _ = receive(&mut &bytes[..]);
        }
    }
}
