//! Decompression with a bound on memory that is known before the first byte is decompressed.

use crate::narinfo::Compression;
use std::io::{self, BufRead, Read};

/// What xz and zstd decoders take besides their window, and the buffers around them.
const OVERHEAD: u64 = 1 << 20;
/// The window assumed where the head of the file does not say: xz -6, and zstd up to level 19.
const USUAL_WINDOW: u64 = 8 << 20;
/// Enough for what tools make unless told otherwise.
pub const USUAL_MEMORY: u64 = USUAL_WINDOW + OVERHEAD;
/// What one NAR may take: `zstd --long`, `zstd --ultra -22` and `xz -9` fit. What a cache takes in, a node must be able to
/// install, so both keep to it.
pub const MOST_MEMORY: u64 = 136 << 20;
/// What the brotli decoder reads at a time.
const BROTLI_INPUT: usize = 64 << 10;
/// zstd: the smallest maximum the decoder takes.
const MIN_WINDOW_LOG: u32 = 10;

/// A reader of the decompressed bytes. `memory` is what [`memory_needed`] said; more is refused.
///
/// # Errors
/// Where the decoder cannot be set up.
pub fn reader<'a>(
    compression: Compression,
    memory: u64,
    body: &'a mut (impl BufRead + 'a),
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(body),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(memory, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(body, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
            let window = memory.saturating_sub(OVERHEAD).max(1);
            decoder.window_log_max(window.ilog2().max(MIN_WINDOW_LOG))?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(body)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
        Compression::Brotli => Box::new(brotli_decompressor::Decompressor::new(body, BROTLI_INPUT)),
    })
}

/// How many bytes of memory the file takes to decompress, by its first bytes.
pub fn memory_needed(compression: Compression, head: &[u8]) -> u64 {
    let window = match compression {
        Compression::None => return OVERHEAD / 2,
        Compression::Zstd => zstd_window(head).map(|window| window.clamp(1 << MIN_WINDOW_LOG, 1 << 41)),
        Compression::Xz => xz_window(head),
        Compression::Brotli => head.first().map(|first| brotli_window(*first)),
        // 900 kB blocks, and 4 bytes of tables for each byte of them.
        Compression::Bzip2 => Some(4 << 20),
        Compression::Gzip => Some(1 << 16),
    };
    // zstd's limit is a power of two.
    window.unwrap_or(USUAL_WINDOW).next_power_of_two() + OVERHEAD
}

/// RFC 8878, 3.1.1.1: the window of the first frame; none where that is a skippable one.
fn zstd_window(head: &[u8]) -> Option<u64> {
    let (descriptor, rest) = head.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.split_first()?;
    if descriptor & 0x20 == 0 {
        let byte = *rest.first()?;
        let base = 1u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    // A single segment: the window is the content.
    let id_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let mut bytes = [0; 8];
    bytes[..size_bytes].copy_from_slice(rest.get(id_bytes..id_bytes + size_bytes)?);
    let size = u64::from_le_bytes(bytes);
    Some(if size_bytes == 2 { size + 256 } else { size })
}

/// RFC 7932, 9.1: WBITS.
fn brotli_window(first: u8) -> u64 {
    let bits = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, low) => 8 + low,
        (_, high, _) => 17 + high,
    };
    1 << bits
}

/// The .xz format, 3.1: the dictionary of the first block. LZMA2 (0x21) is the last of its filters, behind those for the
/// branches of a processor, say.
fn xz_window(head: &[u8]) -> Option<u64> {
    let block = head.strip_prefix(b"\xfd7zXZ\0")?.get(6..)?;
    let (flags, mut rest) = (*block.get(1)?, block.get(2..)?);
    for _ in 0..(flags & 0xc0).count_ones() {
        xz_number(&mut rest)?;
    }
    for _ in 0..=flags & 3 {
        let (filter, size) = (xz_number(&mut rest)?, xz_number(&mut rest)?);
        let properties = rest.split_off(..usize::try_from(size).ok()?)?;
        if let (0x21, [bits]) = (filter, properties) {
            let bits = u32::from(bits & 0x3f);
            return (bits < 40).then(|| u64::from(2 | (bits & 1)) << (bits / 2 + 11));
        }
    }
    None
}

/// The .xz format, 1.2: seven bits a byte, the lowest first; the last byte has no highest bit.
fn xz_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn data() -> Vec<u8> {
        (0..800_000u32).flat_map(|number| (number % 1000 * 7).to_le_bytes()).collect()
    }

    fn xz(data: &[u8], preset: u32) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), preset);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// `xz -9` behind the filter for x86's branches.
    fn xz_behind_branches(data: &[u8]) -> Vec<u8> {
        let options = liblzma::stream::LzmaOptions::new_preset(9).unwrap();
        let mut filters = liblzma::stream::Filters::new();
        filters.x86().lzma2(&options);
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc64).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(compression: Compression, bytes: &[u8], memory: u64) -> io::Result<Vec<u8>> {
        let (mut body, mut out) = (bytes, Vec::new());
        reader(compression, memory, &mut body)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn several_frames_or_streams_are_one_file() {
        let data = data();
        let (one, two) = data.split_at(300_000);
        let zstd = [zstd::encode_all(one, 3).unwrap(), zstd::encode_all(two, 3).unwrap()].concat();
        let xz = [xz(one, 6), xz(two, 6)].concat();
        for (compression, bytes) in
            [(Compression::Zstd, zstd), (Compression::Xz, xz), (Compression::None, data.clone())]
        {
            let memory = memory_needed(compression, &bytes[..bytes.len().min(1000)]);
            assert!(read(compression, &bytes, memory).unwrap() == data, "{compression:?}");
        }
    }

    /// The output of a packer that Debian has; several members one after the other.
    fn packed(program: &str, parts: &[&[u8]]) -> Vec<u8> {
        let pack = |part: &&[u8]| {
            let mut child = std::process::Command::new(program)
                .arg("-c")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let (mut input, part) = (child.stdin.take().unwrap(), part.to_vec());
            let writing = std::thread::spawn(move || input.write_all(&part));
            let output = child.wait_with_output().unwrap();
            writing.join().unwrap().unwrap();
            output.stdout
        };
        parts.iter().flat_map(pack).collect()
    }

    #[test]
    fn bzip2_gzip_and_brotli_are_read_as_their_own_programs_write_them() {
        let data = data();
        let (one, two) = data.split_at(300_000);
        for (compression, program, parts) in [
            (Compression::Bzip2, "bzip2", &[one, two][..]),
            (Compression::Gzip, "gzip", &[one, two]),
            (Compression::Brotli, "brotli", &[&data]),
        ] {
            let bytes = packed(program, parts);
            let memory = memory_needed(compression, &bytes[..100]);
            assert!(read(compression, &bytes, memory).unwrap() == data, "{program}");
            assert!(read(compression, &bytes[..bytes.len() / 2], memory).is_err(), "{program}");
        }
    }

    #[test]
    fn the_window_is_read_from_the_head() {
        let data = data();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&data).unwrap();
        let streamed = encoder.finish().unwrap();
        assert_eq!(memory_needed(Compression::Zstd, &streamed), (2 << 20) + OVERHEAD);
        assert_eq!(memory_needed(Compression::Xz, &xz(&data, 6)), (8 << 20) + OVERHEAD);
        assert_eq!(memory_needed(Compression::Xz, &xz(&data, 9)), (64 << 20) + OVERHEAD);
        let behind_branches = xz_behind_branches(&data);
        assert_eq!(memory_needed(Compression::Xz, &behind_branches), (64 << 20) + OVERHEAD);
        assert!(read(Compression::Xz, &behind_branches, (64 << 20) + OVERHEAD).unwrap() == data);
    }

    #[test]
    fn a_window_larger_than_granted_is_refused() {
        let data = data();
        assert!(read(Compression::Xz, &xz(&data, 9), 9 << 20).is_err());
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&data).unwrap();
        assert!(read(Compression::Zstd, &encoder.finish().unwrap(), 9 << 20).is_err());
    }

    #[test]
    fn a_cut_file_is_an_error_and_never_the_end() {
        let data = data();
        for (compression, bytes) in
            [(Compression::Zstd, zstd::encode_all(&data[..], 3).unwrap()), (Compression::Xz, xz(&data, 6))]
        {
            assert!(read(compression, &bytes[..bytes.len() / 2], 20 << 20).is_err(), "{compression:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_head_has_an_answer(head: Vec<u8>, magic in 0..3) {
            let magic: &[u8] = [&b""[..], b"\xfd7zXZ\0", &[0x28, 0xb5, 0x2f, 0xfd]][magic as usize];
            let head = [magic, &head].concat();
            for (compression, ..) in Compression::ALL {
                memory_needed(compression, &head);
            }
        }
    }
}
