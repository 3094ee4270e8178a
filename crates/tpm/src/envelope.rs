//! A file that only this TPM opens. What a TPM seals itself is short, so it seals a key, which closes the file.

use crate::{
    Tpm, Transport, draw, failed,
    quote::Selection,
    seal::Sealed,
    wire::{Malformed, Reader, Writer},
};
use protocol::failure::Result;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const CLOSING: &str = "closing a file by the TPM";
const OPENING: &str = "opening a file by the TPM";
const BEGINNING: &[u8] = b"centra closed/1\n";
/// Each key closes one file.
const NONCE: [u8; 12] = [0; 12];
/// What is closed so is no longer.
pub const MOST_FILE: usize = 64 << 10;

/// A closed file, read.
struct Closed<'a> {
    sealed: Sealed,
    /// What stands before the content: it is closed with it, so that nobody changes it.
    head: &'a [u8],
    content: &'a [u8],
}

fn read(file: &[u8]) -> Result<Closed<'_>> {
    let damaged = |Malformed| failed(OPENING, &"it is damaged");
    if file.len() > MOST_FILE {
        return Err(damaged(Malformed));
    }
    let mut reader = Reader::new(file);
    reader.constant(BEGINNING).map_err(damaged)?;
    let pcrs = reader.sized().map_err(damaged)?;
    let pcrs = Selection::of(pcrs.iter().copied()).ok_or_else(|| damaged(Malformed))?;
    let sealed = Sealed::read(pcrs, reader.sized().map_err(damaged)?)?;
    let content = reader.rest();
    Ok(Closed { sealed, head: &file[..file.len() - content.len()], content })
}

/// By what PCRs a closed file opens.
///
/// # Errors
/// `E-TPM` where it is none.
pub fn pcrs(file: &[u8]) -> Result<Selection> {
    Ok(read(file)?.sealed.pcrs)
}

fn key(bytes: &[u8], activity: &str) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| failed(activity, &"its key has another length"))?;
    Ok(LessSafeKey::new(key))
}

impl<T: Transport> Tpm<T> {
    /// Closes this content: it opens in this TPM, while these PCRs are what they are now.
    ///
    /// # Errors
    /// As [`Tpm::seal`].
    pub fn close(&mut self, pcrs: Selection, content: &[u8]) -> Result<Vec<u8>> {
        let drawn = draw(CLOSING)?;
        let sealed = self.seal(pcrs, &drawn)?;
        let indexes: Vec<u8> = pcrs.indexes().collect();
        let head = Writer::new().bytes(BEGINNING).sized(&indexes).sized(&sealed.blob()).done();
        let mut closed = content.to_vec();
        key(&drawn, CLOSING)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), Aad::from(&head), &mut closed)
            .map_err(|_| failed(CLOSING, &"it is too long"))?;
        Ok([head, closed].concat())
    }

    /// Opens what was closed.
    ///
    /// # Errors
    /// As [`Tpm::unseal`]; `E-TPM` where it is damaged.
    pub fn reveal(&mut self, file: &[u8]) -> Result<Vec<u8>> {
        let Closed { sealed, head, content } = read(file)?;
        let key = key(&self.unseal(&sealed)?, OPENING)?;
        let mut content = content.to_vec();
        let opened = key.open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::from(head), &mut content);
        Ok(opened.map_err(|_| failed(OPENING, &"it is damaged"))?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Code;

    #[test]
    fn what_is_no_closed_file_is_damaged_and_no_more() {
        let head = Writer::new().bytes(BEGINNING).sized(&[24]).sized(&[]).done();
        for file in [&b""[..], b"-----BEGIN PRIVATE KEY-----", BEGINNING, &head, &vec![0; MOST_FILE + 1]] {
            assert_eq!(pcrs(file).unwrap_err().code, Code::Tpm);
        }
    }
}
