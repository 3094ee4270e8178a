//! Gives modules to the kernel, compressed ones after unpacking them in memory.

use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module, init_module},
};
use std::{fs::File, io::Read, path::Path};

/// No module of a kernel comes near; a compressed one that claims more is damaged.
const LARGEST: u64 = 64 << 20;

/// Loads one module; it is no error that it is loaded already.
pub fn insert(path: &Path) -> Result<(), String> {
    // The kernel would find that out by itself, but only after it has checked the signature.
    let name = protocol::modules::name_of(&path.to_string_lossy());
    if Path::new("/sys/module").join(name).join("initstate").exists() {
        return Ok(());
    }
    let file = File::open(path).map_err(|error| format!("opening {}: {error}", path.display()))?;
    let done = match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("ko") => finit_module(&file, c"", ModuleInitFlags::empty()),
        suffix => {
            let image = unpack(suffix, file).map_err(|error| format!("unpacking {}: {error}", path.display()))?;
            init_module(&image, c"")
        }
    };
    match done {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.desc().to_owned()),
    }
}

fn unpack(suffix: Option<&str>, file: impl Read) -> std::io::Result<Vec<u8>> {
    let reader: Box<dyn Read> = match suffix {
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(file)),
        _ => return Err(std::io::Error::other("its compression is not known (zst and xz are)")),
    };
    let mut image = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut image)?;
    if image.len() as u64 > LARGEST {
        return Err(std::io::Error::other("larger than any module"));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_compressed_module_is_unpacked() {
        let module = b"\x7fELF and so on".repeat(100);
        let zst = zstd::encode_all(&module[..], 3).unwrap();
        assert_eq!(unpack(Some("zst"), &zst[..]).unwrap(), module);
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(&module[..], 6).read_to_end(&mut xz).unwrap();
        assert_eq!(unpack(Some("xz"), &xz[..]).unwrap(), module);
        assert!(unpack(Some("gz"), &module[..]).is_err());
    }

    #[test]
    fn a_module_without_end_is_refused() {
        let endless = zstd::Encoder::new(Vec::new(), 1)
            .and_then(|mut encoder| {
                std::io::copy(&mut std::io::repeat(0).take(LARGEST + 10), &mut encoder)?;
                encoder.finish()
            })
            .unwrap();
        assert!(unpack(Some("zst"), &endless[..]).is_err());
    }

    #[test]
    fn a_missing_module_is_an_error_with_its_path() {
        assert!(insert(Path::new("/no/such.ko")).unwrap_err().contains("/no/such.ko"));
    }

    proptest! {
        #[test]
        fn a_damaged_module_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (unpack(Some("zst"), &bytes[..]), unpack(Some("xz"), &bytes[..]));
        }
    }
}
