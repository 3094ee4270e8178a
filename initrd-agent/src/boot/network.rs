//! Brings a network card up and keeps its lease.

use super::{
    cmdline::KernelParameters,
    dhcp::{Answer, Exchange, Lease},
};
use hardware::inventory;
use nix::sys::socket::{setsockopt, sockopt};
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Nic};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::{
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, time};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Switch ports with spanning tree take up to 30 s to forward; the step is tried again after that anyway.
const CARRIER_PATIENCE: Duration = Duration::from_secs(10);
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
    /// One line for people.
    pub fn describe(&self) -> String {
        format!("{} {} {}/{}", self.nic.name, self.nic.mac, self.lease.address, self.lease.prefix)
    }
}

/// Brings every card up, asks for an address on each that has a carrier, the one that booted first, and takes
/// the first lease.
///
/// # Errors
/// `E-NETWORK` where there is no card, no carrier or no answer; the cause names each card.
pub async fn bring_up(parameters: &KernelParameters) -> Result<Network> {
    let (connection, handle, _) = rtnetlink::new_connection().or_fail(Code::Network, || "opening netlink")?;
    let netlink = tokio::spawn(connection);
    let result = bring_up_with(&handle, parameters).await;
    netlink.abort();
    let network = result?;
    write_resolver(&network.lease)?;
    Ok(network)
}

async fn bring_up_with(handle: &Handle, parameters: &KernelParameters) -> Result<Network> {
    for nic in inventory::nics() {
        set_up(handle, &nic.name).await?;
    }
    set_up(handle, "lo").await?;
    let mut nics = with_carrier().await?;
    nics.sort_by_key(|nic| parameters.boot_interface.as_ref() != Some(&nic.mac));
    let mut tried = Vec::new();
    for nic in nics {
        match lease_for(&nic).await {
            Ok(lease) => {
                configure(handle, &nic.name, &lease).await?;
                return Ok(Network { nic, lease });
            }
            Err(failure) => tried.push(format!("{}: {}", nic.name, failure.cause)),
        }
    }
    Err(Failure::new(Code::Network, format!("asking for an address by DHCP: {}", tried.join("; "))))
}

/// The cards with a carrier, as soon as there is one.
async fn with_carrier() -> Result<Vec<Nic>> {
    let deadline = Instant::now() + CARRIER_PATIENCE;
    loop {
        let nics = inventory::nics();
        let linked: Vec<Nic> = nics.iter().filter(|nic| nic.link).cloned().collect();
        if !linked.is_empty() {
            return Ok(linked);
        }
        if Instant::now() > deadline {
            let names: Vec<&str> = nics.iter().map(|nic| nic.name.as_str()).collect();
            let seen = if names.is_empty() { "no network card was found".to_owned() } else { names.join(", ") };
            return Err(Failure::new(Code::Network, format!("waiting for a carrier: none on: {seen}")));
        }
        time::sleep(Duration::from_millis(100)).await;
    }
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
    handle.link().set(message).execute().await.or_fail(Code::Network, || format!("bringing {name} up"))
}

async fn configure(handle: &Handle, name: &str, lease: &Lease) -> Result<()> {
    let index = index_of(name)?;
    let activity = || format!("giving {name} the address {}/{}", lease.address, lease.prefix);
    let add = handle.address().add(index, IpAddr::V4(lease.address), lease.prefix).replace();
    add.execute().await.or_fail(Code::Network, activity)?;
    if let Some(router) = lease.routers.first() {
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(*router).output_interface(index).build();
        let add = handle.route().add(route).replace();
        add.execute().await.or_fail(Code::Network, || format!("adding the default route by {router}"))?;
    }
    Ok(())
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
