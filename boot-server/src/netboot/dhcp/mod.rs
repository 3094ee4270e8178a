//! DHCP: the full server on port 67, proxyDHCP beside another server, the boot server on port 4011.
//!
//! `request` reads, `decide` decides (pure), `reply` makes the answer; here are the sockets.

mod bootfile;
mod decide;
mod lease;
mod reply;
mod request;
mod settings;
mod socket;
mod store;

pub use settings::{Config, Mode};

use crate::{
    base::pace::Pace,
    netboot::{context::Context, interface, router_advert},
};
use decide::{Decision, Notice, Reservations};
use lease::Leases;
use protocol::{Code, failure::OrFail, failure::Result};
use reply::Reply;
use request::{Client, Request};
use settings::Settings;
use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::pin,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use store::Store;
use tokio::net::UdpSocket;

const SERVER_PORT: u16 = 67;
const BOOT_SERVER_PORT: u16 = 4011;
const CLIENT_PORT: u16 = 68;
/// Largest message of an Ethernet frame, and some more.
const MAX_MESSAGE: usize = 2048;
/// The same matter is not reported again for so long.
const NOTICE_SECONDS: u64 = 600;
const MAX_NOTICES: usize = 256;
/// Whoever sends it may name an address that nobody reaches, again and again.
static UNANSWERED: Pace = Pace::new(50);

/// Serves until it is dropped, or fails. Returns at once where there is nothing to serve.
///
/// # Errors
/// Where a socket cannot be bound or the leases cannot be read.
pub async fn serve(config: Config, context: Context) -> Result<()> {
    if config.mode == Mode::Off && !config.router_advertisements {
        context.health.set("dhcp", "off");
        return Ok(());
    }
    let settings = config.settings(&context.site)?;
    let advertisements =
        async { if config.router_advertisements { router_advert::serve(&config.interface).await } else { Ok(()) } };
    if config.mode == Mode::Off {
        context.health.set("dhcp", "off");
        return advertisements.await;
    }
    let server = Server::new(&config, settings, context)?;
    tokio::try_join!(advertisements, server.run()).map(|_| ())
}

struct Server {
    settings: Settings,
    context: Context,
    mode: Mode,
    interface: String,
    leases: Leases,
    store: Store,
    reported: HashMap<Notice, u64>,
}

impl Server {
    fn new(config: &Config, settings: Settings, context: Context) -> Result<Self> {
        let (store, leases) = Store::open(&context.state_dir.join("dhcp-leases.json"))?;
        let (mode, interface) = (config.mode, config.interface.clone());
        Ok(Self { settings, context, mode, interface, leases, store, reported: HashMap::new() })
    }

    /// Serves for ever: where the interface is made anew, on the new one.
    async fn run(mut self) -> Result<()> {
        loop {
            self.serve_interface().await?;
            let gone = format!("failed: the interface {} is gone", self.interface);
            tracing::warn!("DHCP {gone}");
            self.context.health.set("dhcp", gone);
            interface::appears(&self.interface).await;
        }
    }

    /// Serves until the interface is gone.
    async fn serve_interface(&mut self) -> Result<()> {
        let number = interface::index(&self.interface);
        let main = socket::on_interface(&self.interface, SERVER_PORT)?;
        let boot_server = socket::on_interface(&self.interface, BOOT_SERVER_PORT)?;
        // What other servers broadcast to clients. A DHCP client of this host may own the port: then
        // they are only seen by what their clients say.
        let eavesdrop = socket::on_interface(&self.interface, CLIENT_PORT).ok();
        self.context.health.set("dhcp", "running");
        tracing::info!("DHCP {:?} on {}", self.mode, self.interface);
        let mut buffers = [[0; MAX_MESSAGE]; 3];
        let [buffer, pxe_buffer, heard_buffer] = &mut buffers;
        let name = self.interface.clone();
        let mut gone = pin!(interface::is_gone(&name, number.unwrap_or_default()));
        loop {
            tokio::select! {
                () = &mut gone => return Ok(()),
                received = main.recv_from(buffer) => {
                    let (length, _) = received.or_fail(Code::System, || "receiving on UDP port 67")?;
                    self.on_message(&main, &buffer[..length]).await;
                }
                received = boot_server.recv_from(pxe_buffer) => {
                    let (length, from) = received.or_fail(Code::System, || "receiving on UDP port 4011")?;
                    self.on_boot_server_message(&boot_server, &pxe_buffer[..length], from).await;
                }
                Some(Ok((length, _))) = hear(eavesdrop.as_ref(), heard_buffer) => {
                    self.on_foreign(request::answering_server(&heard_buffer[..length]));
                }
            }
        }
    }

    async fn on_message(&mut self, socket: &UdpSocket, packet: &[u8]) {
        let Some(request) = Request::parse(packet) else { return };
        self.on_foreign(request.server_id);
        let policy = &self.context.policy;
        let card = match &request.client {
            Client::Card(mac) => Some(mac),
            Client::Id(_) => None,
        };
        let fixed = policy.addresses();
        let reservations = Reservations {
            own: card.and_then(|mac| fixed.of_card(mac)),
            others: &|address| fixed.is_anothers(address, card),
        };
        let decision = decide::decide(&request, &self.settings, &reservations, &mut self.leases, now());
        self.carry_out(socket, decision, &request).await;
    }

    async fn on_boot_server_message(&mut self, socket: &UdpSocket, packet: &[u8], from: SocketAddr) {
        let (Some(request), SocketAddr::V4(from)) = (Request::parse(packet), from) else { return };
        let decision = decide::decide_boot_server(&request, &self.settings, from);
        self.carry_out(socket, decision, &request).await;
    }

    async fn carry_out(&mut self, socket: &UdpSocket, decision: Decision, request: &Request) {
        if let Some(notice) = decision.notice {
            self.report(notice);
        }
        if let Some(address) = decision.changed
            && let Err(failure) = self.store.note(&self.leases, address)
        {
            // An address that is not on disk must not be promised.
            self.context.policy.event(&failure.to_string());
            return;
        }
        let Some(reply) = decision.reply else { return };
        let message = &reply.message;
        tracing::debug!(client = ?request.client, kind = ?message.opts().msg_type(), address = %message.yiaddr(), to = %reply.to, "DHCP");
        if let Err(error) = send(socket, &reply).await
            && let Some(not_told) = UNANSWERED.allows(Instant::now())
        {
            tracing::warn!(not_told, "answering DHCP client {:?} at {}: {error}", request.client, reply.to);
        }
    }

    /// Full mode wants to be alone. Our own answers are heard as well.
    fn on_foreign(&mut self, server: Option<std::net::Ipv4Addr>) {
        let foreign = server.filter(|address| self.mode == Mode::Full && *address != self.settings.site.address);
        if let Some(address) = foreign {
            self.report(Notice::ForeignServer(address));
        }
    }

    fn report(&mut self, notice: Notice) {
        let now = now();
        self.reported.retain(|_, at| now < *at + NOTICE_SECONDS);
        if self.reported.len() < MAX_NOTICES && !self.reported.contains_key(&notice) {
            self.context.policy.event(&notice.to_string());
            self.reported.insert(notice, now);
        }
    }
}

async fn hear(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> Option<std::io::Result<(usize, SocketAddr)>> {
    match socket {
        Some(socket) => Some(socket.recv_from(buffer).await),
        None => std::future::pending().await,
    }
}

async fn send(socket: &UdpSocket, reply: &Reply) -> std::io::Result<()> {
    socket.send_to(&reply.encode()?, reply.to).await.map(|_| ())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a packet as it is read from the network, for [`super::properties`].
#[cfg(any(test, fuzzing))]
pub(super) fn read(packet: &[u8]) {
    if let Some(request) = request::Request::parse(packet) {
        let _ = (request.wants_boot_file(), request.is_http_boot(), request.link());
    }
    let _ = request::answering_server(packet);
}
