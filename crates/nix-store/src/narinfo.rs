//! What a binary cache says about one store path (`HASH.narinfo`). Strict: what is odd is refused, not guessed.

use protocol::{
    encoding::{Sha256, nix_base32_decode, nix_base32_encode},
    names::StorePath,
};
use std::{collections::BTreeSet, fmt};

/// A narinfo is never larger than this: room for thousands of references.
pub const MAX_BYTES: usize = 1 << 20;
const MAX_URL: usize = 1024;
/// Each costs a verification, and a place in the database.
const MAX_SIGNATURES: usize = 64;

/// What to do about a line that Nix would not write.
const REWRITE: &str =
    "have the path's narinfo written anew, as nix copy writes it, or take the path from another cache";

/// Why a narinfo was refused: the field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadNarInfo {
    /// The cause.
    pub cause: String,
    /// What to do.
    pub remedy: &'static str,
}

impl BadNarInfo {
    fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: REWRITE }
    }
}

impl fmt::Display for BadNarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for BadNarInfo {}

/// How a NAR is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compression {
    None,
    Xz,
    Zstd,
    Bzip2,
    Gzip,
    Brotli,
}

impl Compression {
    /// Each with its name in a narinfo and the ending that Nix gives its files.
    pub const ALL: [(Self, &str, &str); 6] = [
        (Self::None, "none", ""),
        (Self::Xz, "xz", ".xz"),
        (Self::Zstd, "zstd", ".zst"),
        (Self::Bzip2, "bzip2", ".bz2"),
        (Self::Gzip, "gzip", ".gz"),
        (Self::Brotli, "br", ".br"),
    ];

    /// Its name in a narinfo.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("none", |(_, name, _)| name)
    }

    /// What Nix appends to `HASH.nar`.
    pub fn ending(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(.., ending)| ending)
    }
}

/// A parsed narinfo. Only the path, NarHash, NarSize and References are covered by the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The path it describes.
    pub path: StorePath,
    /// Where the NAR is, relative to the cache.
    pub url: String,
    /// How it is compressed there.
    pub compression: Compression,
    /// SHA-256 of the compressed file.
    pub file_hash: Option<Sha256>,
    /// Size of the compressed file.
    pub file_size: Option<u64>,
    /// SHA-256 of the NAR.
    pub nar_hash: Sha256,
    /// Size of the NAR.
    pub nar_size: u64,
    /// The paths it needs; may hold itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// `NAME:BASE64`.
    pub signatures: BTreeSet<String>,
    /// How its content determines its path, if it does.
    pub ca: Option<String>,
}

#[derive(Default)]
struct Fields<'a> {
    path: Option<&'a str>,
    url: Option<&'a str>,
    compression: Option<&'a str>,
    file_hash: Option<&'a str>,
    file_size: Option<&'a str>,
    nar_hash: Option<&'a str>,
    nar_size: Option<&'a str>,
    references: Option<&'a str>,
    deriver: Option<&'a str>,
    ca: Option<&'a str>,
    signatures: BTreeSet<String>,
}

impl NarInfo {
    /// What is signed: path, NAR hash, NAR size and references, and nothing else of the narinfo.
    pub fn fingerprint(&self) -> String {
        let references: Vec<&str> = self.references.iter().map(|path| path.as_str()).collect();
        let hash = nix_base32_encode(&self.nar_hash.0);
        format!("1;{};sha256:{hash};{};{}", self.path, self.nar_size, references.join(","))
    }
}

/// As Nix writes it.
impl fmt::Display for NarInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base32 = |hash: &Sha256| nix_base32_encode(&hash.0);
        writeln!(f, "StorePath: {}\nURL: {}\nCompression: {}", self.path, self.url, self.compression.name())?;
        if let Some(hash) = &self.file_hash {
            writeln!(f, "FileHash: sha256:{}", base32(hash))?;
        }
        if let Some(size) = self.file_size {
            writeln!(f, "FileSize: {size}")?;
        }
        writeln!(f, "NarHash: sha256:{}\nNarSize: {}", base32(&self.nar_hash), self.nar_size)?;
        let references: Vec<&str> = self.references.iter().map(StorePath::base).collect();
        writeln!(f, "References: {}", references.join(" "))?;
        if let Some(deriver) = &self.deriver {
            writeln!(f, "Deriver: {}", deriver.base())?;
        }
        for signature in &self.signatures {
            writeln!(f, "Sig: {signature}")?;
        }
        self.ca.iter().try_for_each(|claim| writeln!(f, "CA: {claim}"))
    }
}

/// Reads a narinfo.
///
/// # Errors
/// [`BadNarInfo`] with the field that is wrong.
pub fn parse(text: &str) -> Result<NarInfo, BadNarInfo> {
    if text.len() > MAX_BYTES {
        return Err(BadNarInfo::new("the narinfo is too large"));
    }
    let fields = split(text)?;
    let path = store_path("StorePath", required("StorePath", fields.path)?)?;
    let url = check_url(required("URL", fields.url)?)?;
    let nar_size = size("NarSize", required("NarSize", fields.nar_size)?)?;
    if nar_size == 0 {
        return Err(wrong("NarSize", "0"));
    }
    Ok(NarInfo {
        path,
        url,
        compression: compression(fields.compression)?,
        // Nobody signs it and nothing rests on it: one of another kind is passed over.
        file_hash: fields.file_hash.and_then(parse_hash),
        // Some caches write 0 where they do not know.
        file_size: fields.file_size.map(|text| size("FileSize", text)).transpose()?.filter(|size| *size > 0),
        nar_hash: hash("NarHash", required("NarHash", fields.nar_hash)?)?,
        nar_size,
        // Nix reads a missing line as the empty set, and the signature covers what was meant.
        references: references(fields.references.unwrap_or_default())?,
        deriver: deriver(fields.deriver)?,
        signatures: fields.signatures,
        ca: fields.ca.map(str::to_owned),
    })
}

fn split(text: &str) -> Result<Fields<'_>, BadNarInfo> {
    let mut fields = Fields::default();
    for line in text.lines() {
        // An empty set is written as "References: ", which some tools trim.
        let Some((name, value)) = line.split_once(':') else {
            return Err(BadNarInfo::new(format!("narinfo: {line:?} is no field")));
        };
        let value = value.trim();
        if value.chars().any(char::is_control) {
            return Err(wrong(name, "control characters"));
        }
        let field = match name {
            "StorePath" => &mut fields.path,
            "URL" => &mut fields.url,
            "Compression" => &mut fields.compression,
            "FileHash" => &mut fields.file_hash,
            "FileSize" => &mut fields.file_size,
            "NarHash" => &mut fields.nar_hash,
            "NarSize" => &mut fields.nar_size,
            "References" => &mut fields.references,
            "Deriver" => &mut fields.deriver,
            "CA" => &mut fields.ca,
            "Sig" => {
                fields.signatures.insert(signature(value)?);
                if fields.signatures.len() > MAX_SIGNATURES {
                    return Err(wrong("Sig", format_args!("more than {MAX_SIGNATURES} signatures")));
                }
                continue;
            }
            _ => continue,
        };
        if field.replace(value).is_some() {
            return Err(wrong(name, "given twice"));
        }
    }
    fields.ca = fields.ca.filter(|text| !text.is_empty());
    Ok(fields)
}

fn wrong(field: &str, what: impl std::fmt::Display) -> BadNarInfo {
    BadNarInfo::new(format!("narinfo field {field}: {what}"))
}

fn required<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, BadNarInfo> {
    value.ok_or_else(|| wrong(field, "missing"))
}

fn store_path(field: &str, text: &str) -> Result<StorePath, BadNarInfo> {
    text.parse().map_err(|error| wrong(field, error))
}

fn references(text: &str) -> Result<BTreeSet<StorePath>, BadNarInfo> {
    text.split_ascii_whitespace()
        .map(|base| StorePath::from_base(base).map_err(|error| wrong("References", error)))
        .collect()
}

fn deriver(text: Option<&str>) -> Result<Option<StorePath>, BadNarInfo> {
    match text {
        None | Some("" | "unknown-deriver") => Ok(None),
        Some(base) => StorePath::from_base(base).map(Some).map_err(|error| wrong("Deriver", error)),
    }
}

fn compression(text: Option<&str>) -> Result<Compression, BadNarInfo> {
    // Nix reads a missing line as bzip2.
    let name = text.unwrap_or("bzip2");
    if name.is_empty() {
        return Ok(Compression::None);
    }
    let known = Compression::ALL.iter().find(|(_, known, _)| *known == name);
    known.map(|(compression, ..)| *compression).ok_or_else(|| BadNarInfo {
        remedy: "push the closure again with compression=zstd in the cache's URL",
        ..wrong("Compression", format_args!("{name:?} is not supported"))
    })
}

/// A path below the cache and nothing else: the field is not signed, so it must not lead anywhere.
fn check_url(text: &str) -> Result<String, BadNarInfo> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%+=?&,:@!".contains(&byte);
    let leads_away = text.starts_with('/') || text.contains("://") || text.split('/').any(|part| part == "..");
    if text.is_empty() || text.len() > MAX_URL || !text.bytes().all(plain) || leads_away {
        return Err(wrong("URL", format_args!("{text:?} is not a path below the cache")));
    }
    Ok(text.to_owned())
}

/// SQLite, like Nix, keeps sizes as signed 64-bit numbers.
fn size(field: &str, text: &str) -> Result<u64, BadNarInfo> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|number| digits && i64::try_from(*number).is_ok());
    number.ok_or_else(|| wrong(field, format_args!("{text:?} is not a size")))
}

/// `sha256:` with Nix's base32 or hex, or `sha256-` with base64.
fn hash(field: &str, text: &str) -> Result<Sha256, BadNarInfo> {
    parse_hash(text).ok_or_else(|| wrong(field, format_args!("{text:?} is not a SHA-256")))
}

/// The SHA-256 of such a text, as the Nix database has them too.
pub fn parse_hash(text: &str) -> Option<Sha256> {
    if let Some(base64) = text.strip_prefix("sha256-") {
        let bytes = data_encoding::BASE64.decode(base64.as_bytes()).ok()?;
        return Some(Sha256(bytes.try_into().ok()?));
    }
    let digits = text.strip_prefix("sha256:")?;
    match digits.len() {
        52 => nix_base32_decode(digits).ok().map(Sha256),
        _ => digits.parse().ok(),
    }
}

fn signature(text: &str) -> Result<String, BadNarInfo> {
    let well_formed = text.split_once(':').is_some_and(|(name, signature)| {
        !name.is_empty()
            && !text.contains(char::is_whitespace)
            && data_encoding::BASE64.decode_len(signature.len()).is_ok_and(|length| length >= 64)
    });
    if well_formed { Ok(text.to_owned()) } else { Err(wrong("Sig", format_args!("{text:?} is not NAME:BASE64"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "0123456789abcdfghijklmnpqrsvwxyz-hello-1.0";
    const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn text() -> String {
        format!(
            "StorePath: /nix/store/{BASE}\nURL: nar/x.nar.zst\nCompression: zstd\nFileHash: {HASH}\nFileSize: 7\n\
             NarHash: {HASH}\nNarSize: 120\nReferences: {BASE}\nDeriver: unknown-deriver\n"
        )
    }

    #[test]
    fn reads_what_nix_writes() {
        let info = parse(&text()).unwrap();
        assert_eq!(info.path.base(), BASE);
        assert_eq!((info.nar_size, info.file_size), (120, Some(7)));
        assert_eq!(info.nar_hash, Sha256::of(b""));
        assert_eq!(info.compression, Compression::Zstd);
        assert_eq!(info.references.len(), 1);
        assert_eq!((info.deriver, info.ca), (None, None));
    }

    #[test]
    fn an_empty_set_of_references_may_be_trimmed_or_left_out() {
        for empty in ["References: \n", "References:\n", ""] {
            let text = text().replace(&format!("References: {BASE}\n"), empty);
            assert!(parse(&text).unwrap().references.is_empty());
        }
    }

    #[test]
    fn an_unknown_compression_is_named_and_a_missing_one_is_bzip2() {
        let bad = parse(&text().replace("Compression: zstd\n", "Compression: lzip\n")).unwrap_err();
        assert!(bad.cause.contains("lzip") && bad.remedy.contains("zstd"), "{bad}");
        assert_eq!(parse(&text().replace("Compression: zstd\n", "")).unwrap().compression, Compression::Bzip2);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let text = text().replace("unknown-deriver", &format!("{BASE}.drv")) + "Sig: k-1:" + &"A".repeat(88) + "\n";
        for (compression, name, _) in Compression::ALL {
            let info = parse(&text.replace("zstd", name)).unwrap();
            assert_eq!(info.compression, compression);
            assert_eq!(parse(&info.to_string()).unwrap(), info);
        }
        assert_eq!(parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn only_so_many_signatures_are_taken() {
        let signed = |count: usize| {
            let lines: Vec<String> = (0..count).map(|number| format!("Sig: k-{number}:{}\n", "A".repeat(88))).collect();
            parse(&(text() + &lines.concat()))
        };
        assert_eq!(signed(MAX_SIGNATURES).unwrap().signatures.len(), MAX_SIGNATURES);
        assert!(signed(MAX_SIGNATURES + 1).is_err());
    }

    #[test]
    fn the_fingerprint_has_sorted_full_paths() {
        let references = "References: 1123456789abcdfghijklmnpqrsvwxyz-c 0123456789abcdfghijklmnpqrsvwxyz-b";
        let info = parse(&text().replace(&format!("References: {BASE}"), references)).unwrap();
        let expected = format!(
            "1;/nix/store/{BASE};{HASH};120;/nix/store/0123456789abcdfghijklmnpqrsvwxyz-b,\
             /nix/store/1123456789abcdfghijklmnpqrsvwxyz-c"
        );
        assert_eq!(info.fingerprint(), expected);
    }

    #[test]
    fn what_is_odd_is_refused() {
        for (good, bad) in [
            ("URL: nar/x.nar.zst", "URL: ../x"),
            ("URL: nar/x.nar.zst", "URL: nar/../../x"),
            ("URL: nar/x.nar.zst", "URL: http://elsewhere/x"),
            ("URL: nar/x.nar.zst", "URL: /x"),
            ("URL: nar/x.nar.zst", "URL: a b"),
            ("NarSize: 120", "NarSize: -1"),
            ("NarSize: 120", "NarSize: +1"),
            ("NarSize: 120", "NarSize: 0"),
            ("NarSize: 120", "NarSize: 9223372036854775808"),
            ("NarSize: 120", "NarSize: 120\nNarSize: 121"),
            ("NarSize: 120\n", ""),
            ("NarHash: sha256", "NarHash: sha512"),
            ("References: ", "References: ../x "),
            ("StorePath: /nix/store/", "StorePath: /tmp/"),
            ("FileSize: 7", "no field"),
            ("FileSize: 7", "Sig: x"),
        ] {
            let text = text().replace(good, bad);
            assert!(parse(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hash_may_be_base32_hex_or_base64() {
        let hash = Sha256::of(b"");
        let base64 = data_encoding::BASE64.encode(&hash.0);
        for text in [HASH.to_owned(), format!("sha256:{}", hash.hex()), format!("sha256-{base64}")] {
            assert_eq!(parse_hash(&text), Some(hash), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_narinfo_with_one_damaged_byte_is_read_or_refused(position in 0usize..300, byte: u8) {
            let mut bytes = text().into_bytes();
            let position = position % bytes.len();
            bytes[position] = byte;
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
