//! Short-lived sessions in memory, bounded: machines between hello and enrol, and how long admins' sessions have lasted.

use protocol::{Code, Failure, Timestamp, encoding::Sha256, failure::Result};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use time::Duration;

const MOST_HELLOS: usize = 20_000;
const HELLO_LIFE: Duration = Duration::minutes(10);
/// Wrong codes a minute before every code is refused for the rest of it.
const WRONG_CODES: u32 = 10;

/// A machine that said hello: it has committed to its CSR.
#[derive(Debug, Clone)]
pub struct Hello {
    /// SHA-256 of the CSR.
    pub csr: Sha256,
    /// The root by which the machine knows this server.
    pub ca: Sha256,
    /// The machine's nonce.
    pub client_nonce: Vec<u8>,
    /// The server's nonce.
    pub server_nonce: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

impl Hello {
    /// One of later than now is of before the clock was set back.
    fn lasts(&self, now: Timestamp) -> bool {
        (now - self.at).abs() < HELLO_LIFE
    }
}

/// Machines between hello and enrol, by the hash of their session. A server that restarts forgets them; they say
/// hello again.
#[derive(Debug, Default)]
pub struct Hellos(Mutex<HashMap<Sha256, Hello>>);

impl Hellos {
    /// Remembers a hello.
    ///
    /// # Errors
    /// `E-BUSY` where there are too many: the machine tries again later.
    pub fn add(&self, session: Sha256, hello: Hello) -> Result<()> {
        let now = hello.at;
        let mut hellos = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hellos.len() >= MOST_HELLOS {
            hellos.retain(|_, hello| hello.lasts(now));
        }
        if hellos.len() >= MOST_HELLOS {
            let cause = format!("greeting a machine: {MOST_HELLOS} machines are being greeted");
            return Err(Failure::new(Code::Busy, cause));
        }
        hellos.insert(session, hello);
        Ok(())
    }

    /// The hello of the session.
    pub fn get(&self, session: &Sha256, now: Timestamp) -> Option<Hello> {
        let hellos = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hellos.get(session).filter(|hello| hello.lasts(now)).cloned()
    }

    /// Forgets the session: it has enrolled.
    pub fn remove(&self, session: &Sha256) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

/// The wrong codes of the last minute: which one, and how many.
#[derive(Debug, Default)]
pub struct WrongCodes(Mutex<(i64, u32)>);

impl WrongCodes {
    /// Whether a code may be tried now.
    ///
    /// # Errors
    /// `E-FORBIDDEN` after too many wrong ones.
    pub fn may_try(&self, now: Timestamp) -> Result<()> {
        let minute = now.unix_timestamp() / 60;
        let (last, count) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last == minute && count >= WRONG_CODES {
            return Err(Failure::new(Code::Forbidden, "trying a code: too many wrong codes")
                .with_remedy("wait a minute, then type the code that the machine shows"));
        }
        Ok(())
    }

    /// Counts a wrong code.
    pub fn count(&self, now: Timestamp) {
        let minute = now.unix_timestamp() / 60;
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = if counted.0 == minute { counted.1 } else { 0 };
        *counted = (minute, count + 1);
    }
}

/// When sessions of the page end by a clock that nobody sets: where the wall clock is set back, it would let one last longer.
#[derive(Debug, Default)]
pub struct Ends(Mutex<HashMap<Sha256, Instant>>);

/// More than sessions there can be.
const MOST_ENDS: usize = 2000;

impl Ends {
    /// Whether the session lasts, of which the wall clock leaves so much.
    pub fn lasts(&self, session: Sha256, left: Duration, at: Instant) -> bool {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= MOST_ENDS {
            ends.retain(|_, end| *end > at);
        }
        let end = at + left.max(Duration::ZERO).unsigned_abs();
        let known = ends.entry(session).or_insert(end);
        *known = end.min(*known);
        *known > at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn hellos_end_and_are_bounded() {
        let hellos = Hellos::default();
        let key = |n: usize| Sha256::of(&n.to_be_bytes());
        let hello =
            |seconds| Hello { csr: key(0), ca: key(0), client_nonce: vec![], server_nonce: vec![], at: at(seconds) };
        for n in 0..MOST_HELLOS {
            hellos.add(key(n), hello(0)).unwrap();
        }
        assert!(hellos.add(key(MOST_HELLOS), hello(1)).is_err());
        assert!(hellos.get(&key(0), at(1)).is_some());
        assert!(hellos.get(&key(0), at(601)).is_none() && hellos.get(&key(0), at(-601)).is_none());
        assert!(hellos.add(key(MOST_HELLOS), hello(601)).is_ok());
    }

    #[test]
    fn a_session_ends_in_time_whatever_becomes_of_the_wall_clock() {
        let (ends, start, session) = (Ends::default(), Instant::now(), Sha256::of(b"cookie"));
        let after = |hours| start + std::time::Duration::from_secs(3600 * hours);
        let lasts = |hours, left| ends.lasts(session, Duration::hours(left), after(hours));
        assert!(lasts(0, 12));
        assert!(lasts(6, 12), "the wall clock was set back by six hours");
        assert!(lasts(11, 12) && !lasts(12, 12));
        let other = Sha256::of(b"other");
        assert!(ends.lasts(other, Duration::hours(2), after(0)));
        assert!(!ends.lasts(other, Duration::hours(1), after(2)) && !ends.lasts(other, Duration::hours(0), after(0)));
        for n in 0..2 * MOST_ENDS {
            ends.lasts(Sha256::of(&n.to_be_bytes()), Duration::hours(1), after(n as u64));
        }
        assert!(ends.0.lock().unwrap().len() <= MOST_ENDS);
    }

    #[test]
    fn wrong_codes_are_counted_by_the_minute() {
        let codes = WrongCodes::default();
        for _ in 0..WRONG_CODES {
            codes.may_try(at(0)).unwrap();
            codes.count(at(0));
        }
        assert!(codes.may_try(at(59)).is_err());
        assert!(codes.may_try(at(60)).is_ok());
    }
}
