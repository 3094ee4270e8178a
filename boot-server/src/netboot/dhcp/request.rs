//! Reading a client's DHCP message.
//!
//! Only what this server decides upon is read, each option by itself: dhcproto's decoder gives up at
//! the first option it dislikes (a host name that is not UTF-8 would hide the architecture behind
//! it) and panics on a hardware address longer than its field. Replies are dhcproto's.

use protocol::names::Mac;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Header of BOOTP up to the options, with the cookie.
const HEADER: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const BOOT_REQUEST: u8 = 1;
const BOOT_REPLY: u8 = 2;

/// Option codes, by the names of RFC 2132 and 4578.
mod code {
    pub const PAD: u8 = 0;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const USER_CLASS: u8 = 77;
    pub const RELAY_INFO: u8 = 82;
    pub const ARCHITECTURE: u8 = 93;
    pub const MACHINE_ID: u8 = 97;
    pub const IPXE: u8 = 175;
    pub const END: u8 = 255;
}

/// The message types that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Who has an address for me?
    Discover,
    /// I take this address, or keep it.
    Request,
    /// Somebody else uses the address you gave me.
    Decline,
    /// I am done with it.
    Release,
    /// I have an address; tell me the rest.
    Inform,
}

/// Who a lease belongs to.
///
/// The hardware address wherever there is one, although RFC 2131 prefers option 61: firmware, iPXE,
/// the agent and the installed system all choose another client identifier, and a machine must keep
/// one address all the way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// An Ethernet card.
    Card(Mac),
    /// Option 61 of a client with no such address.
    Id(Vec<u8>),
}

/// A client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it wants.
    pub kind: Kind,
    /// Who asks.
    pub client: Client,
    /// Hardware type, length and field, to be echoed.
    pub hardware: (u8, u8, [u8; 16]),
    /// Transaction.
    pub xid: u32,
    /// Flags, to be echoed; the top bit asks for a broadcast.
    pub flags: u16,
    /// Address the client has and answers on.
    pub ciaddr: Ipv4Addr,
    /// The relay, unspecified where there is none.
    pub giaddr: Ipv4Addr,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server_id: Option<Ipv4Addr>,
    /// Option 60.
    pub vendor_class: Vec<u8>,
    /// Option 61, to be echoed (RFC 6842).
    pub client_id: Vec<u8>,
    /// Option 82, to be echoed as it came.
    pub relay_info: Vec<u8>,
    /// Option 93, in the order the client prefers.
    pub architectures: Vec<u16>,
    /// Option 97, to be echoed.
    pub machine_id: Vec<u8>,
    /// Whether it is iPXE already.
    pub ipxe: bool,
}

impl Request {
    /// Reads a message; none where it is not a client's DHCP message.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let options = options(packet, BOOT_REQUEST)?;
        // What is longer would not fit into one option of the answer.
        let short = |value: &&Vec<u8>| value.len() <= 255;
        let option = |code: u8| options.get(&code).filter(short).map_or(&[][..], Vec::as_slice);
        let kind = match option(code::MESSAGE_TYPE) {
            [1] => Kind::Discover,
            [3] => Kind::Request,
            [4] => Kind::Decline,
            [7] => Kind::Release,
            [8] => Kind::Inform,
            _ => return None,
        };
        let (htype, hlen) = (*packet.get(1)?, *packet.get(2)?);
        let chaddr: [u8; 16] = packet.get(28..44)?.try_into().ok()?;
        if hlen > 16 {
            return None;
        }
        let client_id = option(code::CLIENT_ID).to_vec();
        let vendor_class = option(code::VENDOR_CLASS).to_vec();
        Some(Self {
            kind,
            client: client(htype, hlen, &chaddr, &client_id)?,
            hardware: (htype, hlen, chaddr),
            xid: u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?),
            flags: u16::from_be_bytes(packet.get(10..12)?.try_into().ok()?),
            ciaddr: address(packet.get(12..16)?)?,
            giaddr: address(packet.get(24..28)?)?,
            requested: address(option(code::REQUESTED_ADDRESS)),
            server_id: address(option(code::SERVER_ID)),
            architectures: architectures(option(code::ARCHITECTURE), &vendor_class),
            vendor_class,
            client_id,
            relay_info: option(code::RELAY_INFO).to_vec(),
            machine_id: option(code::MACHINE_ID).to_vec(),
            ipxe: is_ipxe(option(code::USER_CLASS)) || options.contains_key(&code::IPXE),
        })
    }

    /// Whether it asks for something to boot: firmware or iPXE.
    pub fn wants_boot_file(&self) -> bool {
        self.ipxe || self.is_pxe() || self.is_http_boot()
    }

    /// Vendor class PXEClient.
    pub fn is_pxe(&self) -> bool {
        self.vendor_class.starts_with(b"PXEClient")
    }

    /// Vendor class HTTPClient: UEFI HTTP boot.
    pub fn is_http_boot(&self) -> bool {
        self.vendor_class.starts_with(b"HTTPClient")
    }

    /// Whether the client cannot receive a packet to an address it does not have yet.
    pub fn wants_broadcast(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The link the client is on: suboption 5 of the relay's information, else the relay's address.
    pub fn link(&self) -> Option<Ipv4Addr> {
        let selected = sub_option(&self.relay_info, 5).and_then(address);
        selected.or(Some(self.giaddr)).filter(|link| !link.is_unspecified())
    }
}

/// The server named in somebody's OFFER, ACK or NAK: another DHCP server on this segment.
pub fn answering_server(packet: &[u8]) -> Option<Ipv4Addr> {
    address(options(packet, BOOT_REPLY)?.get(&code::SERVER_ID)?)
}

/// The options of a message of this kind, those that came in several parts joined (RFC 3396).
fn options(packet: &[u8], operation: u8) -> Option<BTreeMap<u8, Vec<u8>>> {
    if packet.len() < HEADER || packet[0] != operation || packet[HEADER - 4..HEADER] != COOKIE {
        return None;
    }
    let mut options: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut rest = &packet[HEADER..];
    while let [code, tail @ ..] = rest {
        match (*code, tail) {
            (code::END, _) => break,
            (code::PAD, _) => rest = tail,
            (code, [length, tail @ ..]) if tail.len() >= usize::from(*length) => {
                let (value, tail) = tail.split_at(usize::from(*length));
                options.entry(code).or_default().extend_from_slice(value);
                rest = tail;
            }
            _ => break,
        }
    }
    Some(options)
}

fn sub_option(mut rest: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [code, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        if *code == wanted {
            return Some(value);
        }
        rest = &tail[usize::from(*length)..];
    }
    None
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn client(htype: u8, hlen: u8, chaddr: &[u8; 16], client_id: &[u8]) -> Option<Client> {
    let card = &chaddr[..6];
    if htype == 1 && hlen == 6 && card.iter().any(|byte| *byte != 0) {
        let text: Vec<String> = card.iter().map(|byte| format!("{byte:02x}")).collect();
        return text.join(":").parse().ok().map(Client::Card);
    }
    (!client_id.is_empty()).then(|| Client::Id(client_id.to_vec()))
}

/// iPXE sends its four letters bare; RFC 3004 has a length before each class.
fn is_ipxe(user_class: &[u8]) -> bool {
    user_class == b"iPXE" || user_class == b"\x04iPXE"
}

/// Option 93; firmware that leaves it out still says `PXEClient:Arch:00007:...`.
fn architectures(option: &[u8], vendor_class: &[u8]) -> Vec<u16> {
    if option.len() >= 2 {
        return option.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    }
    let text = String::from_utf8_lossy(vendor_class);
    let named = text.split_once(":Arch:").and_then(|(_, rest)| rest.get(..5)?.parse().ok());
    named.into_iter().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use dhcproto::{
        Encodable,
        v4::{self, DhcpOption, OptionCode, UnknownOption},
    };
    use proptest::prelude::*;

    /// A message made by another codec than the one under test.
    pub fn message(kind: v4::MessageType, options: Vec<DhcpOption>) -> v4::Message {
        let mut message = v4::Message::default();
        message.set_xid(7).set_chaddr(&[0x52, 0x54, 0, 0, 0, 1]);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        for option in options {
            message.opts_mut().insert(option);
        }
        message
    }

    pub fn parsed(message: &v4::Message) -> Request {
        Request::parse(&message.to_vec().unwrap()).unwrap()
    }

    fn raw(code: OptionCode, bytes: &[u8]) -> DhcpOption {
        DhcpOption::Unknown(UnknownOption::new(code, bytes.to_vec()))
    }

    #[test]
    fn ipxe_is_known_by_its_bare_user_class_by_rfc_3004_and_by_option_175() {
        for option in [
            raw(OptionCode::UserClass, b"iPXE"),
            raw(OptionCode::UserClass, b"\x04iPXE"),
            raw(OptionCode::Unknown(175), &[0xb1, 1, 1]),
        ] {
            assert!(parsed(&message(v4::MessageType::Discover, vec![option])).ipxe);
        }
        assert!(!parsed(&message(v4::MessageType::Discover, vec![raw(OptionCode::UserClass, b"other")])).ipxe);
    }

    #[test]
    fn a_bad_host_name_does_not_hide_the_architecture_behind_it() {
        let options =
            vec![raw(OptionCode::Hostname, &[0xff, 0xfe]), raw(OptionCode::ClientSystemArchitecture, &[0, 7, 0, 16])];
        assert_eq!(parsed(&message(v4::MessageType::Discover, options)).architectures, [7, 16]);
    }

    #[test]
    fn the_architecture_is_read_from_the_vendor_class_where_option_93_is_missing() {
        let class = DhcpOption::ClassIdentifier(b"PXEClient:Arch:00007:UNDI:003000".to_vec());
        let request = parsed(&message(v4::MessageType::Discover, vec![class]));
        assert_eq!(request.architectures, [7]);
        assert!(request.is_pxe() && !request.is_http_boot());
    }

    #[test]
    fn the_link_is_the_relays_selection_before_its_address() {
        let mut relayed = message(v4::MessageType::Discover, vec![]);
        assert_eq!(parsed(&relayed).link(), None);
        relayed.set_giaddr([10, 0, 0, 1]);
        assert_eq!(parsed(&relayed).link(), Some([10, 0, 0, 1].into()));
        relayed.opts_mut().insert(raw(OptionCode::RelayAgentInformation, &[1, 1, 9, 5, 4, 10, 9, 0, 1]));
        assert_eq!(parsed(&relayed).link(), Some([10, 9, 0, 1].into()));
    }

    #[test]
    fn a_client_without_an_ethernet_address_is_known_by_its_identifier() {
        let mut request = message(v4::MessageType::Discover, vec![DhcpOption::ClientIdentifier(vec![0, 1, 2])]);
        request.set_chaddr(&[]);
        assert_eq!(parsed(&request).client, Client::Id(vec![0, 1, 2]));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            mut packet in proptest::collection::vec(any::<u8>(), 0..600),
            operation in 0u8..3,
            looks_right in any::<bool>(),
        ) {
            if looks_right && packet.len() >= HEADER {
                packet[0] = operation;
                packet[HEADER - 4..HEADER].copy_from_slice(&COOKIE);
            }
            if let Some(request) = Request::parse(&packet) {
                let _ = (request.link(), request.wants_boot_file());
            }
            let _ = answering_server(&packet);
        }
    }
}
