//! Which disk a selector means: exactly one, or a refusal.

use super::probe::{Busy, Content};
use hardware::inventory::by_id;
use protocol::{
    Code,
    hint::{SizeHint, TextHint},
    inventory::{Disk, Transport},
    spec::Selector,
};
use std::collections::BTreeMap;

/// Why a selector does not name a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDisk {
    /// Nothing matches.
    None,
    /// Several match.
    Several(Vec<String>),
    /// What matches must not be used: names and reasons.
    Unfit(Vec<(String, String)>),
    /// The selector itself is wrong.
    Malformed(String),
}

impl NoDisk {
    /// The code of the refusal.
    pub fn code(&self) -> Code {
        match self {
            NoDisk::None => Code::DiskNotFound,
            NoDisk::Several(_) => Code::DiskAmbiguous,
            NoDisk::Unfit(_) => Code::DiskUnfit,
            NoDisk::Malformed(_) => Code::Input,
        }
    }

    /// One line.
    pub fn describe(&self) -> String {
        match self {
            NoDisk::None => "no disk matches".to_owned(),
            NoDisk::Several(names) => format!("{} disks match: {}", names.len(), names.join(", ")),
            NoDisk::Unfit(disks) => {
                let reasons: Vec<String> = disks.iter().map(|(name, why)| format!("{name} is {why}")).collect();
                format!("what matches cannot be used: {}", reasons.join("; "))
            }
            NoDisk::Malformed(why) => why.clone(),
        }
    }
}

/// The one disk that every hint of the selector fits and that may be used.
///
/// # Errors
/// [`NoDisk`] for none, several, only such as must not be used, or a selector that cannot be understood.
pub fn choose<'a>(
    selector: &Selector,
    disks: &'a [Disk],
    contents: &BTreeMap<String, Content>,
) -> Result<&'a Disk, NoDisk> {
    let matcher = Matcher::read(selector).map_err(NoDisk::Malformed)?;
    let mut fit = Vec::new();
    let mut unfit = Vec::new();
    for disk in disks.iter().filter(|disk| matcher.fits(disk)) {
        match exclusion(disk, disks, contents.get(&disk.name)) {
            None => fit.push(disk),
            Some(why) => unfit.push((disk.name.clone(), why)),
        }
    }
    match fit[..] {
        [disk] => Ok(disk),
        [] if unfit.is_empty() => Err(NoDisk::None),
        [] => Err(NoDisk::Unfit(unfit)),
        _ => {
            let mut names: Vec<String> = fit.iter().map(|disk| disk.name.clone()).collect();
            names.sort();
            Err(NoDisk::Several(names))
        }
    }
}

/// Why a disk must not be used whatever the selector says, in words behind "it is"; `None` where it may be.
///
/// One that is held by arrays, volumes or mappings may be: they can be taken down, if [`held_elsewhere`] allows.
pub fn exclusion(disk: &Disk, disks: &[Disk], content: Option<&Content>) -> Option<String> {
    let reasons = [
        (disk.size == 0).then(|| "without a medium".to_owned()),
        (disk.transport == Transport::Usb).then(|| "on USB".to_owned()),
        disk.removable.then(|| "removable".to_owned()),
        disk.read_only.then(|| "write-protected".to_owned()),
        content.and_then(|content| content.unreadable.clone()).map(|why| format!("unreadable: {why}")),
        content.and_then(in_use),
        multipath(disk, disks, content),
    ];
    reasons.into_iter().flatten().next()
}

fn in_use(content: &Content) -> Option<String> {
    content.busy.as_ref().filter(|busy| !matches!(busy, Busy::Held { .. })).map(Busy::describe)
}

/// Writing to one path of several would go behind the back of the others.
fn multipath(disk: &Disk, disks: &[Disk], content: Option<&Content>) -> Option<String> {
    if content.is_some_and(|content| content.signatures.iter().any(|one| one.kind == "mpath_member")) {
        return Some("a path of a multipath disk".to_owned());
    }
    // Cheap disks share identifiers; paths of one disk share everything.
    let same = |other: &&Disk| {
        other.name != disk.name
            && other.wwid.as_deref().is_some_and(|wwid| !wwid.is_empty())
            && (&other.wwid, &other.serial, other.size) == (&disk.wwid, &disk.serial, disk.size)
    };
    let others: Vec<&str> = disks.iter().filter(same).map(|other| other.name.as_str()).collect();
    (!others.is_empty()).then(|| format!("a path of the same disk as {}", others.join(", ")))
}

/// The first of the chosen disks with something on it that stands on a disk outside of them, too: taking that down
/// would touch the other disk. Name and reason.
pub fn held_elsewhere(chosen: &[&Disk], contents: &BTreeMap<String, Content>) -> Option<(String, String)> {
    chosen.iter().find_map(|disk| {
        let Some(Busy::Held { by, also_on }) = &contents.get(&disk.name)?.busy else { return None };
        let outside: Vec<&str> =
            also_on.iter().map(String::as_str).filter(|name| chosen.iter().all(|other| other.name != *name)).collect();
        let why = || format!("held by {}, which stands on {} as well", by.join(", "), outside.join(", "));
        (!outside.is_empty()).then(|| (disk.name.clone(), why()))
    })
}

/// A selector that was understood.
struct Matcher<'a> {
    selector: &'a Selector,
    texts: Vec<(&'static str, TextHint)>,
    size: Option<SizeHint>,
}

impl<'a> Matcher<'a> {
    fn read(selector: &'a Selector) -> Result<Self, String> {
        selector.check()?;
        let hint = |(name, text): (&'static str, &str)| Ok((name, TextHint::parse(text)?));
        Ok(Self {
            selector,
            texts: selector.texts().map(hint).collect::<Result<_, String>>()?,
            size: selector.size.as_deref().map(SizeHint::parse).transpose()?,
        })
    }

    fn fits(&self, disk: &Disk) -> bool {
        let text = |(name, hint): &(&'static str, TextHint)| {
            let forms = forms(name, disk);
            hint.fits(&forms.iter().map(String::as_str).collect::<Vec<_>>())
        };
        self.texts.iter().all(text)
            && self.size.as_ref().is_none_or(|size| size.fits(disk.size))
            && self.selector.rotational.is_none_or(|rotational| rotational == disk.rotational)
            && self.selector.transport.is_none_or(|transport| transport == disk.transport)
            && self.selector.device.as_deref().is_none_or(|path| is_path_of(path.trim(), disk))
    }
}

/// The ways in which a fact of a disk is written.
fn forms(hint: &str, disk: &Disk) -> Vec<String> {
    let fact = |text: &Option<String>| text.iter().cloned().collect();
    match hint {
        "serial" => fact(&disk.serial),
        "model" => fact(&disk.model),
        "vendor" => fact(&disk.vendor),
        "hctl" => fact(&disk.hctl),
        "name" => vec![disk.name.clone(), format!("/dev/{}", disk.name)],
        "by_path" => {
            let short = by_paths(disk);
            let long = short.iter().map(|name| format!("/dev/disk/by-path/{name}")).collect();
            [short, long].concat()
        }
        "wwn" => wwn_forms(disk),
        "wwn_with_extension" => digits(disk).map(|digits| format!("0x{digits}")).into_iter().collect(),
        // Of a name of 32 digits the last 16 are the vendor's extension.
        "wwn_vendor_extension" => {
            let extension = digits(disk).and_then(|digits| digits.get(16..)).filter(|digits| !digits.is_empty());
            extension.map(|digits| format!("0x{digits}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The hexadecimal digits of an NAA name.
fn digits(disk: &Disk) -> Option<&str> {
    let wwn = disk.wwn.as_deref()?;
    wwn.strip_prefix("naa.").or_else(|| wwn.strip_prefix("0x"))
}

/// As the kernel writes it, and as udev does: with `0x`, of a long one the first 16 digits alone, too.
fn wwn_forms(disk: &Disk) -> Vec<String> {
    let mut forms: Vec<String> = disk.wwn.iter().cloned().collect();
    if let Some(digits) = digits(disk) {
        forms.push(format!("0x{digits}"));
        forms.push(format!("naa.{digits}"));
        forms.extend(digits.get(..16).map(|first| format!("0x{first}")));
    }
    forms
}

/// udev's names in /dev/disk/by-path, the older ones too.
fn by_paths(disk: &Disk) -> Vec<String> {
    let Some(path) = &disk.by_path else { return Vec::new() };
    let mut names = vec![path.clone()];
    if disk.transport == Transport::Virtio {
        names.push(format!("virtio-{path}"));
    }
    if let Some(port) = path.strip_suffix(".0").filter(|_| disk.transport == Transport::Sata) {
        names.push(port.to_owned());
    }
    names
}

/// Whether the kernel or udev would name this disk so.
fn is_path_of(path: &str, disk: &Disk) -> bool {
    if let Some(id) = path.strip_prefix("/dev/disk/by-id/") {
        let wanted = folded(id);
        return disk.by_id.iter().any(|known| folded(known) == wanted);
    }
    if let Some(by_path) = path.strip_prefix("/dev/disk/by-path/") {
        return by_paths(disk).iter().any(|known| known == by_path);
    }
    if let Some(number) = path.strip_prefix("/dev/disk/by-diskseq/") {
        return disk.diskseq.is_some_and(|own| own.to_string() == number);
    }
    // The name of an image file is its path.
    path.strip_prefix("/dev/") == Some(&disk.name) || path == disk.name
}

/// Paths of what stands on disks, which are none themselves.
pub fn is_no_path_of_a_disk(path: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "/dev/mapper/",
        "/dev/md",
        "/dev/dm-",
        "/dev/zvol/",
        "/dev/disk/by-uuid/",
        "/dev/disk/by-label/",
        "/dev/disk/by-partuuid/",
        "/dev/disk/by-partlabel/",
    ];
    let is_partition = || {
        let name = path.strip_prefix("/dev/").unwrap_or_default();
        let stem = name.trim_end_matches(|char: char| char.is_ascii_digit());
        let letters = ["sd", "vd", "xvd", "hd"].iter().any(|kind| stem.starts_with(kind));
        let of_number = stem.strip_suffix('p').is_some_and(|disk| disk.ends_with(|char: char| char.is_ascii_digit()));
        let numbered = of_number && ["nvme", "mmcblk", "loop"].iter().any(|kind| stem.starts_with(kind));
        stem.len() < name.len() && (letters || numbered) || name.contains("-part")
    };
    OTHERS.iter().any(|other| path.starts_with(other)) || is_partition()
}

/// A name in /dev/disk/by-id with blanks as udev leaves them in no name: written as `\x20`, or as one or more `_`.
fn folded(id: &str) -> String {
    let mut text = String::new();
    let mut rest = id;
    while let Some(at) = rest.find("\\x") {
        let code = rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        text.push_str(&rest[..at]);
        match code {
            Some(code) => {
                text.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                text.push_str("\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    text.push_str(rest);
    let plain = by_id::plain(&text);
    plain.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests;
