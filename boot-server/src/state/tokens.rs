//! Admin tokens, of which only hashes are kept.

use super::{State, Write, millis, wrong};
use protocol::{Timestamp, encoding::Sha256, failure::Result};

/// A fresh token.
///
/// # Errors
/// Where the system has no random numbers.
pub fn fresh() -> Result<String> {
    crate::random::name()
}

/// Keeps the token's hash.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn add(write: &mut Write, name: &str, token: &str, now: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO tokens (sha256, name, created) VALUES (?, ?, ?)")
        .bind(Sha256::of(token.as_bytes()).hex())
        .bind(name)
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("adding a token", &error))?;
    Ok(())
}

impl State {
    /// The name of the token, where it is one. The look-up is by hash, so its time tells nothing of a token.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn token_name(&self, token: &str) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT name FROM tokens WHERE sha256 = ?")
            .bind(Sha256::of(token.as_bytes()).hex())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| wrong("looking up a token", &error))
    }
}
