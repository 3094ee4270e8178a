//! TFTP: the first file of a machine, iPXE, from the iPXE folder, read only.
//!
//! `packet` reads and writes messages, `transfer` decides (pure); here are the sockets.

mod packet;
mod transfer;

use crate::{base::files, netboot::context::Context};
use packet::{ErrorCode, Message, ReadRequest};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs::File,
    io,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::UdpSocket, time::timeout};
use transfer::{Step, Transfer};

const PORT: u16 = 69;
/// A rack that is powered on at once, and then some; what is beyond is dropped and asks again.
const MAX_TRANSFERS: usize = 512;
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

/// Serves the files of `folder` until dropped. Returns at once where it is switched off.
///
/// # Errors
/// Where the socket cannot be bound.
pub async fn serve(config: Config, folder: PathBuf, context: Context) -> Result<()> {
    if !config.enabled {
        context.health.set("tftp", "off");
        return Ok(());
    }
    let listen = config.listen.unwrap_or_else(|| (context.site.address, PORT).into());
    let activity = || format!("binding UDP {listen} for TFTP");
    let socket = UdpSocket::bind(listen).await.or_fail(Code::System, activity)?;
    context.health.set("tftp", "running");
    report_missing(&folder, &context);
    tracing::info!("TFTP on {listen} from {}", folder.display());
    let shared = Arc::new(Shared { folder, local: listen, busy: Mutex::default() });
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
    match place.transfer(&request).await {
        Ok(bytes) => tracing::info!("TFTP: {client} has {:?} ({bytes} bytes)", request.file),
        Err(error) => tracing::info!("TFTP: sending {:?} to {client}: {error}", request.file),
    }
}

struct Shared {
    folder: PathBuf,
    local: SocketAddr,
    busy: Mutex<HashSet<SocketAddr>>,
}

/// One of the transfers that may run at once.
struct Place {
    shared: Arc<Shared>,
    client: SocketAddr,
}

impl Shared {
    /// None where the client is being served already (it repeated its request) or all places are taken.
    fn take_place(self: &Arc<Self>, client: SocketAddr) -> Option<Place> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.len() >= MAX_TRANSFERS {
            tracing::warn!("TFTP: {MAX_TRANSFERS} transfers are running; {client} has to ask again");
            return None;
        }
        busy.insert(client).then(|| Place { shared: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.client);
    }
}

impl Place {
    async fn transfer(&self, request: &ReadRequest) -> io::Result<u64> {
        let socket = UdpSocket::bind((self.shared.local.ip(), 0)).await?;
        socket.connect(self.client).await?;
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
        run(&socket, &file, metadata.len(), request).await
    }
}

/// Sends the file to the connected client.
async fn run(socket: &UdpSocket, file: &File, size: u64, request: &ReadRequest) -> io::Result<u64> {
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
            Ok(Ok(Message::Ack(block))) => transfer.on_ack(block),
            // OVMF asks for the size only, aborts, and comes back for the file.
            Ok(Ok(Message::Error(code, text))) => return Err(io::Error::other(format!("aborted: {code} {text}"))),
            Ok(Ok(_)) => Step::Wait,
            Ok(Err(error)) => return Err(error),
            Err(_) => transfer.on_silence(),
        };
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
    match socket.try_send(message) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.send(message).await.map(|_| ()),
        sent => sent.map(|_| ()),
    }
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
