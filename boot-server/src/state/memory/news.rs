//! Who waits for news of an enrolment: a machine is woken by what becomes of its own, not by every other that asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Who waits, by the row of the enrolment.
#[derive(Debug, Default)]
pub struct News(Mutex<HashMap<i64, Vec<Arc<Notify>>>>);

/// Somebody who waits; forgotten on drop.
#[derive(Debug)]
pub struct Listener<'a> {
    news: &'a News,
    enrolment: i64,
    told: Arc<Notify>,
}

impl News {
    /// Hears all that becomes of the enrolment after this call.
    pub fn listen(&self, enrolment: i64) -> Listener<'_> {
        let told = Arc::new(Notify::new());
        self.lock().entry(enrolment).or_default().push(told.clone());
        Listener { news: self, enrolment, told }
    }

    /// Something has become of the enrolment.
    pub(in crate::state) fn tell(&self, enrolment: i64) {
        for told in self.lock().get(&enrolment).into_iter().flatten() {
            told.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Vec<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener<'_> {
    /// Ends when there is news.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut all = self.news.lock();
        if let Some(own) = all.get_mut(&self.enrolment) {
            own.retain(|other| !Arc::ptr_eq(other, &self.told));
            if own.is_empty() {
                all.remove(&self.enrolment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task::Context};

    fn is_told(listener: &Listener<'_>) -> bool {
        let told = pin!(listener.told());
        told.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn only_who_waits_for_this_enrolment_is_woken_and_nothing_is_left_of_who_has_gone() {
        let news = News::default();
        let (own, again, other) = (news.listen(1), news.listen(1), news.listen(2));
        news.tell(1);
        assert_eq!([&own, &again, &other].map(is_told), [true, true, false]);
        assert!(!is_told(&own), "told once");
        drop((own, again));
        news.tell(2);
        assert!(is_told(&other), "news from before it is asked for");
        drop(other);
        assert!(news.lock().is_empty());
    }
}
