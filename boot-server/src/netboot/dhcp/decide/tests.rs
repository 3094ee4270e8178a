//! How the DHCP server answers, message by message.

use super::*;
use crate::netboot::dhcp::{
    request::tests::{message, parsed},
    settings::{Mode, tests as fixture},
};
use dhcproto::{
    Encodable,
    v4::{
        Architecture, DhcpOption, Flags, Message, OptionCode,
        relay::{RelayAgentInformation, RelayInfo},
    },
};
use proptest::prelude::*;

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

struct Server {
    settings: Settings,
    leases: Leases,
    own: Option<Ipv4Addr>,
    now: u64,
}

impl Server {
    fn new(mode: Mode) -> Self {
        let mut config = fixture::config();
        config.mode = mode;
        config.router = Some(SERVER);
        Self { settings: config.settings(&fixture::site()).unwrap(), leases: Leases::default(), own: None, now: 1000 }
    }

    fn decide(&mut self, message: &Message) -> Decision {
        let reservations = Reservations { own: self.own, others: &|_| false };
        decide(&parsed(message), &self.settings, &reservations, &mut self.leases, self.now)
    }

    fn answer(&mut self, message: &Message) -> Reply {
        self.decide(message).reply.expect("an answer")
    }
}

fn request(options: Vec<DhcpOption>) -> Message {
    message(MessageType::Request, options)
}

fn from_card(number: u8, mut message: Message) -> Message {
    message.set_chaddr(&[0x52, 0x54, 0, 0, 1, number]);
    message
}

fn select(address: Ipv4Addr) -> Message {
    request(vec![DhcpOption::RequestedIpAddress(address), DhcpOption::ServerIdentifier(SERVER)])
}

fn kind(reply: &Reply) -> MessageType {
    reply.message.opts().msg_type().unwrap()
}

fn bytes(reply: &Reply, code: OptionCode) -> Option<Vec<u8>> {
    let encoded = reply.message.opts().get(code)?.to_vec().unwrap();
    Some(encoded[2..].to_vec())
}

fn firmware(class: &str, architecture: u16) -> Vec<DhcpOption> {
    vec![
        DhcpOption::ClassIdentifier(class.into()),
        DhcpOption::ClientSystemArchitecture(Architecture(architecture)),
        DhcpOption::ClientMachineIdentifier(vec![0; 17]),
    ]
}

#[test]
fn an_address_is_offered_taken_and_renewed() {
    let mut server = Server::new(Mode::Full);
    let offer = server.answer(&message(MessageType::Discover, vec![]));
    assert_eq!((kind(&offer), offer.message.yiaddr()), (MessageType::Offer, FIRST));
    assert_eq!(offer.to, "255.255.255.255:68".parse().unwrap());
    assert_eq!(bytes(&offer, OptionCode::SubnetMask).unwrap(), [255, 255, 255, 0]);
    assert_eq!(bytes(&offer, OptionCode::Unknown(224)).unwrap(), b"https://10.77.0.1:8443");

    let taken = server.decide(&select(FIRST));
    assert_eq!(taken.changed, Some(FIRST));
    assert_eq!(kind(&taken.reply.unwrap()), MessageType::Ack);

    let mut renewal = request(vec![]);
    renewal.set_ciaddr(FIRST);
    let renewed = server.answer(&renewal);
    assert_eq!((kind(&renewed), renewed.to), (MessageType::Ack, "10.77.0.100:68".parse().unwrap()));
}

#[test]
fn the_choice_of_another_server_is_respected_in_silence() {
    let mut server = Server::new(Mode::Full);
    let other = DhcpOption::ServerIdentifier([10, 77, 0, 9].into());
    assert!(server.decide(&request(vec![DhcpOption::RequestedIpAddress(FIRST), other])).reply.is_none());
}

#[test]
fn a_client_that_comes_back_keeps_a_free_address_and_is_refused_any_other() {
    let mut server = Server::new(Mode::Full);
    let remembers = |address: [u8; 4]| request(vec![DhcpOption::RequestedIpAddress(address.into())]);
    assert_eq!(kind(&server.answer(&remembers([10, 77, 0, 101]))), MessageType::Ack);
    for wrong in [[192, 168, 0, 7], [10, 77, 0, 7], [10, 77, 0, 101]] {
        let refusal = server.answer(&from_card(9, remembers(wrong)));
        assert_eq!((kind(&refusal), refusal.to.ip()), (MessageType::Nak, &Ipv4Addr::BROADCAST));
    }
}

#[test]
fn a_relay_gets_the_answer_and_its_information_back() {
    let mut server = Server::new(Mode::Full);
    let mut information = RelayAgentInformation::default();
    information.insert(RelayInfo::AgentCircuitId(vec![8, 9]));
    information.insert(RelayInfo::AgentRemoteId(vec![7]));
    let mut relayed = message(MessageType::Discover, vec![DhcpOption::RelayAgentInformation(information)]);
    relayed.set_giaddr([10, 77, 0, 2]);
    let offer = server.answer(&relayed);
    assert_eq!(offer.to, "10.77.0.2:67".parse().unwrap());
    let sent = offer.encode().unwrap();
    let last: Vec<u8> = sent.iter().copied().rev().skip_while(|byte| *byte == 0).collect();
    assert_eq!(last[..10], [255, 7, 1, 2, 9, 8, 2, 1, 7, 82]);

    relayed.set_giaddr([10, 99, 0, 2]);
    let foreign = server.decide(&relayed);
    assert!(foreign.reply.is_none());
    assert_eq!(foreign.notice, Some(Notice::NoRange([10, 99, 0, 2].into())));
}

#[test]
fn a_refusal_through_a_relay_is_broadcast_there() {
    let mut server = Server::new(Mode::Full);
    let mut relayed = select([10, 77, 0, 250].into());
    relayed.set_giaddr([10, 77, 0, 2]);
    let refusal = server.answer(&relayed);
    assert_eq!((refusal.to, refusal.message.flags().broadcast()), ("10.77.0.2:67".parse().unwrap(), true));
}

#[test]
fn an_empty_pool_is_reported() {
    let mut server = Server::new(Mode::Full);
    for number in 1..=2 {
        server.answer(&from_card(number, message(MessageType::Discover, vec![])));
    }
    let decision = server.decide(&from_card(3, message(MessageType::Discover, vec![])));
    assert!(decision.reply.is_none());
    assert_eq!(decision.notice, Some(Notice::PoolExhausted));
}

#[test]
fn a_duplicate_address_is_reported_and_another_is_given() {
    let mut server = Server::new(Mode::Full);
    server.answer(&message(MessageType::Discover, vec![]));
    server.answer(&select(FIRST));
    let decline = message(MessageType::Decline, vec![DhcpOption::RequestedIpAddress(FIRST)]);
    assert_eq!(server.decide(&decline).notice, Some(Notice::Duplicate(FIRST)));
    assert_ne!(server.answer(&message(MessageType::Discover, vec![])).message.yiaddr(), FIRST);
}

#[test]
fn a_released_address_may_go_to_another_client() {
    let mut server = Server::new(Mode::Full);
    server.answer(&message(MessageType::Discover, vec![]));
    server.answer(&select(FIRST));
    let mut release = message(MessageType::Release, vec![]);
    release.set_ciaddr(FIRST);
    assert_eq!(server.decide(&release).changed, Some(FIRST));
    assert_eq!(kind(&server.answer(&from_card(5, select(FIRST)))), MessageType::Ack);
}

#[test]
fn a_new_reservation_moves_the_client() {
    let mut server = Server::new(Mode::Full);
    server.answer(&message(MessageType::Discover, vec![]));
    server.answer(&select(FIRST));
    server.own = Some([10, 77, 0, 50].into());
    let mut renewal = request(vec![]);
    renewal.set_ciaddr(FIRST);
    assert_eq!(kind(&server.answer(&renewal)), MessageType::Nak);
    let offer = server.answer(&message(MessageType::Discover, vec![]));
    assert_eq!(offer.message.yiaddr(), Ipv4Addr::new(10, 77, 0, 50));
    assert_eq!(kind(&server.answer(&select([10, 77, 0, 50].into()))), MessageType::Ack);
}

#[test]
fn firmware_is_told_file_server_and_to_ask_nobody_else() {
    let mut server = Server::new(Mode::Full);
    let offer = server.answer(&message(MessageType::Discover, firmware("PXEClient:Arch:00007:UNDI:003000", 7)));
    assert_eq!(offer.message.siaddr(), SERVER);
    assert_eq!(offer.message.fname().unwrap(), b"ipxe.efi");
    assert_eq!(bytes(&offer, OptionCode::BootfileName).unwrap(), b"ipxe.efi\0");
    assert_eq!(bytes(&offer, OptionCode::TFTPServerName).unwrap(), b"10.77.0.1\0");
    assert_eq!(bytes(&offer, OptionCode::ClassIdentifier).unwrap(), b"PXEClient");
    assert_eq!(bytes(&offer, OptionCode::VendorExtensions).unwrap(), [6, 1, 8, 255]);
    assert_eq!(bytes(&offer, OptionCode::ClientMachineIdentifier).unwrap(), [0; 17]);
}

#[test]
fn http_boot_is_answered_as_an_http_server() {
    let mut server = Server::new(Mode::Full);
    let offer = server.answer(&message(MessageType::Discover, firmware("HTTPClient:Arch:00016", 16)));
    assert_eq!(bytes(&offer, OptionCode::ClassIdentifier).unwrap(), b"HTTPClient");
    assert_eq!(bytes(&offer, OptionCode::BootfileName).unwrap(), b"http://10.77.0.1:8080/boot/ipxe/ipxe.efi\0");
}

#[test]
fn ipxe_gets_the_script_and_need_not_wait_for_a_proxy() {
    let mut server = Server::new(Mode::Full);
    let mut options = firmware("PXEClient:Arch:00000", 0);
    options.push(DhcpOption::UserClass(b"iPXE".to_vec()));
    let offer = server.answer(&message(MessageType::Discover, options));
    assert_eq!(bytes(&offer, OptionCode::BootfileName).unwrap(), b"http://10.77.0.1:8080/boot/ipxe/boot.ipxe\0");
    assert_eq!(bytes(&offer, OptionCode::Unknown(175)).unwrap(), [176, 1, 1]);
    assert_eq!(bytes(&offer, OptionCode::ClassIdentifier), None);
}

#[test]
fn an_unknown_architecture_gets_an_address_no_file_and_a_notice() {
    let mut server = Server::new(Mode::Full);
    let decision = server.decide(&message(MessageType::Discover, firmware("PXEClient:Arch:00041", 41)));
    assert_eq!(decision.reply.unwrap().message.fname(), None);
    assert_eq!(decision.notice, Some(Notice::Architecture(vec![41])));
}

#[test]
fn a_proxy_gives_files_and_never_an_address() {
    let mut server = Server::new(Mode::Proxy);
    let offer = server.answer(&message(MessageType::Discover, firmware("PXEClient:Arch:00007", 7)));
    assert_eq!(offer.message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(bytes(&offer, OptionCode::ClassIdentifier).unwrap(), b"PXEClient");
    for code in [OptionCode::AddressLeaseTime, OptionCode::SubnetMask, OptionCode::Router] {
        assert_eq!(bytes(&offer, code), None);
    }
    for silent in [
        message(MessageType::Discover, vec![]),
        select(FIRST),
        request(vec![DhcpOption::RequestedIpAddress(FIRST)]),
        message(MessageType::Discover, firmware("PXEClient:Arch:00041", 41)),
    ] {
        assert!(server.decide(&silent).reply.is_none());
    }
}

#[test]
fn the_boot_server_port_answers_the_asker_with_the_file() {
    let server = Server::new(Mode::Proxy);
    let from = "10.77.0.33:4011".parse().unwrap();
    let mut asks = request(firmware("PXEClient:Arch:00000", 0));
    asks.set_ciaddr([10, 77, 0, 33]).set_flags(Flags::default());
    let reply = decide_boot_server(&parsed(&asks), &server.settings, from).reply.unwrap();
    assert_eq!((kind(&reply), reply.to), (MessageType::Ack, from));
    assert_eq!(reply.message.fname().unwrap(), b"undionly.kpxe");
    assert!(decide_boot_server(&parsed(&select(FIRST)), &server.settings, from).reply.is_none());
}

proptest! {
    #[test]
    fn any_message_that_parses_is_decided_and_encodes(
        body in proptest::collection::vec(any::<u8>(), 44),
        options in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        kind in prop_oneof![Just(1u8), Just(3), Just(4), Just(7), Just(8)],
        proxy in any::<bool>(),
    ) {
        let mut packet = body;
        packet[0] = 1;
        packet[1] = 1;
        packet[2] %= 18;
        packet.resize(236, 0);
        packet.extend([99, 130, 83, 99, 53, 1, kind]);
        for (code, value) in options.iter().filter(|(code, _)| *code != 53) {
            packet.push(*code);
            packet.push(value.len() as u8);
            packet.extend(value);
        }
        let mut server = Server::new(if proxy { Mode::Proxy } else { Mode::Full });
        if let Some(request) = Request::parse(&packet) {
            let reservations = Reservations { own: None, others: &|_| false };
            let decision = decide(&request, &server.settings, &reservations, &mut server.leases, 5);
            let other = decide_boot_server(&request, &server.settings, "1.2.3.4:5".parse().unwrap());
            for reply in [decision.reply, other.reply].into_iter().flatten() {
                prop_assert!(reply.encode().unwrap().len() < 1472);
            }
        }
    }
}
