//! A kernel as QEMU can start it at once. An emulated machine takes longer to unpack Debian's bzImage than for all the rest
//! of its boot; this host does it in a second, once.

use crate::{
    command::{command, output, run},
    paths,
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The kernel in a bzImage, kept for the next machine; the bzImage itself where what is in it is packed in another way than
/// Debian does.
///
/// # Errors
/// It cannot be read or unpacked.
pub fn of(image: &Path) -> Result<PathBuf> {
    static UNPACKING: Mutex<()> = Mutex::new(());
    let _unpacking = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let Some(packed) = packed(&bytes) else { return Ok(image.to_owned()) };
    let folder = paths::cache()?.join("kernels");
    let digest = output(command("sha256sum", ["--binary"]).arg(image))?;
    let kept = folder.join(digest.split_whitespace().next().context("sha256sum says nothing")?);
    if !kept.exists() {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let packing = kept.with_extension("part.xz");
        fs::write(&packing, packed).with_context(|| format!("writing {}", packing.display()))?;
        run(command("xz", ["-d", "-f"]).arg(&packing))?;
        fs::rename(kept.with_extension("part"), &kept).with_context(|| format!("keeping {}", kept.display()))?;
    }
    Ok(kept)
}

/// The payload of a bzImage (Documentation/x86/boot.rst), if it is xz. Its last 4 bytes are its size unpacked.
fn packed(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let begin = (usize::from(*image.get(0x1f1)?) + 1) * 512;
    let payload = image.get(begin.checked_add(number(0x248)?)?..)?.get(..number(0x24c)?.checked_sub(4)?)?;
    payload.starts_with(b"\xfd7zXZ\0").then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
        image.extend(payload);
        image.extend([0; 4]);
        image
    }

    #[test]
    fn what_is_packed_by_xz_is_found_and_the_rest_is_left() {
        assert_eq!(packed(&image(b"\xfd7zXZ\0more")), Some(&b"\xfd7zXZ\0more"[..]));
        for other in [image(b"\x1f\x8b"), image(b""), b"MZ".to_vec(), Vec::new()] {
            assert_eq!(packed(&other), None);
        }
    }

    proptest! {
        #[test]
        fn a_damaged_image_never_panics(header in proptest::collection::vec(any::<u8>(), 0x1f1..0x300)) {
            let mut image = header;
            if image.len() > 0x206 {
                image[0x202..0x206].copy_from_slice(b"HdrS");
            }
            packed(&image);
        }
    }
}
