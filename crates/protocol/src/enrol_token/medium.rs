//! A medium that carries a one-time token to a machine: an image for virtual media or a USB stick. The token stands in the system
//! area of an ISO 9660 volume (ECMA-119, 6.2.1), which is otherwise unused, so that an agent reads it without a file system; the
//! volume itself is empty, and there for consoles that take nothing else.

use super::EnrolToken;

/// What a medium begins with.
const MAGIC: &[u8] = b"centra enrol-token/1\n";
/// Bytes of a medium that are read to find a token.
pub const HEAD: usize = 512;
/// ECMA-119, 6.1.2.
const SECTOR: usize = 2048;
const DESCRIPTOR: usize = 16;
const TERMINATOR: usize = 17;
const PATH_TABLE_LSB: usize = 18;
const PATH_TABLE_MSB: usize = 19;
const ROOT: usize = 20;
const SECTORS: usize = 21;
const LABEL: &[u8] = b"CENTRA_TOKEN";

/// The image. Secret.
pub fn image(token: &EnrolToken) -> Vec<u8> {
    let mut image = vec![0; SECTORS * SECTOR];
    put(&mut image, 0, 0, MAGIC);
    put(&mut image, 0, MAGIC.len(), token.shown().as_bytes());
    put(&mut image, 0, MAGIC.len() + token.shown().len(), b"\n");
    descriptor(&mut image);
    put(&mut image, TERMINATOR, 0, b"\xffCD001\x01");
    // ECMA-119, 9.4: one entry, the root, whose parent is itself.
    put(&mut image, PATH_TABLE_LSB, 0, &[1, 0, ROOT as u8, 0, 0, 0, 1, 0, 0, 0]);
    put(&mut image, PATH_TABLE_MSB, 0, &[1, 0, 0, 0, 0, ROOT as u8, 0, 1, 0, 0]);
    for (place, name) in [(0, 0), (34, 1)] {
        put(&mut image, ROOT, place, &directory(name));
    }
    image
}

/// The token of a medium that begins with these bytes.
pub fn read(head: &[u8]) -> Option<EnrolToken> {
    let rest = head.get(..head.len().min(HEAD))?.strip_prefix(MAGIC)?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    EnrolToken::parse(std::str::from_utf8(line).ok()?)
}

fn put(image: &mut [u8], sector: usize, place: usize, bytes: &[u8]) {
    let start = sector * SECTOR + place;
    if let Some(target) = image.get_mut(start..start + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}

/// ECMA-119, 8.4: the primary volume descriptor.
fn descriptor(image: &mut [u8]) {
    let mut at = |place, bytes: &[u8]| put(image, DESCRIPTOR, place, bytes);
    at(0, b"\x01CD001\x01");
    at(8, &[b' '; 32]);
    at(40, &[b' '; 32]);
    at(40, LABEL);
    at(80, &both32(SECTORS as u32));
    at(120, &both16(1));
    at(124, &both16(1));
    at(128, &both16(SECTOR as u16));
    at(132, &both32(10));
    at(140, &(PATH_TABLE_LSB as u32).to_le_bytes());
    at(148, &(PATH_TABLE_MSB as u32).to_be_bytes());
    at(156, &directory(0));
    at(190, &[b' '; 623]);
    for date in 0..4 {
        at(813 + 17 * date, b"0000000000000000\0");
    }
    at(881, &[1]);
}

/// ECMA-119, 9.1: the record of the root directory under the name of itself (0) or of its parent (1).
fn directory(name: u8) -> [u8; 34] {
    let mut record = [0; 34];
    record[0] = 34;
    record[2..10].copy_from_slice(&both32(ROOT as u32));
    record[10..18].copy_from_slice(&both32(SECTOR as u32));
    record[25] = 2;
    record[28..32].copy_from_slice(&both16(1));
    record[32] = 1;
    record[33] = name;
    record
}

fn both16(number: u16) -> [u8; 4] {
    let mut both = [0; 4];
    both[..2].copy_from_slice(&number.to_le_bytes());
    both[2..].copy_from_slice(&number.to_be_bytes());
    both
}

fn both32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&number.to_le_bytes());
    both[4..].copy_from_slice(&number.to_be_bytes());
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_medium_brings_its_token_and_is_an_empty_volume() {
        let token = EnrolToken::new(&[7; 16]);
        let image = image(&token);
        assert_eq!(read(&image), Some(token.clone()));
        assert_eq!(read(&image[..HEAD]), Some(token));
        assert_eq!(&image[16 * 2048..16 * 2048 + 6], b"\x01CD001");
        assert_eq!(image.len(), 21 * 2048);
    }

    #[test]
    fn what_is_no_medium_of_ours_brings_none() {
        for head in [
            &b""[..],
            b"\0\0\0",
            b"centra enrol-token/1\n",
            b"centra enrol-token/1\nshort\n",
            b"centra enrol-token/2\n",
        ] {
            assert_eq!(read(head), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_are_none(head in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&head);
            let _ = read(&[MAGIC, &head].concat());
        }
    }
}
