//! EFI_LOAD_OPTION (UEFI specification 2.10, section 3.1.3), as far as it matters here.

use super::Esp;
use uuid::Uuid;

/// An entry that the boot manager may take.
const LOAD_OPTION_ACTIVE: u32 = 1;

/// A boot option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// Shown by the firmware.
    pub description: String,
    /// The partition of a hard drive node in its path.
    pub partition: Option<Uuid>,
    /// The file in its path, such as `\EFI\BOOT\BOOTX64.EFI`.
    pub loader: Option<String>,
}

/// Attributes, length of the path list, description, path list.
pub fn decode(bytes: &[u8]) -> Option<LoadOption> {
    let path_length = usize::from(u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?));
    let text = bytes.get(6..)?;
    let units = units(text);
    let path_at = (units.len() + 1) * 2;
    let path = text.get(path_at..path_at.checked_add(path_length)?)?;
    Some(LoadOption {
        description: String::from_utf16_lossy(&units),
        partition: partition_of(path),
        loader: loader_of(path),
    })
}

/// The nodes of a device path: type, subtype and data.
fn nodes(path: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let [kind, subtype, low, high, ..] = *rest else { return None };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let data = rest.get(4..length)?;
        rest = &rest[length..];
        Some((kind, subtype, data))
    })
}

/// The GUID in the path's hard drive node (type 4, subtype 1, signature type 2).
fn partition_of(path: &[u8]) -> Option<Uuid> {
    let (.., data) = nodes(path).find(|(kind, subtype, data)| (*kind, *subtype, data.get(37)) == (4, 1, Some(&2)))?;
    Some(Uuid::from_bytes_le(data.get(20..36)?.try_into().ok()?))
}

/// The text of the path's file nodes (type 4, subtype 4).
fn loader_of(path: &[u8]) -> Option<String> {
    let files = nodes(path).filter(|(kind, subtype, _)| (*kind, *subtype) == (4, 4));
    let texts: Vec<String> = files.map(|(.., data)| String::from_utf16_lossy(&units(data))).collect();
    (!texts.is_empty()).then(|| texts.join("\\").replace("\\\\", "\\"))
}

/// UTF-16 up to its zero.
fn units(text: &[u8]) -> Vec<u16> {
    text.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).take_while(|unit| *unit != 0).collect()
}

/// An option that starts this program of the partition.
pub fn encode(description: &str, esp: &Esp, loader: &str) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let node = |kind: u8, subtype: u8, data: &[u8]| {
        let length = u16::try_from(data.len() + 4).unwrap_or(u16::MAX).to_le_bytes();
        [&[kind, subtype, length[0], length[1]], data].concat()
    };
    let mut drive = esp.number.to_le_bytes().to_vec();
    drive.extend(esp.first.to_le_bytes());
    drive.extend((esp.last - esp.first + 1).to_le_bytes());
    drive.extend(esp.guid.to_bytes_le());
    drive.extend([2, 2]); // GPT, GUID signature
    let path = [node(4, 1, &drive), node(4, 4, &utf16(loader)), node(0x7f, 0xff, &[])].concat();
    let mut option = LOAD_OPTION_ACTIVE.to_le_bytes().to_vec();
    option.extend(u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
    option.extend(utf16(description));
    option.extend(path);
    option
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let guid = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".parse().unwrap();
        let loader = "\\EFI\\BOOT\\BOOTX64.EFI";
        let option = decode(&encode("NixOS", &Esp { number: 2, guid, first: 4096, last: 8191 }, loader)).unwrap();
        let expected =
            LoadOption { description: "NixOS".into(), partition: Some(guid), loader: Some(loader.to_owned()) };
        assert_eq!(option, expected);
    }

    proptest! {
        #[test]
        fn any_variable_is_borne(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
