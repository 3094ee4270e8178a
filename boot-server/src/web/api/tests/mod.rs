//! Verbs on a node, two at a time: whatever the node's life was before, what comes of two verbs that run together is what
//! comes of one after the other. A verb that waits between its stages (for hooks, for members) may find that the other has
//! come between: it is refused then, and what the other did stands as if it had been alone.

mod strangers;
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

/// One after the other: what each came to, what is seen between them and at last, and what each might have been answered
/// as well: an enrolment is answered with where it stands then, which may be after the other verb.
#[derive(Debug)]
struct InTurn {
    answers: [Answer; 2],
    again: [Option<Answer>; 2],
    between: Seen,
    seen: Seen,
}

impl InTurn {
    async fn of(world: &World, looked: &Looked, verbs: [&Verb; 2]) -> Self {
        let begun = world.enrolments();
        let first = world.run(verbs[0], looked).await;
        let between = world.seen().await;
        let second = world.run(verbs[1], looked).await;
        let seen = world.seen().await;
        let mut again = world.asked_again(begun).await.into_iter();
        let again = verbs.map(|verb| if matches!(verb, Verb::Enrols(_)) { again.next() } else { None });
        Self { answers: [first, second], again, between, seen }
    }

    fn holds(&self, outcome: &Outcome) -> bool {
        let is = |n: usize| {
            let answer = &outcome.answers[n];
            *answer == self.answers[n] || self.again[n].as_ref() == Some(answer)
        };
        is(0) && is(1) && self.seen == outcome.seen
    }

    /// The first alone.
    fn only_first(&self, outcome: &Outcome) -> bool {
        // A verb that is refused between its stages has told of those that it has behind it.
        let is_refused = outcome.answers[1] == Err(protocol::Code::WrongState);
        let seen = self.between.without_stages() == outcome.seen.without_stages();
        outcome.answers[0] == self.answers[0] && is_refused && seen
    }
}

/// What is seen and answered, from the point of view of the other verb.
fn turned(outcome: &Outcome) -> Outcome {
    let [one, other] = outcome.answers.clone();
    Outcome { answers: [other, one], seen: outcome.seen.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn two_verbs_at_once_come_to_what_one_order_of_them_comes_to(
        life in verbs::life(), verbs in verbs::pair(), waits in 0usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (outcome, orders, remembered) = runtime.block_on(async {
            let before = World::new().await;
            for verb in &life {
                let _ = before.run(verb, &before.look().await).await;
            }
            let looked = before.look().await;
            let both = before.copied().await;
            let answers = together(both.run(&verbs[0], &looked), waits, both.run(&verbs[1], &looked)).await;
            let outcome = Outcome { answers, seen: both.seen().await };
            let [one, other] = &verbs;
            let orders = [
                InTurn::of(&before.copied().await, &looked, [one, other]).await,
                InTurn::of(&before.copied().await, &looked, [other, one]).await,
            ];
            (outcome, orders, both.remembers_what_a_restart_would().await)
        });
        let [forth, back] = &orders;
        let other_way = turned(&outcome);
        let held = forth.holds(&outcome) || back.holds(&other_way);
        let held = held || forth.only_first(&outcome) || back.only_first(&other_way);
        prop_assert!(held, "{:#?}\nis none of\n{:#?}", outcome, orders);
        prop_assert_eq!(remembered, Ok(()));
    }
}
