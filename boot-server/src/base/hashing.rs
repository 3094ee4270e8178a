//! The SHA-256 of a file.

use protocol::{
    Code,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use ring::digest::{Context, SHA256};
use std::{fs::File, io::Read, path::Path};

/// The SHA-256 of a file, read in pieces.
pub fn of_file(path: &Path) -> Result<Sha256> {
    let activity = || format!("reading {}", path.display());
    let mut file = File::open(path).or_fail(Code::System, activity)?;
    let (mut context, mut chunk) = (Context::new(&SHA256), vec![0; 1 << 16]);
    loop {
        let count = file.read(&mut chunk).or_fail(Code::System, activity)?;
        if count == 0 {
            break;
        }
        context.update(&chunk[..count]);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok(Sha256(hash))
}
