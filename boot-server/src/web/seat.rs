//! The places of HTTPS connections: strangers, peers that the server knows, proxies that are configured, and this host have their
//! own; a connection that asks nothing loses its place.

use crate::base::{
    places::{Full, Place, Places},
    shares::{Share, Shares},
};
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Before the first request, and between two.
const STRANGER_BEGINS: Duration = Duration::from_secs(10);
const STRANGER_PAUSES: Duration = Duration::from_secs(30);
/// The same while places are scarce.
const STRANGER_HURRIES: Duration = Duration::from_secs(2);
/// From a request to the end of its answer, and of those that come meanwhile: the files of an image over a slow link.
const STRANGER_READS: Duration = Duration::from_secs(60 * 60);
/// The same while places are scarce.
const STRANGER_READS_FAST: Duration = Duration::from_secs(10 * 60);
const KNOWN_PAUSES: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug, Clone)]
pub struct Rooms {
    strangers: Places,
    known: Places,
    local: Places,
    proxies: Places,
    bodies_of_strangers: Arc<Shares>,
    bodies_of_known: Arc<Shares>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            strangers: Places::new(2048, 64),
            known: Places::new(2048, 512),
            local: Places::new(512, 512),
            // Whoever is behind one of them has no connection of his own.
            proxies: Places::new(2048, 2048),
            bodies_of_strangers: Arc::new(Shares::new(256 << 20, 16 << 20)),
            bodies_of_known: Arc::new(Shares::new(256 << 20, 64 << 20)),
        }
    }
}

impl Rooms {
    /// What `/health` says of them.
    pub fn report(&self) -> String {
        let (strangers, known) = (self.strangers.taken(), self.known.taken());
        let (local, proxies) = (self.local.taken(), self.proxies.taken());
        format!(
            "{strangers} connections of strangers, {known} of nodes and admins, {local} of this host, {proxies} of proxies"
        )
    }
}

/// The place of one connection.
#[derive(Debug)]
pub struct Seat {
    rooms: Rooms,
    address: IpAddr,
    doing: Mutex<Doing>,
}

#[derive(Debug)]
struct Doing {
    place: Place,
    standing: Standing,
    /// Requests whose answer is not out yet.
    under_way: usize,
    /// Since when there is none, or there are some.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Has asked nothing.
    New,
    /// Has asked something that anybody may.
    Stranger,
    /// A node by its certificate, an admin by a token, or a process of this host.
    Known,
    /// Sends the requests of others.
    Proxy,
}

/// For whom a peer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// It is who it seems.
    ForItself,
    /// It is a proxy whose word counts.
    ForOthers,
}

impl Seat {
    /// A place for a connection from this address.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn take(rooms: &Rooms, address: IpAddr, asks: Asks) -> Result<Arc<Self>, Full> {
        let (room, standing) = match asks {
            Asks::ForOthers => (&rooms.proxies, Standing::Proxy),
            Asks::ForItself if address.to_canonical().is_loopback() => (&rooms.local, Standing::Known),
            Asks::ForItself => (&rooms.strangers, Standing::New),
        };
        let doing = Doing { place: room.take(address)?, standing, under_way: 0, since: Instant::now() };
        Ok(Arc::new(Self { rooms: rooms.clone(), address, doing: Mutex::new(doing) }))
    }

    /// The server knows the peer: its place is among those of the known, where there is one. A proxy's stays.
    pub fn is_known(&self) {
        let mut doing = self.lock();
        if !matches!(doing.standing, Standing::Known | Standing::Proxy)
            && let Ok(place) = self.rooms.known.take(self.address)
        {
            place.is_busy(doing.under_way > 0);
            (doing.place, doing.standing) = (place, Standing::Known);
        }
    }

    /// Whether it is.
    pub fn is_of_known(&self) -> bool {
        self.lock().standing == Standing::Known
    }

    /// Memory for so much of a body of this source, which may be an admin's, as soon as there is some.
    pub async fn share(&self, source: IpAddr, is_admin: bool, bytes: usize) -> Share {
        let is_known = is_admin || self.is_of_known();
        let bodies = if is_known { &self.rooms.bodies_of_known } else { &self.rooms.bodies_of_strangers };
        bodies.take(source, bytes).await
    }

    /// A request has come; it is under way until the last byte of its answer is out.
    pub fn begin(self: &Arc<Self>) -> Exchange {
        let mut doing = self.lock();
        if doing.under_way == 0 {
            doing.since = Instant::now();
        }
        doing.under_way += 1;
        doing.place.is_busy(true);
        if doing.standing == Standing::New {
            doing.standing = Standing::Stranger;
        }
        Exchange(self.clone())
    }

    /// How long a handshake may take.
    pub fn handshake(&self) -> Duration {
        if self.rooms.strangers.are_scarce() { STRANGER_HURRIES } else { STRANGER_BEGINS }
    }

    /// Ends when another connection has been given the place.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.lock().place.lost()
    }

    /// Ends when the connection has asked nothing for too long, when a stranger has taken an answer for too long, or when another
    /// one has been given its place.
    pub async fn left_idle(&self) {
        loop {
            let (left, lost) = {
                let doing = self.lock();
                let patience = match doing.under_way {
                    0 => Some(self.patience(doing.standing)),
                    _ => self.patience_with_answers(doing.standing),
                };
                let left = patience.map_or(LOOK, |patience| patience.saturating_sub(doing.since.elapsed()));
                (left, doing.place.lost())
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = lost => return,
                () = tokio::time::sleep(left.min(LOOK)) => {}
            }
        }
    }

    fn patience(&self, standing: Standing) -> Duration {
        match standing {
            Standing::Known | Standing::Proxy => KNOWN_PAUSES,
            Standing::New | Standing::Stranger if self.rooms.strangers.are_scarce() => STRANGER_HURRIES,
            Standing::New => STRANGER_BEGINS,
            Standing::Stranger => STRANGER_PAUSES,
        }
    }

    /// How long answers may be under way: an admin follows a log for days.
    fn patience_with_answers(&self, standing: Standing) -> Option<Duration> {
        match standing {
            Standing::Known | Standing::Proxy => None,
            Standing::New | Standing::Stranger if self.rooms.strangers.are_scarce() => Some(STRANGER_READS_FAST),
            Standing::New | Standing::Stranger => Some(STRANGER_READS),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct Exchange(Arc<Seat>);

impl Exchange {
    /// The answer, under way until it is out or given up.
    pub fn answered(self, body: Body) -> Body {
        Body::new(Answered { body, exchange: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut doing = self.0.lock();
        doing.under_way = doing.under_way.saturating_sub(1);
        if doing.under_way == 0 {
            doing.place.is_busy(false);
            doing.since = Instant::now();
        }
    }
}

struct Answered {
    body: Body,
    #[expect(dead_code, reason = "its end is the end of the exchange")]
    exchange: Exchange,
}

impl hyper::body::Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> Rooms {
        let (strangers, known, local) = (Places::new(8, 2), Places::new(1, 1), Places::new(1, 1));
        Rooms { strangers, known, local, ..Rooms::default() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn idle_for(seat: &Seat) -> u64 {
        let start = Instant::now();
        seat.left_idle().await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_loses_its_place_and_one_that_is_answered_keeps_it() {
        let rooms = rooms();
        let seat = Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).unwrap();
        assert_eq!(idle_for(&seat).await, 10);
        let exchange = seat.begin();
        assert!(tokio::time::timeout(Duration::from_secs(600), seat.left_idle()).await.is_err());
        drop(exchange.answered(Body::from("done")));
        assert_eq!(idle_for(&seat).await, 30);
        seat.is_known();
        assert_eq!((rooms.strangers.taken(), rooms.known.taken()), (0, 1));
        drop(seat.begin());
        assert_eq!(idle_for(&seat).await, 90);
        drop(seat);
        assert_eq!(rooms.known.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_never_ends_reading_loses_his_place_and_whoever_is_known_does_not() {
        let rooms = Rooms { known: Places::new(8, 8), ..rooms() };
        let seat = Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).unwrap();
        let _never_read = seat.begin();
        tokio::time::sleep(Duration::from_secs(1000)).await;
        let _later = seat.begin();
        assert_eq!(idle_for(&seat).await, 2600, "an hour from the first that is not out yet");
        let known = Seat::take(&rooms, address("10.0.0.2"), Asks::ForItself).unwrap();
        known.is_known();
        let _follows_a_log = known.begin();
        assert!(tokio::time::timeout(Duration::from_secs(100_000), known.left_idle()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_leave_room_for_others_and_for_those_who_are_known() {
        let rooms = rooms();
        let held: Vec<_> = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3", "10.0.0.4"]
            .map(|from| Seat::take(&rooms, address(from), Asks::ForItself).unwrap())
            .into();
        assert_eq!(idle_for(&held[2]).await, 2, "places are scarce");
        let newcomer = Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).unwrap();
        assert_eq!(idle_for(&held[0]).await, 0, "the one of its source that was idle for longest gives way");
        let _exchanges = (newcomer.begin(), held[1].begin());
        assert_eq!(
            Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).unwrap_err(),
            Full::Source,
            "what is under way does not"
        );
        assert!(Seat::take(&rooms, address("127.0.0.1"), Asks::ForItself).is_ok(), "this host has its own");
        held[1].is_known();
        assert_eq!((rooms.strangers.taken(), rooms.known.taken()), (6, 1));
        held[2].is_known();
        assert_eq!(rooms.strangers.taken(), 6, "where the known have no room left, the place stays as it is");
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_has_places_of_its_own_for_those_behind_it_whoever_they_are() {
        let rooms = rooms();
        let take = || Seat::take(&rooms, address("10.0.0.1"), Asks::ForOthers).unwrap();
        let held: Vec<_> = (0..3).map(|_| take()).collect();
        held[0].is_known();
        drop(held[1].begin());
        assert_eq!((rooms.strangers.taken(), rooms.known.taken(), rooms.proxies.taken()), (0, 0, 3));
        assert_eq!(idle_for(&held[1]).await, 90);
        let local = Seat::take(&rooms, address("127.0.0.1"), Asks::ForOthers);
        assert!(local.is_ok() && rooms.local.taken() == 0);
    }

    #[tokio::test]
    async fn strangers_have_64_connections_of_one_source_and_2048_in_all_and_a_node_s_source_512() {
        let rooms = Rooms::default();
        let of = |source: u32, count: usize| -> Vec<_> {
            let address = IpAddr::from((0x0a00_0000 + source).to_be_bytes());
            (0..count)
                .map(|_| Seat::take(&rooms, address, Asks::ForItself).map(|seat| seat.begin()))
                .collect::<Result<_, _>>()
                .unwrap()
        };
        let mut busy = of(1, 64);
        assert_eq!(Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).unwrap_err(), Full::Source);
        busy.extend((2..=32).flat_map(|source| of(source, 64)));
        assert_eq!(
            Seat::take(&rooms, address("10.0.0.99"), Asks::ForItself).unwrap_err(),
            Full::All,
            "2048 that are busy"
        );
        let node = || {
            let exchange = Seat::take(&rooms, address("10.0.0.1"), Asks::ForItself).map(|seat| seat.begin());
            exchange.map(|exchange| exchange.0.is_known())
        };
        busy.truncate(63);
        for exchange in &busy {
            exchange.0.is_known();
        }
        assert_eq!(rooms.known.taken(), 63);
        assert!(node().is_ok(), "known ones do not count among strangers");
    }
}
