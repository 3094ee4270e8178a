//! Making the answer: the message, and where it goes.

use super::{bootfile::BootFile, request::Request, settings::Settings};
use dhcproto::{
    Encodable,
    v4::{DhcpOption, Flags, HType, Message, MessageType, Opcode, OptionCode, UnknownOption},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Our own option: the URL of the server, for the agent.
const SERVER_URL: u8 = 224;
/// Encapsulated iPXE options.
const IPXE: u8 = 175;
/// iPXE: do not wait for a proxyDHCP server (176), one byte, yes.
const NO_PXEDHCP: [u8; 3] = [176, 1, 1];
/// PXE vendor options: discovery control (6), one byte: load the boot file that is named here, ask
/// no boot servers and show no menu; end.
const USE_BOOT_FILE: [u8; 4] = [6, 1, 8, 255];

const RELAY_INFO: u8 = 82;
const END: u8 = 255;
/// BOOTP relays and old firmware drop shorter messages.
const MIN_MESSAGE: usize = 300;

/// A message and its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub message: Message,
    /// The relay's information, to be returned as it came.
    pub relay_info: Vec<u8>,
    /// Where it goes.
    pub to: SocketAddrV4,
}

impl Reply {
    /// The bytes to send. The relay's information goes last (RFC 3046), untouched: dhcproto would sort
    /// its parts.
    ///
    /// # Errors
    /// Where the message cannot be encoded.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = self.message.to_vec().map_err(io::Error::other)?;
        if !self.relay_info.is_empty() {
            bytes.pop_if(|last| *last == END);
            for part in self.relay_info.chunks(255) {
                bytes.extend([RELAY_INFO, part.len() as u8]);
                bytes.extend(part);
            }
            bytes.push(END);
        }
        bytes.resize(bytes.len().max(MIN_MESSAGE), 0);
        Ok(bytes)
    }
}

/// An answer of this kind that carries nothing yet but who it is from and for.
fn bare(request: &Request, settings: &Settings, kind: MessageType) -> Message {
    let (htype, hlen, chaddr) = request.hardware;
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootReply)
        .set_htype(HType::from(htype))
        .set_chaddr(&chaddr[..usize::from(hlen.min(16))])
        .set_xid(request.xid)
        .set_flags(Flags::from(request.flags))
        .set_giaddr(request.giaddr);
    put(&mut message, DhcpOption::MessageType(kind));
    put(&mut message, DhcpOption::ServerIdentifier(settings.site.address));
    echo(&mut message, OptionCode::ClientIdentifier, &request.client_id);
    message
}

/// An OFFER or ACK: the network's settings, a lease where an address is given, and the boot file.
pub fn grant(
    request: &Request,
    settings: &Settings,
    kind: MessageType,
    address: Option<Ipv4Addr>,
    boot: &BootFile,
) -> Reply {
    let mut message = bare(request, settings, kind);
    if kind == MessageType::Ack {
        message.set_ciaddr(request.ciaddr);
    }
    if let Some(address) = address {
        message.set_yiaddr(address);
        let seconds = settings.lease_seconds;
        put(&mut message, DhcpOption::AddressLeaseTime(seconds));
        put(&mut message, DhcpOption::Renewal(seconds / 2));
        put(&mut message, DhcpOption::Rebinding(seconds / 8 * 7));
    }
    network(&mut message, settings);
    boot_file(&mut message, request, settings, boot);
    let to = destination(request);
    Reply { message, relay_info: request.relay_info.clone(), to }
}

/// A refusal: start over.
pub fn refuse(request: &Request, settings: &Settings, reason: &str) -> Reply {
    let mut message = bare(request, settings, MessageType::Nak);
    put(&mut message, DhcpOption::Message(reason.to_owned()));
    // The client's address may be wrong for its link, so it must not be sent to; a relay is told to
    // broadcast (RFC 2131, 4.3.2).
    let to = if request.giaddr.is_unspecified() {
        SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
    } else {
        message.set_flags(Flags::from(request.flags | 0x8000));
        SocketAddrV4::new(request.giaddr, SERVER_PORT)
    };
    Reply { message, relay_info: request.relay_info.clone(), to }
}

/// The relay; or the client's own address; or everybody on the link, because a client without an
/// address answers no ARP.
fn destination(request: &Request) -> SocketAddrV4 {
    if !request.giaddr.is_unspecified() {
        SocketAddrV4::new(request.giaddr, SERVER_PORT)
    } else if !request.ciaddr.is_unspecified() && !request.wants_broadcast() {
        SocketAddrV4::new(request.ciaddr, CLIENT_PORT)
    } else {
        SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
    }
}

fn network(message: &mut Message, settings: &Settings) {
    // Beside another DHCP server the network's settings are its business.
    if let Some(pool) = &settings.pool {
        put(message, DhcpOption::SubnetMask(pool.network.mask));
        put(message, DhcpOption::BroadcastAddr(pool.network.broadcast()));
        if let Some(router) = settings.router {
            put(message, DhcpOption::Router(vec![router]));
        }
        if !settings.dns.is_empty() {
            put(message, DhcpOption::DomainNameServer(settings.dns.clone()));
        }
        if let Some(domain) = &settings.domain {
            put(message, DhcpOption::DomainName(domain.clone()));
        }
        if !settings.ntp.is_empty() {
            put(message, DhcpOption::NtpServers(settings.ntp.clone()));
        }
    }
    echo(message, OptionCode::Unknown(SERVER_URL), settings.site.server_url().as_bytes());
}

fn boot_file(message: &mut Message, request: &Request, settings: &Settings, boot: &BootFile) {
    let file = match boot {
        BootFile::NotAsked | BootFile::Unsupported(_) => return,
        BootFile::Script(file) | BootFile::Tftp(file) | BootFile::Http(file) => file,
    };
    let server = settings.site.address.to_string();
    message.set_siaddr(settings.site.address).set_sname_str(&server);
    if file.len() < 128 {
        message.set_fname_str(file);
    }
    // Some firmware takes both for C strings and reads on without a zero.
    let ended = |text: &str| [text.as_bytes(), b"\0"].concat();
    put(message, DhcpOption::TFTPServerName(ended(&server)));
    put(message, DhcpOption::BootfileName(ended(file)));
    echo(message, OptionCode::ClientMachineIdentifier, &request.machine_id);
    match boot {
        BootFile::Http(_) => put(message, DhcpOption::ClassIdentifier(b"HTTPClient".to_vec())),
        // iPXE takes PXEClient for the mark of a proxyDHCP server, and so it must be, but only there.
        BootFile::Script(_) if settings.pool.is_some() => {
            echo(message, OptionCode::Unknown(IPXE), &NO_PXEDHCP);
        }
        _ => {
            put(message, DhcpOption::ClassIdentifier(b"PXEClient".to_vec()));
            put(message, DhcpOption::VendorExtensions(USE_BOOT_FILE.to_vec()));
        }
    }
}

fn put(message: &mut Message, option: DhcpOption) {
    message.opts_mut().insert(option);
}

fn echo(message: &mut Message, code: OptionCode, bytes: &[u8]) {
    if !bytes.is_empty() {
        put(message, DhcpOption::Unknown(UnknownOption::new(code, bytes.to_vec())));
    }
}
