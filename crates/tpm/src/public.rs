//! Public areas: of the endorsement key, which says which TPM it is, of the key that quotes, and of the key below which
//! the TPM seals.

use crate::{
    failed,
    wire::{Malformed, Reader, Writer},
};
use protocol::{encoding::Sha256, failure::Result};

pub(crate) const SHA256: u16 = 0x000b;
pub(crate) const NULL: u16 = 0x0010;
pub(crate) const ECDSA: u16 = 0x0018;
const RSA: u16 = 0x0001;
const ECC: u16 = 0x0023;
const KEYED_HASH: u16 = 0x0008;
pub(crate) const AES: u16 = 0x0006;
pub(crate) const CFB: u16 = 0x0043;
const P256: u16 = 0x0003;

const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const USER_WITH_AUTH: u32 = 1 << 6;
const ADMIN_WITH_POLICY: u32 = 1 << 7;
const NO_DA: u32 = 1 << 10;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// No public area that is read here is longer.
pub const MOST_PUBLIC: usize = 512;

/// TPM2_PolicySecret of the endorsement hierarchy: whoever may use that hierarchy may use the key.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// An endorsement key's kind: TCG's templates L-1 and L-2, which vendors certify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA of 2048 bits.
    Rsa,
    /// P-256.
    Ecc,
}

impl Kind {
    /// The public area up to what is unique to a key.
    fn common(self) -> Vec<u8> {
        let attributes = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT;
        let (algorithm, rest) = match self {
            Kind::Rsa => (RSA, Writer::new().u16(2048).u32(0)),
            Kind::Ecc => (ECC, Writer::new().u16(P256).u16(NULL)),
        };
        let area = Writer::new().u16(algorithm).u16(SHA256).u32(attributes).sized(&ENDORSEMENT_POLICY);
        area.u16(AES).u16(128).u16(CFB).u16(NULL).bytes(&rest.done()).done()
    }

    /// What a TPM makes its endorsement key of.
    pub(crate) fn template(self) -> Vec<u8> {
        let area = Writer::new().bytes(&self.common());
        match self {
            Kind::Rsa => area.sized(&[0; 256]),
            Kind::Ecc => area.sized(&[0; 32]).sized(&[0; 32]),
        }
        .done()
    }
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The modulus; the exponent is 65537.
    Rsa(Vec<u8>),
    /// A point, which nobody has looked for on the curve yet.
    Ecc(Point),
}

/// Two coordinates on P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The first.
    pub x: [u8; 32],
    /// The second.
    pub y: [u8; 32],
}

impl Point {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { x: reader.number()?, y: reader.number()? })
    }

    /// As X9.62 writes it.
    pub fn uncompressed(&self) -> Vec<u8> {
        [&[4], &self.x[..], &self.y[..]].concat()
    }
}

/// What a TPM calls one of its keys: a hash over all that the public area says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub Sha256);

impl Name {
    pub(crate) fn of(area: &[u8]) -> Self {
        Self(Sha256::of(area))
    }

    /// As the TPM writes it.
    pub fn bytes(&self) -> Vec<u8> {
        Writer::new().u16(SHA256).bytes(&self.0.0).done()
    }
}

/// A public area of an endorsement key, of one of the two templates and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndorsementKey {
    /// The key itself.
    pub key: Key,
    area: Vec<u8>,
}

impl EndorsementKey {
    /// Reads a `TPMT_PUBLIC`.
    ///
    /// # Errors
    /// `E-TPM` where it is not one of a default endorsement key.
    pub fn parse(area: &[u8]) -> Result<Self> {
        let key = Self::key(area).map_err(|_| {
            let why = "it is not of one of the default templates (RSA 2048 or P-256)";
            failed("reading a TPM's endorsement key", &why)
        })?;
        Ok(Self { key, area: area.to_vec() })
    }

    fn key(area: &[u8]) -> Result<Key, Malformed> {
        let mut reader = Reader::new(area);
        let key = if area.starts_with(&RSA.to_be_bytes()) {
            reader.constant(&Kind::Rsa.common())?;
            let modulus = reader.sized()?;
            if modulus.len() != 256 || modulus[0] < 0x80 {
                return Err(Malformed);
            }
            Key::Rsa(modulus.to_vec())
        } else {
            reader.constant(&Kind::Ecc.common())?;
            Key::Ecc(Point::read(&mut reader)?)
        };
        reader.end()?;
        Ok(key)
    }

    /// The `TPMT_PUBLIC` that was read.
    pub fn area(&self) -> &[u8] {
        &self.area
    }

    /// SHA-256 of the public area: which TPM it is.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(&self.area)
    }
}

/// The public area of a key that a TPM made for itself, that cannot leave it, and that signs only what the TPM says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotingKey {
    /// The key itself.
    pub point: Point,
    area: Vec<u8>,
}

impl QuotingKey {
    /// Reads a `TPMT_PUBLIC`.
    ///
    /// # Errors
    /// `E-TPM` where the key is of another kind, or could sign or be something else.
    pub fn parse(area: &[u8]) -> Result<Self> {
        const ACTIVITY: &str = "reading a TPM's signing key";
        let (attributes, point) =
            Self::parts(area).map_err(|_| failed(ACTIVITY, &"it is not one of ECDSA over P-256 with SHA-256"))?;
        for (attribute, why) in [
            (RESTRICTED, "it signs what others say as well (not restricted)"),
            (SIGN, "it does not sign"),
            (FIXED_TPM, "it may be elsewhere too (not fixedTPM)"),
            (FIXED_PARENT, "it may be elsewhere too (not fixedParent)"),
            (SENSITIVE_DATA_ORIGIN, "the TPM has not made it (not sensitiveDataOrigin)"),
        ] {
            if attributes & attribute == 0 {
                return Err(failed(ACTIVITY, &why));
            }
        }
        if attributes & DECRYPT != 0 {
            return Err(failed(ACTIVITY, &"it decrypts as well"));
        }
        Ok(Self { point, area: area.to_vec() })
    }

    fn parts(area: &[u8]) -> Result<(u32, Point), Malformed> {
        let mut reader = Reader::new(area);
        reader.constant(&Writer::new().u16(ECC).u16(SHA256).done())?;
        let attributes = reader.u32()?;
        if ![0, 32].contains(&reader.sized()?.len()) {
            return Err(Malformed);
        }
        reader.constant(&Self::scheme())?;
        let point = Point::read(&mut reader)?;
        reader.end()?;
        Ok((attributes, point))
    }

    fn scheme() -> Vec<u8> {
        Writer::new().u16(NULL).u16(ECDSA).u16(SHA256).u16(P256).u16(NULL).done()
    }

    /// What a TPM makes the key of: always the same one, so that nothing has to be kept.
    pub(crate) fn template() -> Vec<u8> {
        let attributes = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA | RESTRICTED | SIGN;
        let area = Writer::new().u16(ECC).u16(SHA256).u32(attributes).sized(&[]);
        area.bytes(&Self::scheme()).sized(&[]).sized(&[]).done()
    }

    /// The `TPMT_PUBLIC` that was read.
    pub fn area(&self) -> &[u8] {
        &self.area
    }

    /// What the TPM calls it.
    pub fn name(&self) -> Name {
        Name::of(&self.area)
    }
}

/// The public area of a key of the owner's hierarchy below which the TPM keeps what is sealed: always the same one, of the
/// template that systemd made of it, so that its tools find it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageKey {
    pub point: Point,
    area: Vec<u8>,
}

impl StorageKey {
    /// Up to what is unique to a key.
    fn common() -> Vec<u8> {
        let attributes = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | RESTRICTED | DECRYPT;
        let area = Writer::new().u16(ECC).u16(SHA256).u32(attributes).sized(&[]);
        area.u16(AES).u16(128).u16(CFB).u16(NULL).u16(P256).u16(NULL).done()
    }

    pub fn template() -> Vec<u8> {
        Writer::new().bytes(&Self::common()).sized(&[]).sized(&[]).done()
    }

    /// Reads a `TPMT_PUBLIC`.
    pub fn parse(area: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(area);
        reader.constant(&Self::common())?;
        let point = Point::read(&mut reader)?;
        reader.end()?;
        Ok(Self { point, area: area.to_vec() })
    }

    pub fn name(&self) -> Name {
        Name::of(&self.area)
    }
}

/// What a TPM makes a sealed secret of, which opens by this policy and in no other way. Nobody can guess at it, so that
/// a TPM that is locked for other guesses opens it all the same.
pub(crate) fn sealed_template(policy: &Sha256) -> Vec<u8> {
    let area = Writer::new().u16(KEYED_HASH).u16(SHA256).u32(FIXED_TPM | FIXED_PARENT | NO_DA);
    area.sized(&policy.0).u16(NULL).sized(&[]).done()
}

/// The policy by which the secret of this `TPMT_PUBLIC` opens.
pub(crate) fn sealed_policy(area: &[u8]) -> Result<Sha256, Malformed> {
    let mut reader = Reader::new(area);
    reader.constant(&Writer::new().u16(KEYED_HASH).u16(SHA256).done())?;
    reader.u32()?;
    let policy = reader.sized()?.try_into().map_err(|_| Malformed)?;
    reader.constant(&NULL.to_be_bytes())?;
    reader.sized()?;
    reader.end()?;
    Ok(Sha256(policy))
}
