//! Certificates that end, and that their nodes have not renewed.

use crate::{
    base::{bell::Stop, clock::now},
    state::State,
};
use protocol::{Timestamp, admin::NodeState, failure::Result, names::NodeName};
use std::collections::HashMap;
use time::Duration;

/// However long a certificate lives, nodes are looked at so often.
const SELDOM: Duration = Duration::hours(1);

/// Notes once for each certificate that its end is near, until the server stops.
pub async fn run(state: State, life: Duration, stop: Stop) {
    let mut stopping = stop.listen();
    let mut told = HashMap::new();
    let pause = (life / 24_i32).min(SELDOM).unsigned_abs();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        if let Err(failure) = look(&state, life, &mut told).await {
            tracing::warn!(%failure, "looking at the nodes' certificates");
        }
    }
}

async fn look(state: &State, life: Duration, told: &mut HashMap<NodeName, Timestamp>) -> Result<()> {
    let now = now();
    for node in state.nodes().await? {
        let lives = node.record.used && node.record.state != NodeState::Retired;
        let Some(ends) = node.certificate_ends.filter(|ends| lives && is_late(*ends, life, now)) else { continue };
        if told.insert(node.name.clone(), ends) != Some(ends) {
            let text = format!(
                "its certificate ends {}, and it has not renewed it: on it, initrd-agent renew",
                protocol::to_the_second(ends)
            );
            tracing::warn!(node = %node.name, "{text}");
            state.note("server", Some(&node.name), text).await?;
        }
    }
    Ok(())
}

/// A node renews when two thirds are over: half of the rest later it is late.
fn is_late(ends: Timestamp, life: Duration, now: Timestamp) -> bool {
    now >= ends - life / 6_i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_should_have_been_renewed_a_while_ago_is_late() {
        let ends = Timestamp::UNIX_EPOCH + Duration::days(6);
        for (day, late) in [(0, false), (4, false), (5, true), (6, true), (60, true)] {
            assert_eq!(is_late(ends, Duration::days(6), Timestamp::UNIX_EPOCH + Duration::days(day)), late, "{day}");
        }
    }
}
