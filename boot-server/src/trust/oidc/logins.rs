//! Logins that are under way: each for one browser, once, for a while. Anybody may begin some, so that each source has few and
//! displaces its own; where all places are taken, the source that has most gives one up.

use crate::base::{places::source_of, random};
use data_encoding::BASE64URL_NOPAD;
use protocol::{encoding::Sha256, failure::Result};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A login that is not finished by then is to begin anew.
pub const LIFE: Duration = Duration::from_secs(600);
const MOST: usize = 1000;
const MOST_OF_SOURCE: usize = 10;

/// Those under way, by the hash of their state.
#[derive(Debug, Default)]
pub struct Logins(Mutex<HashMap<Sha256, Login>>);

/// One of them. What is secret is kept nowhere else but at the browser.
struct Login {
    browser: Sha256,
    nonce: String,
    verifier: String,
    source: IpAddr,
    began: Instant,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.source)
    }
}

/// What a login begins with.
pub struct Begun {
    /// What the provider gives back.
    pub state: String,
    /// What stays with the browser.
    pub cookie: String,
    /// What the ID token has to say.
    pub nonce: String,
    /// Of what the code's verifier is the original (RFC 7636, S256).
    pub challenge: String,
}

/// What it is finished with.
pub struct Finished {
    /// What the ID token has to say.
    pub nonce: String,
    /// What proves to the provider who began.
    pub verifier: String,
}

impl Logins {
    /// Begins one.
    ///
    /// # Errors
    /// `E-SYSTEM` where there are no random numbers.
    pub fn begin(&self, from: IpAddr, now: Instant) -> Result<Begun> {
        let (state, cookie, nonce, verifier) = (random::name()?, random::name()?, random::name()?, random::name()?);
        let challenge = BASE64URL_NOPAD.encode(&Sha256::of(verifier.as_bytes()).0);
        let (browser, source) = (Sha256::of(cookie.as_bytes()), source_of(from));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut all, source, now);
        let login = Login { browser, nonce: nonce.clone(), verifier, source, began: now };
        all.insert(Sha256::of(state.as_bytes()), login);
        Ok(Begun { state, cookie, nonce, challenge })
    }

    /// Finishes the one of this state, for the browser that began it: none is finished twice.
    pub fn finish(&self, state: &str, cookie: &str, now: Instant) -> Option<Finished> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Sha256::of(state.as_bytes());
        let login = all.get(&state)?;
        // Both are hashes of what nobody can guess: their time tells nothing.
        if login.browser != Sha256::of(cookie.as_bytes()) {
            return None;
        }
        let login = all.remove(&state)?;
        lasts(&login, now).then_some(Finished { nonce: login.nonce, verifier: login.verifier })
    }
}

fn lasts(login: &Login, now: Instant) -> bool {
    now.saturating_duration_since(login.began) < LIFE
}

fn make_room(all: &mut HashMap<Sha256, Login>, source: IpAddr, now: Instant) {
    let own = all.values().filter(|login| login.source == source).count();
    if own < MOST_OF_SOURCE && all.len() < MOST {
        return;
    }
    all.retain(|_, login| lasts(login, now));
    let mut of_source: HashMap<IpAddr, usize> = HashMap::new();
    for login in all.values() {
        *of_source.entry(login.source).or_default() += 1;
    }
    let gives_way = match of_source.get(&source) {
        Some(own) if *own >= MOST_OF_SOURCE => Some(source),
        _ if all.len() >= MOST => of_source.into_iter().max_by_key(|(_, count)| *count).map(|(source, _)| source),
        _ => None,
    };
    let oldest = all.iter().filter(|(_, login)| Some(login.source) == gives_way).min_by_key(|(_, login)| login.began);
    if let Some(state) = oldest.map(|(state, _)| *state) {
        all.remove(&state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn a_login_is_finished_once_in_time_and_by_the_browser_that_began_it() {
        let (logins, start) = (Logins::default(), Instant::now());
        let begin = || logins.begin(source(1), start).unwrap();
        let (one, other) = (begin(), begin());
        assert!(logins.finish(&one.state, &other.cookie, start).is_none());
        assert!(logins.finish("state", &one.cookie, start).is_none());
        let finished = logins.finish(&one.state, &one.cookie, start).unwrap();
        assert_eq!(finished.nonce, one.nonce);
        let challenge = BASE64URL_NOPAD.encode(&Sha256::of(finished.verifier.as_bytes()).0);
        assert!(challenge == one.challenge && finished.verifier.len() >= 43, "RFC 7636, section 4.1");
        assert!(logins.finish(&one.state, &one.cookie, start).is_none(), "it was finished");
        assert!(logins.finish(&other.state, &other.cookie, start + LIFE).is_none(), "it took too long");
    }

    #[test]
    fn a_source_displaces_its_own_logins_and_a_flood_of_many_sources_those_of_who_has_most() {
        let (logins, start) = (Logins::default(), Instant::now());
        let honest = logins.begin(source(1), start).unwrap();
        let flood: Vec<Begun> = (0..50).map(|_| logins.begin(source(2), start).unwrap()).collect();
        let lasting = flood.iter().filter(|one| logins.finish(&one.state, &one.cookie, start).is_some()).count();
        assert_eq!(lasting, MOST_OF_SOURCE);
        for n in 0..2 * MOST as u32 {
            logins.begin(source(1000 + n / 5), start).unwrap();
        }
        assert_eq!(logins.0.lock().unwrap().len(), MOST);
        assert!(logins.finish(&honest.state, &honest.cookie, start).is_some());
        logins.begin(source(8), start).unwrap();
        logins.begin(source(9), start + LIFE).unwrap();
        assert_eq!(logins.0.lock().unwrap().len(), 1, "what is over makes room first");
    }
}
