//! Verbs on a node, two at a time: whatever the node's life was before, what comes of two verbs that run together is what
//! comes of one after the other. A verb that waits between its stages (for hooks, for members) may find that the other has
//! come between: it is refused then, and what the other did stands as if it had been alone.

mod verbs;
mod world;

use proptest::prelude::*;
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};
use verbs::Verb;
use world::{Looked, Seen, World};

/// What two verbs came to: each one's answer, and what is seen afterwards.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    answers: [Answer; 2],
    seen: Seen,
}

type Answer = Result<String, protocol::Code>;

/// The first verb goes on until it has waited so often, for the database or a hook; then the second goes its whole way.
/// Where the first holds what the second needs, both go on together.
async fn together<T>(first: impl Future<Output = T>, waits: usize, second: impl Future<Output = T>) -> [T; 2] {
    const HELD_UP: Duration = Duration::from_millis(10);
    let (mut first, mut second, mut left) = (pin!(first), pin!(second), waits);
    let early = poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    });
    if let Some(done) = early.await {
        return [done, second.await];
    }
    match tokio::time::timeout(HELD_UP, &mut second).await {
        Ok(done) => [first.await, done],
        Err(_) => tokio::join!(first, second).into(),
    }
}

/// One after the other, and what is seen between them.
async fn in_turn(world: &World, looked: &Looked, one: &Verb, other: &Verb) -> ([Answer; 2], Seen, Seen) {
    let first = world.run(one, looked).await;
    let between = world.seen().await;
    let second = world.run(other, looked).await;
    ([first, second], between, world.seen().await)
}

/// What is allowed.
#[derive(Debug)]
struct Allowed {
    /// The outcome of each order.
    in_turn: [Outcome; 2],
    /// The outcome of each verb alone, where the other was refused for what it found.
    alone: [Outcome; 2],
}

impl Allowed {
    async fn of(before: &World, looked: &Looked, [one, other]: &[Verb; 2]) -> Self {
        use protocol::Code::WrongState;
        let (first, second) = (before.copied().await, before.copied().await);
        let ([a1, b1], only_one, seen1) = in_turn(&first, looked, one, other).await;
        let ([b2, a2], only_other, seen2) = in_turn(&second, looked, other, one).await;
        let outcome = |answers, seen| Outcome { answers, seen };
        Self {
            in_turn: [outcome([a1.clone(), b1], seen1), outcome([a2, b2.clone()], seen2)],
            alone: [outcome([a1, Err(WrongState)], only_one), outcome([Err(WrongState), b2], only_other)],
        }
    }

    /// A verb that is refused between its stages has told of those that it has behind it.
    fn holds(&self, outcome: &Outcome) -> bool {
        let begun = |outcome: &Outcome| Outcome { seen: outcome.seen.without_stages(), ..outcome.clone() };
        self.in_turn.contains(outcome) || self.alone.iter().any(|alone| begun(alone) == begun(outcome))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn two_verbs_at_once_come_to_what_one_order_of_them_comes_to(
        life in verbs::life(), verbs in verbs::pair(), waits in 0usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (outcome, allowed, remembered) = runtime.block_on(async {
            let before = World::new().await;
            for verb in &life {
                let _ = before.run(verb, &before.look().await).await;
            }
            let looked = before.look().await;
            let both = before.copied().await;
            let answers = together(both.run(&verbs[0], &looked), waits, both.run(&verbs[1], &looked)).await;
            let outcome = Outcome { answers, seen: both.seen().await };
            let allowed = Allowed::of(&before, &looked, &verbs).await;
            (outcome, allowed, both.remembers_what_a_restart_would().await)
        });
        prop_assert!(allowed.holds(&outcome), "{:#?}\nis none of\n{:#?}", outcome, allowed);
        prop_assert_eq!(remembered, Ok(()));
    }
}
