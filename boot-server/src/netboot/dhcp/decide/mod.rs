//! What to answer: a pure function of the message, the settings, the leases and the time.

use super::{
    bootfile::{self, BootFile},
    lease::{Leases, Wishes},
    reply::{Reply, grant, refuse},
    request::{Client, Kind, Request},
    settings::{Pool, Settings},
};
use dhcproto::v4::MessageType;
use std::{fmt, net::Ipv4Addr, net::SocketAddrV4};

/// Addresses that the operator fixed, as they concern one client.
pub struct Reservations<'a> {
    /// The client's own.
    pub own: Option<Ipv4Addr>,
    /// Whether the address is another client's.
    pub others: &'a (dyn Fn(Ipv4Addr) -> bool + Sync),
}

/// What comes out of a message.
#[derive(Debug, Default)]
pub struct Decision {
    /// The answer, where there is one.
    pub reply: Option<Reply>,
    /// The address whose lease must be on disk before the answer goes out.
    pub changed: Option<Ipv4Addr>,
    /// Something for the operator.
    pub notice: Option<Notice>,
}

/// Matters that an operator should know of; each is reported once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {
    /// No address is left.
    PoolExhausted,
    /// A client found its address in use.
    Duplicate(Ipv4Addr),
    /// Firmware that nothing is at hand for.
    Architecture(Vec<u16>),
    /// A relay of a network that has no range.
    NoRange(Ipv4Addr),
    /// Another DHCP server answers here.
    ForeignServer(Ipv4Addr),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoolExhausted => f.write_str("DHCP: no address is left; widen dhcp.range_start to dhcp.range_end"),
            Self::Duplicate(address) => {
                write!(
                    f,
                    "DHCP: {address} is used by a machine that did not get it from here; look for a fixed address"
                )
            }
            Self::Architecture(architectures) => write!(
                f,
                "DHCP: a machine with firmware architecture {architectures:?} asked for a boot file, and there is none for it"
            ),
            Self::NoRange(link) => {
                write!(f, "DHCP: a relay asks for addresses of the network of {link}, which is not dhcp.subnet")
            }
            Self::ForeignServer(address) => write!(
                f,
                "DHCP: another server, {address}, answers on this network; stop one of the two, or set dhcp.mode = \"proxy\""
            ),
        }
    }
}

/// Decides on a message to port 67.
pub fn decide(
    request: &Request,
    settings: &Settings,
    reservations: &Reservations<'_>,
    leases: &mut Leases,
    now: u64,
) -> Decision {
    let boot = bootfile::choose(request, &settings.site, &settings.uefi_program);
    let Some(pool) = &settings.pool else {
        return proxy(request, settings, &boot);
    };
    if let Some(link) = request.link().filter(|link| !pool.network.has(*link)) {
        return Decision { notice: Some(Notice::NoRange(link)), ..Decision::default() };
    }
    // An address of another network is the node's there, and no machine could boot with it here.
    let own = reservations.own.filter(|address| pool.network.no_reservation(*address).is_none());
    let reservations = &Reservations { own, others: reservations.others };
    let mut full = Full { request, settings, pool, reservations, leases, now, boot };
    match request.kind {
        Kind::Discover => full.discover(),
        Kind::Request => full.request(),
        Kind::Decline => full.decline(),
        Kind::Release => full.release(),
        Kind::Inform => Decision::answer(grant(request, settings, MessageType::Ack, None, &full.boot)),
    }
}

/// Decides on a message to port 4011, where PXE firmware asks a boot server that it has chosen.
pub fn decide_boot_server(request: &Request, settings: &Settings, from: SocketAddrV4) -> Decision {
    let boot = bootfile::choose(request, &settings.site, &settings.uefi_program);
    let asks = matches!(request.kind, Kind::Request | Kind::Inform | Kind::Discover) && request.wants_boot_file();
    if let Some(notice) = unsupported(&boot) {
        return Decision { notice: Some(notice), ..Decision::default() };
    }
    if !asks || request.server_id.is_some_and(|server| server != settings.site.address) {
        return Decision::default();
    }
    let mut reply = grant(request, settings, MessageType::Ack, None, &boot);
    reply.to = from;
    Decision::answer(reply)
}

/// Beside another DHCP server: boot files and no addresses, and not a word to anybody else.
fn proxy(request: &Request, settings: &Settings, boot: &BootFile) -> Decision {
    if let Some(notice) = unsupported(boot) {
        return Decision { notice: Some(notice), ..Decision::default() };
    }
    let ours = request.server_id == Some(settings.site.address);
    let kind = match request.kind {
        _ if *boot == BootFile::NotAsked => return Decision::default(),
        Kind::Discover => MessageType::Offer,
        Kind::Request | Kind::Inform if ours => MessageType::Ack,
        _ => return Decision::default(),
    };
    Decision::answer(grant(request, settings, kind, None, boot))
}

fn unsupported(boot: &BootFile) -> Option<Notice> {
    match boot {
        BootFile::Unsupported(architectures) => Some(Notice::Architecture(architectures.clone())),
        _ => None,
    }
}

impl Decision {
    fn answer(reply: Reply) -> Self {
        Self { reply: Some(reply), ..Self::default() }
    }
}

/// One message to a server that gives addresses.
struct Full<'a> {
    request: &'a Request,
    settings: &'a Settings,
    pool: &'a Pool,
    reservations: &'a Reservations<'a>,
    leases: &'a mut Leases,
    now: u64,
    boot: BootFile,
}

impl Full<'_> {
    fn client(&self) -> &Client {
        &self.request.client
    }

    fn discover(&mut self) -> Decision {
        let wishes = Wishes { reserved: self.reservations.own, requested: self.request.requested };
        let range = self.pool.range;
        let Some(address) = self.leases.offer(&self.request.client, wishes, range, self.now, self.reservations.others)
        else {
            return Decision { notice: Some(Notice::PoolExhausted), ..Decision::default() };
        };
        let reply = grant(self.request, self.settings, MessageType::Offer, Some(address), &self.boot);
        Decision { reply: Some(reply), changed: None, notice: unsupported(&self.boot) }
    }

    fn request(&mut self) -> Decision {
        let wanted =
            if self.request.ciaddr.is_unspecified() { self.request.requested } else { Some(self.request.ciaddr) };
        match (self.request.server_id, wanted) {
            // It has taken another server's offer.
            (Some(server), _) if server != self.settings.site.address => Decision::default(),
            (_, Some(address)) if self.may_have(address) => self.acknowledge(address),
            (_, Some(_)) => {
                let reason = "this address is not yours on this network";
                Decision::answer(refuse(self.request, self.settings, reason))
            }
            (_, None) => Decision::default(),
        }
    }

    /// This server speaks with authority for its network: a client that comes back with an address
    /// that is free here may keep it, also where the lease was forgotten; any other is told at once.
    fn may_have(&self, address: Ipv4Addr) -> bool {
        let fits = match self.reservations.own {
            Some(own) => {
                address == own || self.leases.address_of(self.client()) == Some(address) && !self.own_is_free(own)
            }
            None => self.pool.range.contains(address) && !(self.reservations.others)(address),
        };
        fits && self.leases.is_free_for(address, self.client(), self.now)
    }

    /// A reservation that somebody else still holds does not drive the client from what it has.
    fn own_is_free(&self, own: Ipv4Addr) -> bool {
        self.leases.is_free_for(own, self.client(), self.now)
    }

    fn acknowledge(&mut self, address: Ipv4Addr) -> Decision {
        let expires = self.now + u64::from(self.settings.lease_seconds);
        self.leases.set(address, &self.request.client, expires);
        let reply = grant(self.request, self.settings, MessageType::Ack, Some(address), &self.boot);
        Decision { reply: Some(reply), changed: Some(address), notice: None }
    }

    fn decline(&mut self) -> Decision {
        let declined =
            self.request.requested.filter(|address| self.leases.decline(*address, &self.request.client, self.now));
        Decision { changed: declined, notice: declined.map(Notice::Duplicate), ..Decision::default() }
    }

    fn release(&mut self) -> Decision {
        let address = self.request.ciaddr;
        let released = self.leases.release(address, &self.request.client, self.now);
        Decision { changed: released.then_some(address), ..Decision::default() }
    }
}

#[cfg(test)]
mod tests;
