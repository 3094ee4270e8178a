//! Decompression with a bound on memory.

use protocol::narinfo::Compression;
use std::io::{self, BufRead, Read};

/// Largest window that a NAR may need, bytes: `zstd --long` and `xz -9` fit.
pub const MAX_WINDOW: u64 = 128 << 20;
/// What decoders take besides their window.
const OVERHEAD: u64 = 8 << 20;
/// What the brotli decoder reads at a time.
const BROTLI_INPUT: usize = 64 << 10;

/// A reader of the decompressed bytes.
///
/// # Errors
/// Where the decoder cannot be set up.
pub fn reader<'a>(compression: Compression, body: &'a mut (impl BufRead + 'a)) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(body),
        Compression::Xz => {
            let limit = MAX_WINDOW + OVERHEAD;
            let stream = liblzma::stream::Stream::new_stream_decoder(limit, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(body, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
            decoder.window_log_max(MAX_WINDOW.ilog2())?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(body)),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
        Compression::Brotli => Box::new(brotli_decompressor::Decompressor::new(body, BROTLI_INPUT)),
    })
}
