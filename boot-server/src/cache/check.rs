//! Whether a NAR file is what its narinfo says: read once, in bounded memory, unpacked to nowhere.

use nix_store::{
    content_address::Checking,
    decompress,
    hashing::Hashing,
    nar::{self, Sink},
    narinfo::NarInfo,
};
use protocol::{
    Code, Failure,
    encoding::{Sha256, nix_base32_encode},
    failure::Result,
};
use std::io::{self, BufRead, BufReader, Read};

const BUFFER: usize = 256 << 10;

/// Checks FileHash, FileSize, NarHash, NarSize and the structure of the archive. Blocks.
///
/// # Errors
/// `E-CLOSURE-CORRUPT` with what is wrong.
pub fn nar(file: impl Read, info: &NarInfo) -> Result<()> {
    let wrong =
        |what: String| Failure::new(Code::ClosureCorrupt, format!("checking {} of {}: {what}", info.url, info.path));
    let mut body = BufReader::with_capacity(BUFFER, Hashing::new(file));
    let unpacked = unpack(&mut body, info);
    // The file hash comes first: where that is wrong, so is what was unpacked.
    io::copy(&mut body, &mut io::sink()).map_err(|error| wrong(format!("reading the file: {error}")))?;
    let (hash, size) = body.into_inner().finish();
    let sizes = |is, said| format!("{is} bytes instead of {said}");
    if info.file_size.is_some_and(|said| said != size) {
        return Err(wrong(format!("the file has {}", sizes(size, info.file_size.unwrap_or(0)))));
    }
    if let Some(said) = info.file_hash.filter(|said| *said != hash) {
        return Err(wrong(format!("FileHash is {}, not {}", base32(&hash), base32(&said))));
    }
    let (hash, size) = unpacked.map_err(wrong)?;
    if size != info.nar_size {
        return Err(wrong(format!("the NAR has {}", sizes(size, info.nar_size))));
    }
    if hash != info.nar_hash {
        return Err(wrong(format!("NarHash is {}, not {}", base32(&hash), base32(&info.nar_hash))));
    }
    Ok(())
}

/// Hash and size of the NAR, which is read to its end or to a byte more than it should have.
fn unpack(body: &mut impl BufRead, info: &NarInfo) -> Result<(Sha256, u64), String> {
    let reader = decompress::reader(info.compression, decompress::MOST_MEMORY, body)
        .map_err(|error| format!("decompressing: {error}"))?;
    let mut nar = BufReader::with_capacity(BUFFER, Hashing::new(reader.take(info.nar_size.saturating_add(1))));
    let mut sink = Checking::new(Nowhere, info);
    match nar::unpack(&mut nar, &mut sink) {
        Ok(()) if sink.holds() => Ok(nar.into_inner().finish()),
        Ok(()) => Err("the content is not what its CA says".to_owned()),
        Err(nar::Error::Read(error)) => Err(format!("decompressing: {error}")),
        Err(nar::Error::Format(what, offset)) => Err(format!("it is no archive: {what}, at byte {offset}")),
        Err(nar::Error::Sink(error)) => Err(error.to_string()),
    }
}

fn base32(hash: &Sha256) -> String {
    format!("sha256:{}", nix_base32_encode(&hash.0))
}

struct Nowhere;

impl Sink for Nowhere {
    fn enter(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn leave(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&mut self, _: &[u8], _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn open(&mut self, _: &[u8], _: bool, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix_store::{nar::Writer, narinfo};

    fn archive() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.open(b"", false, 5).unwrap();
        writer.write(b"hello").unwrap();
        writer.close().unwrap();
        writer.into_inner()
    }

    fn info(compression: &str, file: &[u8], nar: &[u8]) -> NarInfo {
        let hash = |bytes: &[u8]| base32(&Sha256::of(bytes));
        let text = format!(
            "StorePath: /nix/store/0123456789abcdfghijklmnpqrsvwxyz-a\nURL: nar/a\nCompression: {compression}\n\
             FileHash: {}\nFileSize: {}\nNarHash: {}\nNarSize: {}\nReferences: \n",
            hash(file),
            file.len(),
            hash(nar),
            nar.len()
        );
        narinfo::parse(&text).unwrap()
    }

    #[test]
    fn a_nar_that_is_what_its_narinfo_says_passes() {
        let plain = archive();
        assert_eq!(nar(&plain[..], &info("none", &plain, &plain)), Ok(()));
        let packed = zstd::encode_all(&plain[..], 3).unwrap();
        assert_eq!(nar(&packed[..], &info("zstd", &packed, &plain)), Ok(()));
    }

    #[test]
    fn each_claim_is_checked() {
        let plain = archive();
        let packed = zstd::encode_all(&plain[..], 3).unwrap();
        let good = info("zstd", &packed, &plain);
        let other = Sha256::of(b"other");
        for (bad, word) in [
            (NarInfo { file_size: Some(1), ..good.clone() }, "the file has"),
            (NarInfo { file_hash: Some(other), ..good.clone() }, "FileHash"),
            (NarInfo { nar_size: 119, ..good.clone() }, "the NAR has"),
            (NarInfo { nar_size: 121, ..good.clone() }, "the NAR has"),
            (NarInfo { nar_hash: other, ..good.clone() }, "NarHash"),
            (NarInfo { compression: narinfo::Compression::Xz, ..good.clone() }, "decompressing"),
            (NarInfo { compression: narinfo::Compression::None, ..good }, "no archive"),
        ] {
            let failure = nar(&packed[..], &bad).unwrap_err();
            assert!(failure.code == Code::ClosureCorrupt && failure.cause.contains(word), "{failure}");
        }
    }
}
