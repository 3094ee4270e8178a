//! Machines that admins have refused.

use super::{Doing, Unit, column, to_column};
use protocol::{failure::Result, rejection::Rejection};

/// Refusals that are kept.
pub const MOST: usize = 1_000;

impl Unit {
    /// Every refusal as the unit sees it, the oldest first.
    pub async fn rejections(&mut self) -> Result<Vec<Rejection>> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT rejection FROM rejections ORDER BY id")
            .fetch_all(&mut *self.connection)
            .await
            .doing("reading refusals")?;
        rows.iter().map(|row| column("a refusal", row)).collect()
    }

    /// Keeps these, and no other.
    pub async fn keep_rejections(&mut self, rejections: Vec<Rejection>) -> Result<()> {
        self.after.changed = true;
        const KEEPING: &str = "keeping refusals";
        sqlx::query("DELETE FROM rejections").execute(&mut *self.connection).await.doing(KEEPING)?;
        for rejection in &rejections {
            sqlx::query("INSERT INTO rejections (rejection) VALUES (?)")
                .bind(to_column("a refusal", rejection)?)
                .execute(&mut *self.connection)
                .await
                .doing(KEEPING)?;
        }
        self.after.memory.rejections = Some(rejections);
        Ok(())
    }
}
