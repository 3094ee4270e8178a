//! The DHCP client's decisions (RFC 2131): what to send, and what an answer means. No sockets here.

use dhcproto::{
    Encodable, Encoder,
    v4::{DhcpOption, Flags, Message, MessageType, OptionCode},
};
use protocol::{Code, Failure, failure::Result, names::Mac};
use std::{net::Ipv4Addr, time::Duration};

/// Private-use option that carries the boot-server's URL.
const SERVER_URL_OPTION: u8 = 224;
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// What a DHCP server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// This machine's address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// Default routers, best first.
    pub routers: Vec<Ipv4Addr>,
    /// Name servers.
    pub name_servers: Vec<Ipv4Addr>,
    /// Search domain.
    pub domain: Option<String>,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// How long it lasts.
    pub duration: Duration,
    /// Option 224: `https://HOST:PORT` of the boot-server.
    pub boot_server: Option<String>,
}

/// What an answer to one of our messages means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An address is offered: request it.
    Offer(Lease),
    /// The address is ours.
    Granted(Lease),
    /// The server refuses: start again.
    Refused,
    /// Not for us, or of no use.
    Other,
}

/// One exchange of one card.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The card.
    pub mac: Mac,
    /// Tells our exchange from others.
    pub transaction: u32,
}

impl Exchange {
    /// DHCPDISCOVER.
    ///
    /// # Errors
    /// `E-INTERNAL` where it cannot be encoded.
    pub fn discover(&self) -> Result<Vec<u8>> {
        self.encode(MessageType::Discover, Ipv4Addr::UNSPECIFIED, vec![])
    }

    /// DHCPREQUEST for an offer.
    ///
    /// # Errors
    /// `E-INTERNAL` where it cannot be encoded.
    pub fn request(&self, offer: &Lease) -> Result<Vec<u8>> {
        let options = vec![DhcpOption::RequestedIpAddress(offer.address), DhcpOption::ServerIdentifier(offer.server)];
        self.encode(MessageType::Request, Ipv4Addr::UNSPECIFIED, options)
    }

    /// DHCPREQUEST that extends a lease (RFC 2131, 4.3.2, REBINDING: any server may answer).
    ///
    /// # Errors
    /// `E-INTERNAL` where it cannot be encoded.
    pub fn renew(&self, lease: &Lease) -> Result<Vec<u8>> {
        self.encode(MessageType::Request, lease.address, vec![])
    }

    fn encode(&self, kind: MessageType, address: Ipv4Addr, options: Vec<DhcpOption>) -> Result<Vec<u8>> {
        let hardware = self.hardware_address();
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(self.transaction, address, none, none, none, &hardware);
        if address.is_unspecified() {
            // The card has no address yet, so the answer has to come by broadcast.
            message.set_flags(Flags::default().set_broadcast());
        }
        let wanted = [
            OptionCode::SubnetMask,
            OptionCode::Router,
            OptionCode::DomainNameServer,
            OptionCode::DomainName,
            OptionCode::AddressLeaseTime,
            OptionCode::ServerIdentifier,
            OptionCode::Unknown(SERVER_URL_OPTION),
        ];
        let list = message.opts_mut();
        list.insert(DhcpOption::MessageType(kind));
        list.insert(DhcpOption::ClientIdentifier([&[1], hardware.as_slice()].concat()));
        list.insert(DhcpOption::ClassIdentifier(b"centra-agent".to_vec()));
        list.insert(DhcpOption::MaxMessageSize(1472));
        list.insert(DhcpOption::ParameterRequestList(wanted.to_vec()));
        for option in options {
            list.insert(option);
        }
        let mut bytes = Vec::new();
        let encoded = message.encode(&mut Encoder::new(&mut bytes));
        encoded.map_err(|error| Failure::from_error(Code::Internal, "encoding a DHCP message", &error))?;
        Ok(bytes)
    }

    /// What a packet means to this exchange.
    pub fn answer(&self, packet: &[u8]) -> Answer {
        let Some(reply) = Reply::parse(packet) else { return Answer::Other };
        if reply.transaction != self.transaction || reply.hardware != self.hardware_address() {
            return Answer::Other;
        }
        match reply.option(MESSAGE_TYPE) {
            Some([OFFER]) => reply.lease().map_or(Answer::Other, Answer::Offer),
            Some([ACK]) => reply.lease().map_or(Answer::Other, Answer::Granted),
            Some([NAK]) => Answer::Refused,
            _ => Answer::Other,
        }
    }

    fn hardware_address(&self) -> Vec<u8> {
        // A `Mac` has six pairs of hex digits by its grammar.
        self.mac.as_str().split(':').filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
    }
}

const MESSAGE_TYPE: u8 = 53;
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// A server's message. Read by hand: dhcproto's decoder panics on some malformed packets (a rapid commit
/// option with content, a hardware address longer than its field).
struct Reply<'a> {
    transaction: u32,
    address: Ipv4Addr,
    hardware: &'a [u8],
    options: &'a [u8],
}

impl<'a> Reply<'a> {
    /// RFC 2131, section 2: BOOTREPLY over Ethernet, 236 bytes of fields, the magic cookie, options.
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let (fields, rest) = packet.split_at_checked(236)?;
        let options = rest.strip_prefix(&[99, 130, 83, 99])?;
        let is_ethernet_reply = fields.starts_with(&[2, 1, 6]);
        is_ethernet_reply.then_some(Self {
            transaction: u32::from_be_bytes(fields[4..8].try_into().ok()?),
            address: address(&fields[16..20])?,
            hardware: &fields[28..34],
            options,
        })
    }

    /// The content of the first option of this code (RFC 2132: 0 pads, 255 ends).
    fn option(&self, code: u8) -> Option<&'a [u8]> {
        let mut options = self.options;
        loop {
            match *options {
                [0, ref rest @ ..] => options = rest,
                [255, ..] | [] | [_] => return None,
                [found, length, ref rest @ ..] => {
                    let (content, rest) = rest.split_at_checked(usize::from(length))?;
                    if found == code {
                        return Some(content);
                    }
                    options = rest;
                }
            }
        }
    }

    fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        self.option(code).map(|content| content.chunks_exact(4).filter_map(address).collect()).unwrap_or_default()
    }

    fn text(&self, code: u8) -> Option<&'a str> {
        Some(std::str::from_utf8(self.option(code)?).ok()?.trim_end_matches('\0'))
    }

    fn lease(&self) -> Option<Lease> {
        let mask = u32::from(address(self.option(1)?)?);
        // A mask with holes is no mask.
        let prefix = mask.leading_ones();
        if self.address.is_unspecified() || mask.count_ones() != prefix {
            return None;
        }
        let seconds = self.option(51).and_then(|content| Some(u32::from_be_bytes(content.try_into().ok()?)));
        let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        Some(Lease {
            address: self.address,
            prefix: u8::try_from(prefix).ok()?,
            routers: self.addresses(3),
            name_servers: self.addresses(6),
            domain: self.text(15).filter(plain).filter(|name| !name.is_empty()).map(str::to_owned),
            server: address(self.option(54)?)?,
            duration: Duration::from_secs(u64::from(seconds.unwrap_or(3600))).max(SHORTEST_LEASE),
            boot_server: self.text(SERVER_URL_OPTION).and_then(super::cmdline::server_url),
        })
    }
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhcproto::{Decodable, Decoder, v4::UnknownOption};
    use proptest::prelude::*;

    fn exchange() -> Exchange {
        Exchange { mac: "52:54:00:00:00:01".parse().unwrap(), transaction: 7 }
    }

    fn offer(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message =
            Message::new_with_id(7, none, Ipv4Addr::new(10, 77, 0, 20), none, none, &exchange().hardware_address());
        message.set_opcode(dhcproto::v4::Opcode::BootReply);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(MessageType::Offer));
        options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
        options.insert(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 77, 0, 1)));
        options.insert(DhcpOption::Unknown(UnknownOption::new(
            OptionCode::Unknown(SERVER_URL_OPTION),
            b"https://10.77.0.1:8443".to_vec(),
        )));
        change(&mut message);
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).unwrap();
        bytes
    }

    #[test]
    fn an_offer_becomes_a_lease_with_the_boot_server() {
        let Answer::Offer(lease) = exchange().answer(&offer(|_| {})) else { panic!("no offer") };
        assert_eq!((lease.address, lease.prefix), (Ipv4Addr::new(10, 77, 0, 20), 24));
        assert_eq!(lease.boot_server.as_deref(), Some("https://10.77.0.1:8443"));
    }

    #[test]
    fn answers_to_others_are_left_alone() {
        let other_transaction = offer(|message| {
            message.set_xid(8);
        });
        let other_card = offer(|message| {
            message.set_chaddr(&[1; 6]);
        });
        assert_eq!(exchange().answer(&other_transaction), Answer::Other);
        assert_eq!(exchange().answer(&other_card), Answer::Other);
    }

    #[test]
    fn a_mask_with_holes_is_refused() {
        let packet = offer(|message| {
            message.opts_mut().insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 0, 255, 0)));
        });
        assert_eq!(exchange().answer(&packet), Answer::Other);
    }

    #[test]
    fn the_request_names_the_offer_and_its_server() {
        let Answer::Offer(lease) = exchange().answer(&offer(|_| {})) else { panic!("no offer") };
        let request = exchange().request(&lease).unwrap();
        let message = Message::decode(&mut Decoder::new(&request)).unwrap();
        assert_eq!(message.opts().msg_type(), Some(MessageType::Request));
        let requested = message.opts().get(OptionCode::RequestedIpAddress);
        assert_eq!(requested, Some(&DhcpOption::RequestedIpAddress(lease.address)));
    }

    proptest! {
        #[test]
        fn any_packet_is_borne(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = exchange().answer(&packet);
        }

        #[test]
        fn any_damage_to_an_offer_is_borne(at in 0usize..300, value: u8) {
            let mut packet = offer(|_| {});
            if let Some(byte) = packet.get_mut(at) {
                *byte = value;
            }
            let _ = exchange().answer(&packet);
        }
    }
}
