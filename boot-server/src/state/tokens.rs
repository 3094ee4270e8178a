//! Admin tokens, of which only hashes are kept.

use super::{Doing, State, Unit, millis};
use protocol::{encoding::Sha256, failure::Result};

impl Unit {
    /// Keeps the token's hash.
    pub async fn add_token(&mut self, name: &str, token: &str) -> Result<()> {
        sqlx::query("INSERT INTO tokens (sha256, name, created) VALUES (?, ?, ?)")
            .bind(Sha256::of(token.as_bytes()).hex())
            .bind(name)
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("adding a token")?;
        Ok(())
    }
}

impl State {
    /// The name of the token, where it is one. The look-up is by hash, so its time tells nothing of a token.
    pub async fn token_name(&self, token: &str) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT name FROM tokens WHERE sha256 = ?")
            .bind(Sha256::of(token.as_bytes()).hex())
            .fetch_optional(&self.readers)
            .await
            .doing("looking up a token")
    }
}
