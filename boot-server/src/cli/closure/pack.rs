//! A NAR as it is sent: as the source has it, or compressed anew.

use super::source::Source;
use nix_store::narinfo::{Compression, NarInfo};
use nix_store::{decompress, hashing::Hashing};
use protocol::{
    Code, Failure,
    encoding::{Sha256, nix_base32_encode},
    failure::{OrFail, Result},
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    str::FromStr,
};

const BUFFER: usize = 256 << 10;
const LEVEL: i32 = 9;

/// `zstd` or `zstd:LEVEL`
#[derive(Debug, Clone, Copy)]
pub struct Zstd(i32);

impl FromStr for Zstd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "neither zstd nor zstd:LEVEL with a level from 1 to 19";
        match text.split_once(':') {
            None if text == "zstd" => Ok(Self(LEVEL)),
            Some(("zstd", level)) => level.parse().ok().filter(|level| (1..=19).contains(level)).map(Self).ok_or(wrong),
            _ => Err(wrong),
        }
    }
}

/// A NAR to send.
pub struct Packed {
    /// Its bytes.
    pub file: File,
    /// How many.
    pub size: u64,
    /// Its narinfo: only FileHash, FileSize, URL and Compression may differ from the source's, which no signature covers.
    pub info: NarInfo,
}

/// Reads a NAR from the source into a file without a name.
///
/// # Errors
/// `E-CLOSURE-CORRUPT` where it is not what its narinfo says, those of the source, `E-SYSTEM`.
pub async fn pack(source: &Source, info: NarInfo, recompress: Option<Zstd>) -> Result<Packed> {
    let reader = source.nar(&info).await?;
    let anew = recompress.filter(|_| info.compression != Compression::Zstd);
    let packing = tokio::task::spawn_blocking(move || match anew {
        Some(Zstd(level)) => recompressed(reader, info, level),
        None => copied(reader, info),
    });
    packing.await.or_fail(Code::Internal, || "packing a NAR")?
}

fn wrong(info: &NarInfo, what: impl std::fmt::Display) -> Failure {
    Failure::new(Code::ClosureCorrupt, format!("reading {} of {}: {what}", info.url, info.path))
}

fn copied(reader: impl Read, info: NarInfo) -> Result<Packed> {
    let (mut reader, mut file) = (Hashing::new(reader), temporary()?);
    io::copy(&mut reader, &mut file).map_err(|error| wrong(&info, error))?;
    // FileHash and FileSize are nobody's word: the server and the nodes go by NarHash.
    let (hash, size) = reader.finish();
    Ok(packed(file, hash, size, info))
}

fn recompressed(reader: impl Read, mut info: NarInfo, level: i32) -> Result<Packed> {
    let mut body = BufReader::with_capacity(BUFFER, reader);
    let unpacked = decompress::reader(info.compression, decompress::MOST_MEMORY, &mut body)
        .map_err(|error| wrong(&info, error))?;
    let mut nar = Hashing::new(unpacked.take(info.nar_size.saturating_add(1)));
    let mut out =
        zstd::Encoder::new(Hashing::new(temporary()?), level).or_fail(Code::System, || "compressing a NAR")?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = nar.read(&mut buffer).map_err(|error| wrong(&info, error))?;
        if read == 0 {
            break;
        }
        out.write_all(&buffer[..read]).or_fail(Code::System, || "writing a temporary file")?;
    }
    let (hash, size) = nar.finish();
    if hash != info.nar_hash || size != info.nar_size {
        return Err(wrong(&info, "NarHash or NarSize is another"));
    }
    let out = out.finish().or_fail(Code::System, || "writing a temporary file")?;
    info.compression = Compression::Zstd;
    let (file, hash, size) = out.into_parts();
    Ok(packed(file, hash, size, info))
}

fn packed(file: File, hash: Sha256, size: u64, mut info: NarInfo) -> Packed {
    info.url = format!("nar/{}.nar{}", nix_base32_encode(&hash.0), info.compression.ending());
    info.file_hash = Some(hash);
    info.file_size = Some(size);
    Packed { file, size, info }
}

fn temporary() -> Result<File> {
    tempfile::tempfile().or_fail(Code::System, || "making a temporary file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_zstd_s() {
        for text in ["zstd", "zstd:1", "zstd:19"] {
            assert!(text.parse::<Zstd>().is_ok(), "{text}");
        }
        for text in ["", "xz", "zstd:", "zstd:0", "zstd:20", "zstd:x", "zstdx"] {
            assert!(text.parse::<Zstd>().is_err(), "{text}");
        }
    }
}
