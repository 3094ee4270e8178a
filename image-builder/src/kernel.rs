//! The kernel: which one, and what it says of itself.

use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

/// A kernel image, its release and its modules.
#[derive(Debug)]
pub struct Kernel {
    /// The bzImage.
    pub image: Vec<u8>,
    /// `uname -r`.
    pub release: String,
    /// The folder `/lib/modules/RELEASE` of the build machine.
    pub modules: PathBuf,
}

/// Reads the kernel that was named, or the newest of /boot.
///
/// # Errors
/// `E-IMAGE` where there is none, it is no bzImage, or the modules are another kernel's.
pub fn read(image: Option<&Path>, modules: Option<&Path>) -> Result<Kernel> {
    let path = match image {
        Some(path) => path.to_owned(),
        None => newest(Path::new("/boot"))?,
    };
    let bytes = std::fs::read(&path).or_fail(Code::Image, || format!("reading the kernel {}", path.display()))?;
    let release = release(&bytes).ok_or_else(|| {
        Failure::new(Code::Image, format!("reading the kernel {}: not a Linux bzImage", path.display()))
    })?;
    let modules = modules.map_or_else(|| Path::new("/lib/modules").join(&release), Path::to_owned);
    let same = modules.canonicalize().is_ok_and(|folder| folder.ends_with(&release));
    if !same {
        let cause = format!("looking for the modules of kernel {release}: {} is not theirs", modules.display());
        return Err(Failure::new(Code::Image, cause)
            .with_remedy(format!("pass --modules with the folder lib/modules/{release}")));
    }
    Ok(Kernel { image: bytes, release, modules })
}

fn newest(folder: &Path) -> Result<PathBuf> {
    let none = || {
        Failure::new(Code::Image, format!("looking for a kernel: no {}/vmlinuz-*", folder.display()))
            .with_remedy("install linux-image-amd64, or pass --kernel and --modules")
    };
    let entries = std::fs::read_dir(folder).map_err(|_| none())?;
    let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    choose(&names).map(|name| folder.join(name)).ok_or_else(none)
}

/// The newest general kernel, or the newest of any flavour. The cloud flavour has neither e1000 nor AHCI.
fn choose(names: &[String]) -> Option<&String> {
    let version = |name: &String| name.strip_prefix("vmlinuz-").map(str::to_owned);
    let general = |name: &String| {
        version(name).is_some_and(|version| {
            version.ends_with("-amd64") && !version.contains("-cloud-") && !version.contains("-rt-")
        })
    };
    let kernels = || names.iter().filter(|name| version(name).is_some());
    kernels().max_by(|a, b| general(a).cmp(&general(b)).then_with(|| compare(a, b)))
}

/// Compares versions: runs of digits as numbers, all else as text.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .map(|part| (part.parse().unwrap_or(0), part.to_owned()))
            .collect()
    };
    parts(a).cmp(&parts(b))
}

/// The release in a bzImage (kernel: Documentation/arch/x86/boot, field kernel_version).
fn release(image: &[u8]) -> Option<String> {
    (image.get(0x202..0x206)? == b"HdrS").then_some(())?;
    let offset = usize::from(u16::from_le_bytes([*image.get(0x20e)?, *image.get(0x20f)?])) + 0x200;
    let text = image.get(offset..)?.split(|byte| *byte == 0).next()?;
    let first = std::str::from_utf8(text.get(..text.len().min(200))?).ok()?.split_whitespace().next()?;
    let plain = first.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte));
    (plain && first.len() <= 64 && !first.starts_with('.')).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_newest_general_kernel_is_taken() {
        let found = names(&[
            "vmlinuz-6.1.0-9-amd64",
            "vmlinuz-6.1.0-56-amd64",
            "vmlinuz-6.12.0-1-cloud-amd64",
            "initrd.img-7.0.0-1-amd64",
        ]);
        assert_eq!(choose(&found).unwrap(), "vmlinuz-6.1.0-56-amd64");
        assert_eq!(choose(&found[2..]).unwrap(), "vmlinuz-6.12.0-1-cloud-amd64");
        assert_eq!(choose(&names(&["config-6.1"])), None);
    }

    #[test]
    fn a_kernel_tells_its_release() {
        let mut image = vec![0u8; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        image[0x300..0x300 + 17].copy_from_slice(b"6.1.0-56-amd64 (d");
        assert_eq!(release(&image).as_deref(), Some("6.1.0-56-amd64"));
        image[0x300..0x303].copy_from_slice(b"../");
        assert_eq!(release(&image), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_kernel_or_not(image in prop::collection::vec(any::<u8>(), 0..0x300)) {
            let _ = release(&image);
        }
    }
}
