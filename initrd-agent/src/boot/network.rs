//! Brings a network card up and keeps its lease.

use super::{
    cmdline::KernelParameters,
    dhcp::{Answer, Exchange, Lease},
};
use hardware::inventory;
use nix::sys::socket::{setsockopt, sockopt};
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Nic};
use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder,
    packet_route::{address::AddressMessage, route::RouteMessage},
};
use std::{
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    task::JoinSet,
    time,
};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Switch ports with spanning tree take up to 30 s to forward; the step is tried again after that anyway.
const CARRIER_PATIENCE: Duration = Duration::from_secs(10);
/// The card that booted had a link a moment ago: training a fast one takes seconds, other cards have theirs at once.
const BOOT_CARD_PATIENCE: Duration = Duration::from_secs(30);
const REACH_PATIENCE: Duration = Duration::from_secs(5);
/// Waits for an answer double from the first to the last of these.
const ANSWER_WAITS: [u64; 4] = [2, 2, 4, 8];

/// A card with an address.
#[derive(Debug, Clone)]
pub struct Network {
    /// The card.
    pub nic: Nic,
    /// What it was given.
    pub lease: Lease,
}

impl Network {
    /// Where the boot-server is: as the kernel command line says, else as DHCP does.
    ///
    /// # Errors
    /// `E-NO-SERVER` where neither does.
    pub fn server_url(&self, parameters: &KernelParameters) -> Result<String> {
        let url = parameters.server.as_ref().or(self.lease.boot_server.as_ref());
        url.cloned().ok_or_else(|| {
            Failure::new(
                Code::NoServer,
                "looking for the boot-server: neither centra.server= nor DHCP option 224 names it",
            )
        })
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        format!("{} {} {}/{}", self.nic.name, self.nic.mac, self.lease.address, self.lease.prefix)
    }
}

/// Brings the cards up, asks for an address on each that has a carrier, and takes the first one by which the boot-server
/// answers: the card that booted where the boot script named it, whose link is waited for, else all at once.
///
/// # Errors
/// `E-NETWORK` where there is no card, no carrier or no answer; the cause names each card. `E-NO-SERVER` where nothing says
/// who the server is.
pub async fn bring_up(parameters: &KernelParameters) -> Result<Network> {
    let (connection, handle, _) = rtnetlink::new_connection().or_fail(Code::Network, || "opening netlink")?;
    let netlink = tokio::spawn(connection);
    let result = bring_up_with(&handle, parameters).await;
    netlink.abort();
    result
}

async fn bring_up_with(handle: &Handle, parameters: &KernelParameters) -> Result<Network> {
    let mut tried = Tried::default();
    for nic in inventory::nics() {
        // A card that cannot be brought up is not the only one, most often.
        if let Err(failure) = set_up(handle, &nic.name).await {
            tried.add(&nic.name, &failure);
        }
    }
    if let Err(failure) = set_up(handle, "lo").await {
        tracing::warn!("{failure}");
    }
    let booted = parameters.boot_interface.as_ref();
    let is_booted = |nic: &Nic| Some(&nic.mac) == booted;
    if inventory::nics().iter().any(is_booted) {
        for nic in with_carrier(BOOT_CARD_PATIENCE, is_booted).await {
            match lease_for(&nic).await {
                Ok(lease) => match settle(handle, parameters, &nic, lease).await {
                    Ok(network) => return Ok(network),
                    Err(failure) => tried.add(&nic.name, &failure),
                },
                Err(failure) => tried.add(&nic.name, &failure),
            }
        }
    }
    let mut asked = JoinSet::new();
    for nic in with_carrier(CARRIER_PATIENCE, |nic| !is_booted(nic)).await {
        asked.spawn(async move { (lease_for(&nic).await, nic) });
    }
    while let Some(Ok((lease, nic))) = asked.join_next().await {
        let network = match lease {
            Ok(lease) => settle(handle, parameters, &nic, lease).await,
            Err(failure) => Err(failure),
        };
        match network {
            Ok(network) => return Ok(network),
            Err(failure) => tried.add(&nic.name, &failure),
        }
    }
    Err(tried.failure(&inventory::nics()))
}

/// What became of each card.
#[derive(Debug, Default)]
struct Tried {
    words: Vec<String>,
    without_server: bool,
}

impl Tried {
    fn add(&mut self, card: &str, failure: &Failure) {
        tracing::warn!("{card}: {failure}");
        self.without_server |= failure.code == Code::NoServer;
        self.words.push(format!("{card}: {}", failure.cause));
    }

    fn failure(mut self, nics: &[Nic]) -> Failure {
        let dark = nics.iter().filter(|nic| !nic.link).map(|nic| nic.name.as_str()).collect::<Vec<_>>();
        if nics.is_empty() {
            self.words.push("no network card was found".to_owned());
        } else if !dark.is_empty() {
            self.words.push(format!("no carrier on {}", dark.join(", ")));
        }
        let code = if self.without_server { Code::NoServer } else { Code::Network };
        Failure::new(code, format!("looking for a network with the boot-server: {}", self.words.join("; ")))
    }
}

/// The cards of this kind that have a carrier, as soon as there is one.
async fn with_carrier(patience: Duration, wanted: impl Fn(&Nic) -> bool) -> Vec<Nic> {
    let deadline = Instant::now() + patience;
    loop {
        let (linked, dark): (Vec<Nic>, Vec<Nic>) =
            inventory::nics().into_iter().filter(|nic| wanted(nic)).partition(|nic| nic.link);
        if !linked.is_empty() || dark.is_empty() || Instant::now() > deadline {
            return linked;
        }
        time::sleep(Duration::from_millis(100)).await;
    }
}

/// Gives the card its address, which counts where the boot-server can be reached by it.
async fn settle(handle: &Handle, parameters: &KernelParameters, nic: &Nic, lease: Lease) -> Result<Network> {
    let configured = configure(handle, &nic.name, &lease).await?;
    write_resolver(&lease)?;
    let network = Network { nic: nic.clone(), lease };
    let reached = async {
        let url = network.server_url(parameters)?;
        reach(&url).await
    };
    if let Err(failure) = reached.await {
        release(handle, configured).await;
        let at = format!("{}/{}", network.lease.address, network.lease.prefix);
        return Err(Failure { cause: format!("{at}: {}", failure.cause), ..failure });
    }
    Ok(network)
}

/// Whether something listens where the boot-server should: who it is, is seen later.
async fn reach(url: &str) -> Result<()> {
    let address = url.strip_prefix("https://").unwrap_or(url);
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = if has_port { address.to_owned() } else { format!("{address}:443") };
    let connected = time::timeout(REACH_PATIENCE, TcpStream::connect(&address)).await;
    let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    connected.map(drop).or_fail(Code::Network, || format!("connecting to the boot-server {address}"))
}

async fn lease_for(nic: &Nic) -> Result<Lease> {
    let socket = socket_on(nic)?;
    let exchange = Exchange { mac: nic.mac.clone(), transaction: transaction() };
    for seconds in ANSWER_WAITS {
        let wait = Duration::from_secs(seconds);
        let answer = ask(&socket, &exchange, &exchange.discover()?, wait).await?;
        let Some(Answer::Offer(offer)) = answer else { continue };
        let answer = ask(&socket, &exchange, &exchange.request(&offer)?, wait).await?;
        if let Some(Answer::Granted(lease)) = answer {
            return Ok(lease);
        }
    }
    Err(Failure::new(Code::Network, "no DHCP server answered"))
}

/// Sends a message and waits for an answer that means something to the exchange.
async fn ask(socket: &UdpSocket, exchange: &Exchange, message: &[u8], wait: Duration) -> Result<Option<Answer>> {
    let everyone = SocketAddr::from((Ipv4Addr::BROADCAST, SERVER_PORT));
    socket.send_to(message, everyone).await.or_fail(Code::Network, || "sending a DHCP message")?;
    let answered = async {
        let mut packet = [0u8; 2048];
        loop {
            let length = socket.recv(&mut packet).await.or_fail(Code::Network, || "receiving a DHCP message")?;
            let answer = exchange.answer(&packet[..length]);
            if answer != Answer::Other {
                return Ok(answer);
            }
        }
    };
    time::timeout(wait, answered).await.ok().transpose()
}

/// A socket that sends and receives on this card alone, whatever the routing table says.
fn socket_on(nic: &Nic) -> Result<UdpSocket> {
    let activity = || format!("opening a DHCP socket on {}", nic.name);
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).or_fail(Code::Network, activity)?;
    setsockopt(&socket, sockopt::BindToDevice, &OsString::from(&nic.name)).or_fail(Code::Network, activity)?;
    socket.set_broadcast(true).or_fail(Code::Network, activity)?;
    socket.set_nonblocking(true).or_fail(Code::Network, activity)?;
    UdpSocket::from_std(socket).or_fail(Code::Network, activity)
}

fn transaction() -> u32 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    (high ^ low) as u32
}

/// Extends the lease for as long as the run lasts; a refusal is logged, and the address kept to the end.
pub async fn keep_lease(network: Network) {
    let Network { nic, mut lease } = network;
    loop {
        time::sleep(lease.duration / 2).await;
        let exchange = Exchange { mac: nic.mac.clone(), transaction: transaction() };
        let renewed = async {
            let socket = socket_on(&nic)?;
            ask(&socket, &exchange, &exchange.renew(&lease)?, Duration::from_secs(10)).await
        };
        match renewed.await {
            Ok(Some(Answer::Granted(fresh))) => lease = fresh,
            Ok(_) => tracing::warn!("the lease of {} was not renewed", lease.address),
            Err(failure) => tracing::warn!("renewing the lease of {}: {failure}", lease.address),
        }
    }
}

fn index_of(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).or_fail(Code::Network, || format!("looking {name} up"))
}

async fn set_up(handle: &Handle, name: &str) -> Result<()> {
    let message = LinkUnspec::new_with_index(index_of(name)?).up().build();
    let done = handle.link().set(message).execute().await;
    done.or_fail(Code::Network, || {
        format!("bringing {name} up (its driver may want a firmware file: see the kernel's log)")
    })
}

/// What a card was given, to be taken away again.
struct Configured {
    address: AddressMessage,
    route: Option<RouteMessage>,
}

async fn configure(handle: &Handle, name: &str, lease: &Lease) -> Result<Configured> {
    let index = index_of(name)?;
    let activity = || format!("giving {name} the address {}/{}", lease.address, lease.prefix);
    let mut add = handle.address().add(index, IpAddr::V4(lease.address), lease.prefix).replace();
    let address = add.message_mut().clone();
    add.execute().await.or_fail(Code::Network, activity)?;
    let mut configured = Configured { address, route: None };
    if let Some(router) = lease.routers.first() {
        // The router may be outside of the subnet (a /32, a shared gateway): it is on the link all the same.
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(*router).output_interface(index).onlink().build();
        match handle.route().add(route.clone()).replace().execute().await {
            Ok(()) => configured.route = Some(route),
            // The server may be on this very network.
            Err(error) => tracing::warn!("adding the default route by {router}: {error}"),
        }
    }
    Ok(configured)
}

/// Another card is tried: what this one was given must not stand in its way.
async fn release(handle: &Handle, configured: Configured) {
    if let Some(route) = configured.route {
        let _ = handle.route().del(route).execute().await;
    }
    let _ = handle.address().del(configured.address).execute().await;
}

fn write_resolver(lease: &Lease) -> Result<()> {
    let mut text = String::new();
    if let Some(domain) = &lease.domain {
        text.push_str(&format!("search {domain}\n"));
    }
    for server in &lease.name_servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    fs::create_dir_all("/etc").or_fail(Code::System, || "creating /etc")?;
    fs::write("/etc/resolv.conf", text).or_fail(Code::System, || "writing /etc/resolv.conf")
}
