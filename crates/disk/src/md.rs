//! The superblock of an md array's member, which tells where the data of the array lies on it (md(4); the
//! kernel's md_p.h).

/// Of every version.
const MAGIC: u32 = 0xa92b_4efc;
const SECTOR: u64 = 512;

/// One member, as its superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `0.90`, `1.0`, `1.1` or `1.2`.
    pub version: &'static str,
    /// UUID of the array, 32 hexadecimal digits.
    pub uuid: String,
    /// `host:name`; version 0.90 has none.
    pub name: Option<String>,
    /// `raid1` ...
    pub level: String,
    /// Where the superblock lies on the member, bytes.
    pub superblock: u64,
    /// Where the array's data begin on the member, bytes.
    pub data_offset: u64,
}

/// Where a superblock may lie on a member of this size, bytes, by version.
fn places(size: u64) -> Vec<(&'static str, u64)> {
    let sectors = size / SECTOR;
    let mut places = vec![("1.1", 0), ("1.2", 4096)];
    places.extend(sectors.checked_sub(16).map(|sector| ("1.0", (sector & !7) * SECTOR)));
    places.extend((sectors & !127).checked_sub(128).map(|sector| ("0.90", sector * SECTOR)));
    places
}

/// The superblocks of a member of this size; `read` gives so many bytes from an offset, or nothing.
pub fn members(size: u64, read: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> Vec<Member> {
    let member = |(version, at): (&'static str, u64)| {
        let bytes = read(at, 256)?;
        if version == "0.90" { old(&bytes, at) } else { new(&bytes, version, at) }
    };
    places(size).into_iter().filter_map(member).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn new(bytes: &[u8], version: &'static str, at: u64) -> Option<Member> {
    // A copy of a superblock that belongs elsewhere says so.
    let own_place = u64_at(bytes, 144)?.checked_mul(SECTOR)? == at;
    if u32_at(bytes, 0)? != MAGIC || u32_at(bytes, 4)? != 1 || !own_place {
        return None;
    }
    let name = bytes.get(32..64)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(Member {
        version,
        uuid: data_encoding::HEXLOWER.encode(bytes.get(16..32)?),
        name: hardware::inventory::sysfs::clean(name),
        level: level(u32_at(bytes, 72)?),
        superblock: at,
        data_offset: u64_at(bytes, 128)?.checked_mul(SECTOR)?,
    })
}

fn old(bytes: &[u8], at: u64) -> Option<Member> {
    let word = |index: usize| u32_at(bytes, index * 4);
    if word(0)? != MAGIC || word(1)? != 0 || word(2)? != 90 {
        return None;
    }
    Some(Member {
        version: "0.90",
        uuid: [5, 13, 14, 15].iter().filter_map(|index| Some(format!("{:08x}", word(*index)?))).collect(),
        name: None,
        level: level(word(7)?),
        superblock: at,
        data_offset: 0,
    })
}

fn level(number: u32) -> String {
    match number.cast_signed() {
        -1 => "linear".to_owned(),
        -4 => "multipath".to_owned(),
        -5 => "faulty".to_owned(),
        number if number < 0 => "container".to_owned(),
        number => format!("raid{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn find(image: &[u8]) -> Vec<Member> {
        let read = |at: u64, length: usize| {
            let at = usize::try_from(at).ok()?;
            image.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
        };
        members(image.len() as u64, &read)
    }

    #[test]
    fn a_member_of_version_1_tells_its_name_level_and_data() {
        for (version, at) in [("1.2", 4096usize), ("1.1", 0), ("1.0", (1 << 20) - 8192)] {
            let mut image = vec![0u8; 1 << 20];
            put(&mut image, at, &MAGIC.to_le_bytes());
            put(&mut image, at + 4, &1u32.to_le_bytes());
            put(&mut image, at + 16, &[0xab; 16]);
            put(&mut image, at + 32, b"host:root");
            put(&mut image, at + 72, &1u32.to_le_bytes());
            put(&mut image, at + 128, &2048u64.to_le_bytes());
            put(&mut image, at + 144, &(at as u64 / 512).to_le_bytes());
            let member = find(&image).pop().unwrap();
            assert_eq!((member.version, member.superblock), (version, at as u64));
            assert_eq!((member.name.as_deref(), member.level.as_str()), (Some("host:root"), "raid1"));
            assert_eq!((member.uuid, member.data_offset), ("ab".repeat(16), 1 << 20));
        }
    }

    #[test]
    fn a_member_of_version_0_90_has_its_data_from_the_start() {
        let mut image = vec![0u8; (1 << 20) + 512];
        let at = (1 << 20) - 65536;
        put(&mut image, at, &MAGIC.to_le_bytes());
        put(&mut image, at + 8, &90u32.to_le_bytes());
        put(&mut image, at + 28, &5u32.to_le_bytes());
        let member = find(&image).pop().unwrap();
        assert_eq!((member.version, member.level.as_str(), member.data_offset), ("0.90", "raid5", 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300), size: u64) {
            let _ = (new(&bytes, "1.2", 4096), old(&bytes, 0));
            for (_, at) in places(size) {
                prop_assert!(at <= size.max(4096));
            }
        }
    }
}
