//! `TPM2_MakeCredential` without a TPM: a secret that only one TPM can open, and only where a certain key is in it.

use crate::{
    draw, failed,
    public::{EndorsementKey, Key, Name, Point},
    randomness::Ring,
    wire::Writer,
};
use aes::Aes128;
use cfb_mode::{Encryptor, cipher::KeyIvInit};
use protocol::failure::Result;
use ring::{agreement, hmac, rand::SystemRandom};
use rsa::{BoxedUint, PublicKey, traits::RandomizedEncryptor};
use sha2::{Digest, Sha256};

/// Bytes of what is to be opened.
pub const SECRET_BYTES: usize = 32;
const ACTIVITY: &str = "making a challenge for a TPM";
/// With its end: TPMs count the zero.
const IDENTITY: &[u8] = b"IDENTITY\0";

/// What a TPM is asked to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What is inside of a `TPM2B_ID_OBJECT`.
    pub blob: Vec<u8>,
    /// What is inside of a `TPM2B_ENCRYPTED_SECRET`.
    pub secret: Vec<u8>,
}

/// Closes a secret for the TPM with this endorsement key, where a key of this name is in it.
///
/// # Errors
/// `E-TPM` where the endorsement key is no key.
pub fn make(endorsement: &EndorsementKey, name: &Name, secret: &[u8; SECRET_BYTES]) -> Result<Credential> {
    let (seed, encrypted) = match &endorsement.key {
        Key::Rsa(modulus) => seed_by_rsa(modulus)?,
        Key::Ecc(point) => agree(point, IDENTITY, ACTIVITY)?,
    };
    let name = name.bytes();
    let storage = derive(&seed, b"STORAGE\0", &name, 128);
    let mut identity = Writer::new().sized(secret).done();
    let cipher = Encryptor::<Aes128>::new_from_slices(&storage[..16], &[0; 16]);
    cipher.map_err(|error| failed(ACTIVITY, &error))?.encrypt(&mut identity);
    let integrity = hmac::Key::new(hmac::HMAC_SHA256, &derive(&seed, b"INTEGRITY\0", &[], 256));
    let tag = hmac::sign(&integrity, &[&identity[..], &name].concat());
    Ok(Credential { blob: Writer::new().sized(tag.as_ref()).bytes(&identity).done(), secret: encrypted })
}

fn seed_by_rsa(modulus: &[u8]) -> Result<([u8; 32], Vec<u8>)> {
    let seed = draw(ACTIVITY)?;
    let key = PublicKey::new(BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from(65537_u32));
    let key = key.map_err(|error| failed(ACTIVITY, &error))?;
    let encrypted = rsa::oaep::EncryptingKey::<Sha256>::new_with_label(key, IDENTITY)
        .encrypt_with_rng(&mut Ring, &seed)
        .map_err(|error| failed(ACTIVITY, &error))?;
    Ok((seed, encrypted))
}

/// A secret that only the TPM with the key of this point reaches, and what it reaches it by. Z is the x of the point that
/// both reach; the other side reaches it by the point that is sent.
pub(crate) fn agree(point: &Point, label: &[u8], activity: &str) -> Result<([u8; 32], Vec<u8>)> {
    let refused = || failed(activity, &"the TPM's key is not on its curve");
    let own = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &SystemRandom::new());
    let own = own.map_err(|_| refused())?;
    let public = own.compute_public_key().map_err(|_| refused())?;
    let (x, y) = public.as_ref().get(1..).and_then(|bytes| bytes.split_at_checked(32)).ok_or_else(refused)?;
    let sent = Writer::new().sized(x).sized(y).done();
    let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, point.uncompressed());
    let seed = agreement::agree_ephemeral(own, &theirs, |z| {
        let input = [&1_u32.to_be_bytes()[..], z, label, x, &point.x].concat();
        Sha256::digest(input).into()
    });
    Ok((seed.map_err(|_| refused())?, sent))
}

/// KDFa with SHA-256, up to 256 bits.
pub(crate) fn derive(key: &[u8; 32], label: &[u8], context: &[u8], bits: u32) -> [u8; 32] {
    let input = [&1_u32.to_be_bytes()[..], label, context, &bits.to_be_bytes()].concat();
    let mut output = [0; 32];
    output.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &input).as_ref());
    output
}
