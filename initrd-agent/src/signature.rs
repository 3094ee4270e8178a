//! What the boot-server signs with its manifest key.

use protocol::trust::PublicKey;
use ring::signature::{ED25519, UnparsedPublicKey};

/// Whether one of these keys signed the statement.
pub fn is_signed(keys: &[PublicKey], statement: &[u8], signature: &[u8]) -> bool {
    keys.iter().any(|key| UnparsedPublicKey::new(&ED25519, &key.0).verify(statement, signature).is_ok())
}
