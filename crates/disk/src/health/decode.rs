//! What a disk says of its health, from bytes.

/// What a disk says of its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing: it is of a kind that has no such thing, as virtio.
    None,
    /// Nothing, though it is of a kind that could, and why.
    Unknown(String),
    /// An NVMe controller.
    Nvme(Nvme),
    /// An ATA disk.
    Ata(Ata),
    /// A SCSI or SAS disk.
    Scsi(Scsi),
}

/// Of the SMART / health information log (NVMe Base Specification 2.0, 5.16.1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nvme {
    /// Bits of what is critical.
    pub critical: u8,
    /// Spare capacity that is left, percent.
    pub spare: u8,
    /// The controller warns below this, percent.
    pub spare_threshold: u8,
    /// Of the endurance that the vendor promises, percent; may be above 100.
    pub used: u8,
    /// Data that could not be read or written back, events.
    pub media_errors: u128,
}

/// Of SMART (ACS-3, 7.52; attributes by convention of the vendors).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ata {
    /// The disk expects to fail; `None` where it does not say.
    pub exceeded: Option<bool>,
    /// Attribute 5: sectors replaced by spare ones.
    pub reallocated: Option<u64>,
    /// Attribute 197: sectors that could not be read, and wait to be written.
    pub pending: Option<u64>,
    /// Attribute 198: sectors that a test could not read.
    pub uncorrectable: Option<u64>,
}

/// Of the informational exceptions log page (SPC-4, 7.3.11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scsi {
    /// Additional sense code: 5Dh is a failure that is predicted.
    pub code: u8,
    /// Its qualifier.
    pub qualifier: u8,
}

/// The log page of 512 bytes.
pub fn nvme(page: &[u8]) -> Option<Nvme> {
    let [critical, _, _, spare, spare_threshold, used] = *page.first_chunk()?;
    let media_errors = u128::from_le_bytes(page.get(160..176)?.try_into().ok()?);
    Some(Nvme { critical, spare, spare_threshold, used, media_errors })
}

/// Raw value of an attribute in the 512 bytes of SMART data; nothing where they are damaged or lack it.
///
/// Vendors put other counts into the upper bytes of the six.
pub fn ata_attribute(data: &[u8], id: u8) -> Option<u64> {
    let sum = data.get(..512)?.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let entry = data.get(2..362)?.chunks_exact(12).find(|entry| entry[0] == id && id != 0)?;
    let raw = u32::from_le_bytes(entry.get(5..9)?.try_into().ok()?);
    (sum == 0).then_some(u64::from(raw))
}

/// Whether the disk expects to fail, from the sense data that hold its registers (SAT-3, 12.2.2.6).
pub fn ata_exceeded(sense: &[u8]) -> Option<bool> {
    let (middle, high) = match sense.first()? & 0x7f {
        // Descriptors: the one of ATA has the registers.
        0x72 | 0x73 => {
            let mut rest = sense.get(8..)?;
            loop {
                let [kind, length] = *rest.first_chunk()?;
                if kind == 0x09 {
                    break (*rest.get(9)?, *rest.get(11)?);
                }
                rest = rest.get(2 + usize::from(length)..)?;
            }
        }
        0x70 | 0x71 => (*sense.get(10)?, *sense.get(11)?),
        _ => return None,
    };
    match (middle, high) {
        (0x4f, 0xc2) => Some(false),
        (0xf4, 0x2c) => Some(true),
        _ => None,
    }
}

/// The log page with its header; the first parameter is the one of exceptions.
pub fn scsi(page: &[u8]) -> Option<Scsi> {
    let [number, _, _, _, code_high, code_low, _, length, code, qualifier] = *page.first_chunk()?;
    let is_page = number & 0x3f == 0x2f && (code_high, code_low) == (0, 0) && length >= 2;
    is_page.then_some(Scsi { code, qualifier })
}

/// What follows from a disk's health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it must be taken to fail, with the numbers; it is fit where there is nothing.
    pub failing: Vec<String>,
    /// What an operator should know of, with the numbers.
    pub notes: Vec<String>,
}

/// What follows from a disk's health: it fails where it says so itself. Counts of errors are notes, as no number
/// of them means the same for two vendors.
pub fn judge(health: &Health) -> Verdict {
    let mut verdict = Verdict::default();
    let mut say = |fails: bool, holds: bool, words: String| match (holds, fails) {
        (true, true) => verdict.failing.push(words),
        (true, false) => verdict.notes.push(words),
        (false, _) => {}
    };
    match health {
        Health::None => {}
        Health::Unknown(why) => say(false, true, format!("its health is not known: {why}")),
        Health::Nvme(nvme) => {
            let bit = |number: u8| nvme.critical & (1 << number) != 0;
            let spare =
                format!("{} % of its spare capacity is left (threshold {} %)", nvme.spare, nvme.spare_threshold);
            say(true, bit(0) || nvme.spare < nvme.spare_threshold, spare);
            say(false, bit(1), "it is too hot or too cold".to_owned());
            let errors = format!("its reliability is degraded ({} media errors)", nvme.media_errors);
            say(true, bit(2), errors);
            say(true, bit(3), "it has made itself read-only".to_owned());
            say(true, bit(4), "the backup of its volatile memory has failed".to_owned());
            say(false, nvme.used >= 100, format!("{} % of its endurance is used", nvme.used));
            say(false, nvme.media_errors > 0 && !bit(2), format!("{} media errors", nvme.media_errors));
        }
        Health::Ata(ata) => {
            let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            let numbers = format!(
                "{} reallocated, {} pending, {} uncorrectable sectors",
                count(ata.reallocated),
                count(ata.pending),
                count(ata.uncorrectable)
            );
            let exceeded = ata.exceeded == Some(true);
            say(true, exceeded, format!("SMART: a threshold is exceeded ({numbers})"));
            let any = [ata.reallocated, ata.pending, ata.uncorrectable].into_iter().flatten().any(|count| count > 0);
            say(false, any && !exceeded, numbers);
            say(false, ata.exceeded.is_none(), "SMART does not say whether a threshold is exceeded".to_owned());
        }
        Health::Scsi(scsi) => {
            let numbers = format!("sense code {:02x}h/{:02x}h", scsi.code, scsi.qualifier);
            // The qualifier FFh is a test of the mechanism itself.
            let predicted = scsi.code == 0x5d && scsi.qualifier != 0xff;
            say(true, predicted, format!("it predicts its failure ({numbers})"));
            say(false, scsi.code != 0 && !predicted, format!("it warns ({numbers})"));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(health: &Health) -> (String, String) {
        let verdict = judge(health);
        (verdict.failing.join("; "), verdict.notes.join("; "))
    }

    #[test]
    fn an_nvme_disk_fails_by_its_critical_bits_and_its_spare() {
        let good = Nvme { spare: 100, spare_threshold: 10, used: 3, ..Nvme::default() };
        assert_eq!(judge(&Health::Nvme(good)), Verdict::default());
        let (failing, _) = words(&Health::Nvme(Nvme { spare: 5, ..good }));
        assert_eq!(failing, "5 % of its spare capacity is left (threshold 10 %)");
        for (bit, word) in [(0, "spare"), (2, "reliability"), (3, "read-only"), (4, "backup")] {
            let (failing, _) = words(&Health::Nvme(Nvme { critical: 1 << bit, ..good }));
            assert!(failing.contains(word), "{failing}");
        }
        let (failing, notes) = words(&Health::Nvme(Nvme { critical: 2, used: 120, media_errors: 7, ..good }));
        assert_eq!(
            (failing.as_str(), notes.as_str()),
            ("", "it is too hot or too cold; 120 % of its endurance is used; 7 media errors")
        );
    }

    #[test]
    fn the_log_of_an_nvme_disk_is_read() {
        let mut page = [0u8; 512];
        page[..6].copy_from_slice(&[4, 0x2c, 1, 97, 10, 42]);
        page[160] = 9;
        let expected = Nvme { critical: 4, spare: 97, spare_threshold: 10, used: 42, media_errors: 9 };
        assert_eq!(nvme(&page), Some(expected));
        assert_eq!(nvme(&page[..100]), None);
    }

    #[test]
    fn the_registers_of_an_ata_disk_are_found_in_both_forms_of_sense_data() {
        let descriptors = |middle: u8, high: u8| {
            let mut sense = vec![0x72, 1, 0, 0x1d, 0, 0, 0, 18, 0x00, 2, 0, 0, 0x09, 0x0c];
            sense.extend([0, 0, 0, 0, 0, 0, 0, middle, 0, high, 0, 0x50]);
            sense
        };
        assert_eq!(ata_exceeded(&descriptors(0x4f, 0xc2)), Some(false));
        assert_eq!(ata_exceeded(&descriptors(0xf4, 0x2c)), Some(true));
        assert_eq!(ata_exceeded(&descriptors(0, 0)), None);
        let fixed = [0x70, 0, 1, 0, 0x50, 0, 0, 10, 0, 0, 0xf4, 0x2c];
        assert_eq!(ata_exceeded(&fixed), Some(true));
    }

    #[test]
    fn attributes_are_read_where_the_sum_is_right() {
        let mut data = [0u8; 512];
        data[2..14].copy_from_slice(&[5, 0x33, 0, 100, 100, 8, 0, 0, 0, 9, 9, 0]);
        data[14..26].copy_from_slice(&[197, 0x12, 0, 100, 100, 2, 1, 0, 0, 0, 0, 0]);
        let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        data[511] = 0u8.wrapping_sub(sum);
        assert_eq!(
            (ata_attribute(&data, 5), ata_attribute(&data, 197), ata_attribute(&data, 198)),
            (Some(8), Some(258), None)
        );
        data[511] ^= 1;
        assert_eq!(ata_attribute(&data, 5), None);
    }

    #[test]
    fn an_ata_disk_fails_by_its_own_word_alone() {
        let ata = Ata { exceeded: Some(false), reallocated: Some(8), pending: Some(0), uncorrectable: None };
        let counts = "8 reallocated, 0 pending, ? uncorrectable sectors";
        assert_eq!(words(&Health::Ata(ata)), (String::new(), counts.into()));
        let (failing, notes) = words(&Health::Ata(Ata { exceeded: Some(true), ..ata }));
        assert_eq!((failing, notes.as_str()), (format!("SMART: a threshold is exceeded ({counts})"), ""));
    }

    #[test]
    fn a_scsi_disk_fails_by_a_predicted_failure() {
        let page = |code: u8, qualifier: u8| [0x2f, 0, 0, 8, 0, 0, 3, 4, code, qualifier, 30, 0];
        assert_eq!(judge(&Health::Scsi(scsi(&page(0, 0)).unwrap())), Verdict::default());
        let failing = words(&Health::Scsi(scsi(&page(0x5d, 0x10)).unwrap())).0;
        assert_eq!(failing, "it predicts its failure (sense code 5dh/10h)");
        assert!(!words(&Health::Scsi(scsi(&page(0x5d, 0xff)).unwrap())).1.is_empty());
        assert!(!words(&Health::Scsi(scsi(&page(0x0b, 1)).unwrap())).1.is_empty());
        assert_eq!(scsi(&[0x2e, 0, 0, 8, 0, 0, 3, 4, 0x5d, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..600), id: u8) {
            let health = [
                nvme(&bytes).map(Health::Nvme),
                scsi(&bytes).map(Health::Scsi),
                Some(Health::Ata(Ata { exceeded: ata_exceeded(&bytes), reallocated: ata_attribute(&bytes, id), ..Ata::default() })),
            ];
            for one in health.iter().flatten() {
                judge(one);
            }
        }
    }
}
