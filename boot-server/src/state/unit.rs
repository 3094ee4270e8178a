//! The end of a change: its commit, and what follows.

use super::{After, Doing, HEALTH, State, Unit};
use crate::domain::enrolment::Entry;
use protocol::{
    Code, Timestamp,
    failure::{OrFail, Result},
    names::NodeName,
};

impl Unit {
    /// When the change began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The node was told what it waits for, or that it waits no more: at hand alone.
    pub fn waits(&mut self, node: &NodeName, reason: Option<String>) {
        self.after.memory.waits.push((node.clone(), reason, self.now));
    }

    /// Makes the change durable; then the memory at hand follows, and who waits is woken.
    ///
    /// # Errors
    /// `E-SYSTEM`; nothing of the change has happened then.
    pub async fn commit(self) -> Result<()> {
        // A caller that hangs up must not come between the commit and the memory that follows it.
        tokio::spawn(self.finish()).await.or_fail(Code::Internal, || "committing a write")?
    }

    async fn finish(mut self) -> Result<()> {
        let after = std::mem::take(&mut self.after);
        let entries = self.entries(&after).await?;
        let committed = sqlx::query("COMMIT").execute(&mut *self.connection).await;
        committed.doing("committing a write").map_err(|failure| self.state.broken(failure))?;
        self.committed = true;
        // The connection goes back only after this: units follow one another in memory as they do on disk.
        self.state.follow(after, entries);
        Ok(())
    }

    async fn entries(&mut self, after: &After) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for name in &after.nodes {
            entries.extend(self.entry(name).await?);
        }
        Ok(entries)
    }

    /// The node's entry is made anew after the commit.
    pub(super) fn touch(&mut self, node: &NodeName) {
        self.after.nodes.insert(node.clone());
    }
}

impl State {
    fn follow(&self, after: After, entries: Vec<Entry>) {
        self.health.set(HEALTH, "running");
        let changed = after.changed || !entries.is_empty() || after.memory.rings();
        let news = self.memory.follow(after.memory, entries);
        if changed || news {
            self.changed.ring();
        }
        if after.written {
            self.written.ring();
        }
    }
}

impl Drop for Unit {
    /// SQLite may have rolled back by itself, where the disk is full, or may not: a connection whose change was not
    /// committed is closed, and the next change gets another.
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
