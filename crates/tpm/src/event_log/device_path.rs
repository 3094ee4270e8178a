//! A device path of UEFI (UEFI specification 2.10, section 10) as text for people: what it does not know has its numbers.

use crate::wire::{Malformed, Reader};
use protocol::text::{cut, one_line};

/// Nodes that are shown.
const MOST_NODES: usize = 32;
/// Bytes of the text.
pub const MOST_TEXT: usize = 256;
/// PNP0A03, as EISA numbers are packed.
const PCI_ROOT: u32 = 0x0a03_41d0;
const END: u8 = 0x7f;

/// Its nodes, one behind the other, up to where it makes no sense.
pub fn text(path: &[u8]) -> String {
    let mut reader = Reader::new(path);
    let mut nodes: Vec<String> = Vec::new();
    while let Ok((class, kind, data)) = next(&mut reader) {
        if class == END || nodes.len() == MOST_NODES {
            break;
        }
        nodes.push(node(class, kind, data).unwrap_or_else(|Malformed| format!("Path({class},{kind})")));
    }
    cut(one_line(&nodes.join("/")), MOST_TEXT)
}

fn next<'a>(reader: &mut Reader<'a>) -> Result<(u8, u8, &'a [u8]), Malformed> {
    let (class, kind, length) = (reader.u8()?, reader.u8()?, reader.u16_le()?);
    // The header of four bytes is counted.
    Ok((class, kind, reader.take(usize::from(length).checked_sub(4).ok_or(Malformed)?)?))
}

fn node(class: u8, kind: u8, data: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(data);
    Ok(match (class, kind) {
        (1, 1) => {
            let function = reader.u8()?;
            format!("Pci({:#x},{function:#x})", reader.u8()?)
        }
        (1, 4) => format!("VenHw({})", guid(reader.take(16)?)?),
        (2, 1) => match (reader.u32_le()?, reader.u32_le()?) {
            (PCI_ROOT, number) => format!("PciRoot({number:#x})"),
            (device, number) => format!("Acpi({device:#x},{number:#x})"),
        },
        (3, 2) => format!("Scsi({},{})", reader.u16_le()?, reader.u16_le()?),
        (3, 5) => format!("USB({},{})", reader.u8()?, reader.u8()?),
        (3, 11) => {
            let address = reader.take(6)?;
            format!("MAC({})", address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
        }
        (3, 12) => "IPv4".to_owned(),
        (3, 13) => "IPv6".to_owned(),
        (3, 18) => format!("Sata({})", reader.u16_le()?),
        (3, 23) => format!("NVMe({})", reader.u32_le()?),
        (3, 24) => format!("Uri({})", String::from_utf8_lossy(data)),
        (4, 1) => format!("HD({})", reader.u32_le()?),
        (4, 3) => format!("VenMedia({})", guid(reader.take(16)?)?),
        (4, 4) => utf16(data),
        (4, 6) => format!("FvFile({})", guid(reader.take(16)?)?),
        (4, 7) => format!("Fv({})", guid(reader.take(16)?)?),
        (4, 8) => "Offset".to_owned(),
        _ => return Err(Malformed),
    })
}

/// Up to its end, or the zero that ends it.
pub fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

fn guid(bytes: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(bytes);
    let (a, b, c) = (reader.u32_le()?, reader.u16_le()?, reader.u16_le()?);
    let (d, e) = (reader.u16()?, reader.take(6)?);
    let e: String = e.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_text_up_to_its_end_and_what_is_not_known_has_its_numbers() {
        let node = |class, kind, data: &[u8]| [&[class, kind, data.len() as u8 + 4, 0], data].concat();
        let name: Vec<u8> = "\\EFI\\a\x1b.efi\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let path = [
            node(2, 1, &[0xd0, 0x41, 3, 0x0a, 0, 0, 0, 0]),
            node(1, 1, &[0, 3]),
            node(9, 9, &[1]),
            node(4, 4, &name),
            node(END, 0xff, &[]),
            node(3, 12, &[]),
        ];
        assert_eq!(text(&path.concat()), "PciRoot(0x0)/Pci(0x3,0x0)/Path(9,9)/\\EFI\\a\u{fffd}.efi");
        assert_eq!(text(&[4, 4, 3, 0]), "", "shorter than its own header");
        assert_eq!(text(&node(4, 4, &[65, 0].repeat(120)).repeat(9)).len(), MOST_TEXT);
    }

    #[test]
    fn a_guid_is_written_as_everybody_writes_it() {
        let bytes = [0x72, 0xf7, 0x28, 0x14, 0xb6, 0xb6, 0x79, 0x43, 0x90, 0xf5, 0xb7, 0x1e, 0xd9, 0x4a, 0x28, 1];
        assert_eq!(guid(&bytes).unwrap(), "1428f772-b6b6-4379-90f5-b71ed94a2801");
    }
}
