//! Certificates that end: those that their nodes have not renewed, and the CA's own.

use crate::{
    base::{bell::Stop, clock::now},
    state::State,
    trust::ca::Ca,
};
use host::certificate::Certificate;
use protocol::{Timestamp, admin::NodeState, failure::Result, names::NodeName};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use time::Duration;

/// However long a certificate lives, nodes are looked at so often.
const SELDOM: Duration = Duration::hours(1);

/// A rotation of the root takes its time, and so does finding its key.
const ROOT_EARLY: Duration = Duration::days(365);
const ISSUING_EARLY: Duration = Duration::days(120);

/// Notes once for each certificate that its end is near, until the server stops.
pub async fn run(state: State, ca: Arc<Ca>, life: Duration, stop: Stop) {
    let mut stopping = stop.listen();
    let (mut told, mut told_of_ca) = (HashMap::new(), HashSet::new());
    let pause = (life / 24_i32).min(SELDOM).unsigned_abs();
    loop {
        if let Err(failure) = look_at_ca(&state, &ca, &mut told_of_ca).await {
            tracing::warn!(%failure, "looking at the CA's certificates");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        if let Err(failure) = look(&state, life, &mut told).await {
            tracing::warn!(%failure, "looking at the nodes' certificates");
        }
    }
}

async fn look_at_ca(state: &State, ca: &Ca, told: &mut HashSet<String>) -> Result<()> {
    let (authority, now) = (ca.authority(), now());
    for one in authority.certificates() {
        if let Some(text) = near_its_end(one, now)
            && told.insert(one.serial.clone())
        {
            tracing::warn!("{text}");
            state.note("server", None, text).await?;
        }
    }
    Ok(())
}

/// What is to be said of a certificate of the CA.
fn near_its_end(one: &Certificate, now: Timestamp) -> Option<String> {
    let life = one.until - one.from;
    let (early, verb) = match one.is_self_issued() {
        true => (ROOT_EARLY, "rotate"),
        false => (ISSUING_EARLY, "renew"),
    };
    let (subject, until) = (&one.subject, one.until.date());
    (now >= one.until - early.min(life / 3_i32)).then(|| {
        format!("the CA's certificate {subject} ends {until}, and nothing is issued after that: boot-server ca {verb}")
    })
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
    fn the_ca_s_own_end_is_told_in_time_with_what_to_do() {
        let (root, key) = crate::trust::ca::make::root(Timestamp::UNIX_EPOCH).unwrap();
        let (issuing, _) = crate::trust::ca::make::issuing(&root, &key, &[], Timestamp::UNIX_EPOCH).unwrap();
        for (pem, early, verb) in [(root, ROOT_EARLY, "ca rotate"), (issuing, ISSUING_EARLY, "ca renew")] {
            let one = Certificate::read(&host::http::pem::decode(&pem).unwrap()[0]).unwrap();
            assert_eq!(near_its_end(&one, one.until - early - Duration::HOUR), None);
            assert!(near_its_end(&one, one.until - early).unwrap().contains(verb));
        }
    }

    #[test]
    fn a_certificate_that_should_have_been_renewed_a_while_ago_is_late() {
        let ends = Timestamp::UNIX_EPOCH + Duration::days(6);
        for (day, late) in [(0, false), (4, false), (5, true), (6, true), (60, true)] {
            assert_eq!(is_late(ends, Duration::days(6), Timestamp::UNIX_EPOCH + Duration::days(day)), late, "{day}");
        }
    }
}
