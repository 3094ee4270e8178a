//! TFTP: the first file of a machine, iPXE, from the iPXE folder, read only.
//!
//! `packet` reads and writes messages, `transfer` decides (pure); here are the sockets.

mod packet;
mod transfer;

use crate::{
    base::{files, pace::Pace},
    netboot::context::Context,
};
use packet::{ErrorCode, Message, ReadRequest};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, sync::Notify, time::timeout};
use transfer::{Step, Transfer};

const PORT: u16 = 69;
/// A rack that is powered on at once, and then some; what is beyond is dropped and asks again.
const MAX_TRANSFERS: usize = 512;
/// A machine reads one file at a time; behind a router that translates addresses there may be some.
const OF_ONE_ADDRESS: usize = 16;
/// A transfer that has not moved for so long makes room for another one.
const STALLED: Duration = Duration::from_secs(2);
/// A full house is told so often.
const TOLD: Duration = Duration::from_secs(60);
/// What a rack needs; a stranger who sends all the time fills no log.
static LINES: Pace = Pace::new(50);
/// What nearly every network needs.
const EXPECTED: [&str; 2] = ["undionly.kpxe", "ipxe.efi"];
const MAX_REQUEST: usize = 1024;
const REORDERED: Duration = Duration::from_millis(20);

/// `[tftp]` of config.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether to serve at all.
    pub enabled: bool,
    /// Where; port 69 of the server's address where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, listen: None }
    }
}

/// The socket on which requests come, at this server's address where nothing else is configured; none where TFTP is switched off.
///
/// # Errors
/// Where it cannot be bound.
pub fn bind(config: &Config, address: Ipv4Addr) -> Result<Option<std::net::UdpSocket>> {
    if !config.enabled {
        return Ok(None);
    }
    let listen = config.listen.unwrap_or_else(|| (address, PORT).into());
    let bound = std::net::UdpSocket::bind(listen).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    bound.map(Some).or_fail(Code::System, || format!("serving tftp: binding UDP {listen} for TFTP"))
}

/// Serves the files of `folder` until dropped. Returns at once where it is switched off.
///
/// # Errors
/// Where nothing can be received on the socket.
pub async fn serve(socket: Option<std::net::UdpSocket>, folder: PathBuf, context: Context) -> Result<()> {
    let Some(socket) = socket else {
        context.health.set("tftp", "off");
        return Ok(());
    };
    let using = || "using the socket for TFTP";
    let listen = socket.local_addr().or_fail(Code::System, using)?;
    let socket = UdpSocket::from_std(socket).or_fail(Code::System, using)?;
    context.health.set("tftp", "running");
    report_missing(&folder, &context);
    tracing::info!("TFTP on {listen} from {}", folder.display());
    let shared = Arc::new(Shared { folder, local: listen, busy: Mutex::default(), told: Mutex::default() });
    let mut buffer = [0; MAX_REQUEST];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An ICMP error of a client that has gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error).or_fail(Code::System, || "receiving TFTP requests"),
        };
        match Message::parse(&buffer[..length]) {
            Some(Message::Read(request)) => {
                tokio::spawn(answer(shared.clone(), client, request));
            }
            Some(Message::Other) => {
                tell(|| format!("{client} asks for something else than reading a file in octet mode"));
                let refusal = packet::error(ErrorCode::Illegal, "only reading files in octet mode is possible here");
                let _ = socket.try_send_to(&refusal, client);
            }
            Some(Message::Ack(_) | Message::Error(..)) | None => {}
        }
    }
}

/// Better now than when the first machine stands there.
fn report_missing(folder: &Path, context: &Context) {
    for name in EXPECTED {
        if let Err(error) = files::open_below(folder, &[name]) {
            let folder = folder.display();
            context.policy.event(&format!(
                "TFTP: {name} in {folder} cannot be served: {error}; copy it there from the ipxe package"
            ));
        }
    }
}

/// Serves one request, unless it repeats one that is being served.
async fn answer(shared: Arc<Shared>, client: SocketAddr, request: ReadRequest) {
    let mut place = shared.take_place(client);
    if place.is_none() {
        // Firmware that aborts and asks anew may be heard in the wrong order, on two sockets.
        tokio::time::sleep(REORDERED).await;
        place = shared.take_place(client);
    }
    let Some(place) = place else { return };
    let transferred = tokio::select! {
        transferred = place.transfer(&request) => transferred,
        () = place.running.makes_room.notified() => Err(io::Error::other("it stalls, and others wait")),
    };
    match transferred {
        Ok(bytes) => tell(|| format!("{client} has {:?} ({bytes} bytes)", request.file)),
        Err(error) => tell(|| format!("sending {:?} to {client}: {error}", request.file)),
    }
}

fn tell(text: impl FnOnce() -> String) {
    if let Some(not_told) = LINES.allows(Instant::now()) {
        tracing::info!(not_told, "TFTP: {}", text());
    }
}

struct Shared {
    folder: PathBuf,
    local: SocketAddr,
    busy: Mutex<HashMap<SocketAddr, Arc<Running>>>,
    told: Mutex<Option<Instant>>,
}

/// A transfer that runs.
struct Running {
    /// When the client was heard last.
    heard: Mutex<Instant>,
    /// Rung when it has to end.
    makes_room: Notify,
}

/// One of the transfers that may run at once.
struct Place {
    shared: Arc<Shared>,
    client: SocketAddr,
    running: Arc<Running>,
}

impl Shared {
    /// None where the client is being served already (it repeated its request) or all places are taken.
    fn take_place(self: &Arc<Self>, client: SocketAddr) -> Option<Place> {
        let mut busy = lock(&self.busy);
        if busy.contains_key(&client) {
            return None;
        }
        let of_address = busy.keys().filter(|other| other.ip() == client.ip()).count();
        if busy.len() >= MAX_TRANSFERS || of_address >= OF_ONE_ADDRESS {
            self.make_room(&busy, client, of_address);
            return None;
        }
        let running = Arc::new(Running { heard: Mutex::new(Instant::now()), makes_room: Notify::new() });
        busy.insert(client, running.clone());
        Some(Place { shared: self.clone(), client, running })
    }

    /// Ends the transfer that has stalled longest; the client asks again.
    fn make_room(&self, busy: &HashMap<SocketAddr, Arc<Running>>, client: SocketAddr, of_address: usize) {
        let own = |other: &&SocketAddr| of_address < OF_ONE_ADDRESS || other.ip() == client.ip();
        let candidates =
            busy.iter().filter(|(other, _)| own(other)).map(|(_, running)| (*lock(&running.heard), running));
        if let Some((heard, running)) = candidates.min_by_key(|(heard, _)| *heard)
            && heard.elapsed() > STALLED
        {
            running.makes_room.notify_one();
        }
        let mut told = lock(&self.told);
        if told.is_none_or(|told| told.elapsed() > TOLD) {
            *told = Some(Instant::now());
            let (all, ip) = (busy.len(), client.ip());
            tracing::warn!("TFTP: {all} transfers are running, {of_address} of them to {ip}, which has to ask again");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.busy).remove(&self.client);
    }
}

impl Place {
    async fn transfer(&self, request: &ReadRequest) -> io::Result<u64> {
        let socket = UdpSocket::bind((self.shared.local.ip(), 0)).await?;
        socket.connect(self.client).await?;
        fragment(&socket)?;
        // Firmware is fond of leading slashes.
        let name = request.file.trim_start_matches(['/', '\\']);
        let (file, metadata) = match files::open_below(&self.shared.folder, &[name]) {
            Ok(opened) => opened,
            Err(error) => {
                let code =
                    if error.kind() == io::ErrorKind::NotFound { ErrorCode::NotFound } else { ErrorCode::Undefined };
                socket.send(&packet::error(code, "no such file here; is it in the ipxe folder?")).await?;
                return Err(error);
            }
        };
        let ended = self.run(&socket, &file, metadata.len(), request).await;
        // Whoever has aborted, or has gone, may be asking anew from the same port.
        if let Err(error) = &ended
            && !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused)
        {
            // Gone already is as good.
            let _ = socket.try_send(&packet::error(ErrorCode::Undefined, &error.to_string()));
        }
        ended
    }

    /// Sends the file to the connected client.
    async fn run(&self, socket: &UdpSocket, file: &File, size: u64, request: &ReadRequest) -> io::Result<u64> {
        let options = request.acknowledgement(size);
        let (mut transfer, mut step) = Transfer::start(request, size, options.is_some());
        let mut buffer = vec![0; 4 + transfer.block_size as usize];
        let mut received = [0; 512];
        loop {
            match step {
                Step::Options => send(socket, options.as_deref().unwrap_or_default()).await?,
                Step::Blocks(blocks) => {
                    for block in blocks {
                        let length = fill(&mut buffer, file, size, &transfer, block)?;
                        send(socket, &buffer[..length]).await?;
                    }
                }
                Step::Wait => {}
                Step::Done => return Ok(size),
                Step::GiveUp => return Err(io::ErrorKind::TimedOut.into()),
            }
            step = match timeout(transfer.patience(), next(socket, &mut received)).await {
                Ok(Ok(Message::Ack(block))) => {
                    *lock(&self.running.heard) = Instant::now();
                    transfer.on_ack(block)
                }
                // OVMF asks for the size only, aborts, and comes back for the file.
                Ok(Ok(Message::Error(code, text))) => {
                    let cause = format!("aborted: {code} {text}");
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, cause));
                }
                Ok(Ok(_)) => Step::Wait,
                Ok(Err(error)) => return Err(error),
                Err(_) => transfer.on_silence(),
            };
        }
    }
}

async fn next(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Message> {
    loop {
        let length = socket.recv(buffer).await?;
        if let Some(message) = Message::parse(&buffer[..length]) {
            return Ok(message);
        }
    }
}

/// The fast way needs no turn of the event loop.
async fn send(socket: &UdpSocket, message: &[u8]) -> io::Result<()> {
    let sent = match socket.try_send(message) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.send(message).await,
        sent => sent,
    };
    match sent {
        // The path has just been found to be narrower: what is sent again goes in fragments.
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => Ok(()),
        sent => sent.map(drop),
    }
}

/// A path may be narrower than the block that was agreed on: packets may be fragmented (ip(7), IP_MTU_DISCOVER).
fn fragment(socket: &UdpSocket) -> io::Result<()> {
    let (fd, never) = (socket.as_raw_fd(), libc::IP_PMTUDISC_DONT);
    let length = size_of_val(&never) as libc::socklen_t;
    // SAFETY: the option is a number, which outlives the call, on an open descriptor.
    let done =
        unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, (&raw const never).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts a block into the buffer and returns the length of the message. The files are small and in the
/// page cache: reading them here costs less than going to another thread.
fn fill(buffer: &mut [u8], file: &File, size: u64, transfer: &Transfer, block: u64) -> io::Result<usize> {
    let offset = (block - 1) * transfer.block_size;
    let length = transfer.block_size.min(size.saturating_sub(offset)) as usize;
    buffer[..4].copy_from_slice(&packet::data_header(block));
    file.read_exact_at(&mut buffer[4..4 + length], offset)?;
    Ok(4 + length)
}

/// Reads a packet as it is read from the network, for [`super::properties`].
#[cfg(any(test, fuzzing))]
pub(super) fn read(packet: &[u8]) {
    if let Some(packet::Message::Read(request)) = packet::Message::parse(packet) {
        let _ = request.acknowledgement(u64::MAX);
    }
}
