//! Who fills the binary cache. A system is thousands of paths, pushed one by one: the audit has the first of them as it comes,
//! and how many it were once no more come.

use crate::{
    base::bell::Stop,
    domain::audit::{Action, Actor},
    state::State,
};
use protocol::names::StorePath;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Nothing has come for so long: the push has ended.
const QUIET: Duration = Duration::from_secs(30);

/// Notes pushes.
#[derive(Debug, Clone)]
pub struct Pushes {
    state: State,
    stop: Stop,
    under_way: Arc<Mutex<HashMap<String, Push>>>,
}

#[derive(Debug)]
struct Push {
    paths: u64,
    last: StorePath,
    at: Instant,
}

impl Pushes {
    /// Of the parts it uses.
    pub fn new(state: State, stop: Stop) -> Self {
        Self { state, stop, under_way: Arc::default() }
    }

    /// Notes that a path was pushed.
    pub async fn note(&self, actor: &Actor, path: &StorePath) {
        let is_first = {
            let mut under_way = self.lock();
            let push = under_way.entry(key(actor)).or_insert(Push { paths: 0, last: path.clone(), at: Instant::now() });
            *push = Push { paths: push.paths + 1, last: path.clone(), at: Instant::now() };
            push.paths == 1
        };
        if is_first {
            self.write(actor, format!("pushes into the cache, first {path}")).await;
            tokio::spawn(self.clone().end(actor.clone()));
        }
    }

    async fn end(self, actor: Actor) {
        let mut stopping = self.stop.listen();
        let ended = loop {
            let Some(quiet_at) = self.lock().get(&key(&actor)).map(|push| push.at + QUIET) else { return };
            let stops = tokio::select! {
                () = tokio::time::sleep_until(quiet_at) => false,
                _ = stopping.wait_for(|stop| *stop) => true,
            };
            let mut under_way = self.lock();
            if stops || under_way.get(&key(&actor)).is_some_and(|push| push.at.elapsed() >= QUIET) {
                break under_way.remove(&key(&actor));
            }
        };
        if let Some(push) = ended.filter(|push| push.paths > 1) {
            self.write(&actor, format!("pushed {} paths into the cache, last {}", push.paths, push.last)).await;
        }
    }

    async fn write(&self, actor: &Actor, text: String) {
        if let Err(failure) = self.state.note(actor, None, Action::CachePushed.says(text)).await {
            tracing::warn!(%failure, "noting a push");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Push>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admin at one place.
fn key(actor: &Actor) -> String {
    format!("{} {:?} {:?}", actor.name, actor.kind, actor.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::health::Health, state::path_in};
    use protocol::audit::AuditQuery;

    #[tokio::test]
    async fn a_push_of_many_paths_is_two_entries() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let stop = Stop::default();
        let pushes = Pushes::new(state.clone(), stop.clone());
        let path = |n: u32| format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-p{n}").parse().unwrap();
        for n in 0..7 {
            pushes.note(&Actor::folder(), &path(n)).await;
        }
        let entries = async || state.audit_lines(&AuditQuery::default()).await.unwrap().unwrap().1;
        assert!(entries().await.contains("first /nix/store/0123456789abcdfghijklmnpqrsvwxyz-p0"));
        stop.now();
        while entries().await.lines().count() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(entries().await.contains("pushed 7 paths into the cache, last"), "{}", entries().await);
    }
}
