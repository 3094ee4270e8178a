//! DHCP with real clients, a real relay and a real second server.

use crate::lab::{Namespace, SERVER, Serving, Table, context, wait_for};
use boot_server::netboot::dhcp::{self, Config, Mode};
use dhcproto::{
    Decodable, Decoder, Encodable,
    v4::{Architecture, DhcpOption, Flags, Message, MessageType, OptionCode},
};
use nix::sys::socket::{setsockopt, sockopt};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

const MAC: &str = "52:54:00:00:00:01";
const OTHER_MAC: &str = "52:54:00:00:00:02";

fn full() -> Config {
    Config {
        mode: Mode::Full,
        interface: "br0".into(),
        subnet: "10.77.0.0/24".into(),
        range_start: Some([10, 77, 0, 100].into()),
        range_end: Some([10, 77, 0, 101].into()),
        router: Some(SERVER),
        dns: vec![[10, 77, 0, 5].into()],
        domain: Some("lab.example".into()),
        ..Config::default()
    }
}

struct Lab {
    network: Namespace,
    policy: Arc<Table>,
    files: TempDir,
}

impl Lab {
    fn new(policy: Table) -> Self {
        Self { network: Namespace::with_bridge(), policy: Arc::new(policy), files: tempfile::tempdir().unwrap() }
    }

    fn serve(&self, config: Config) -> Serving {
        let context = context(&self.policy, self.files.path());
        self.network.serve("dhcp", &context, move |context| dhcp::serve(config, context))
    }

    fn events(&self) -> String {
        self.policy.events.lock().unwrap().join("\n")
    }
}

/// Runs udhcpc once; its variables are the output.
fn udhcpc(client: &Namespace, folder: &Path, more: &[&str]) -> Output {
    let script = folder.join("udhcpc.sh");
    fs::write(&script, "#!/bin/sh\n[ \"$1\" = bound ] && env\nexit 0\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap().to_owned();
    let mut words = vec!["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "2", "-O", "224", "-s", &script];
    words.extend(more);
    client.output(&words)
}

fn leased(output: &Output) -> Ipv4Addr {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let address = text.lines().find_map(|line| line.strip_prefix("ip="));
    address.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).parse().unwrap()
}

#[test]
fn a_real_client_gets_address_network_and_the_url_of_the_server() {
    let lab = Lab::new(Table::default());
    let _serving = lab.serve(full());
    let client = lab.network.plug_in(MAC);
    let output = udhcpc(&client, lab.files.path(), &[]);
    assert_eq!(leased(&output), Ipv4Addr::new(10, 77, 0, 100));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let url: String = b"https://10.77.0.1:8443".iter().map(|byte| format!("{byte:02x}")).collect();
    for line in ["mask=24", "router=10.77.0.1", "dns=10.77.0.5", "domain=lab.example", &format!("opt224={url}")] {
        assert!(text.lines().any(|had| had == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_restarted_server_gives_no_used_address_away_and_an_empty_pool_is_an_event() {
    let lab = Lab::new(Table::default());
    let client = |mac| leased(&udhcpc(&lab.network.plug_in(mac), lab.files.path(), &[]));
    let first = {
        let _serving = lab.serve(full());
        client(MAC)
    };
    let _serving = lab.serve(full());
    assert_ne!(client(OTHER_MAC), first);
    assert_eq!(client(MAC), first);
    let third = lab.network.plug_in("52:54:00:00:00:03");
    assert!(!udhcpc(&third, lab.files.path(), &["-t", "2", "-T", "1"]).status.success());
    assert!(lab.events().contains("no address is left"), "{}", lab.events());
}

#[test]
fn a_reserved_address_is_given_to_its_card_only() {
    let reserved = Ipv4Addr::new(10, 77, 0, 100);
    let lab = Lab::new(Table { reserved: Some((MAC.parse().unwrap(), reserved)), ..Table::default() });
    let _serving = lab.serve(full());
    let client = |mac| leased(&udhcpc(&lab.network.plug_in(mac), lab.files.path(), &[]));
    assert_ne!(client(OTHER_MAC), reserved);
    assert_eq!(client(MAC), reserved);
}

#[test]
fn a_relay_carries_both_ways() {
    let lab = Lab::new(Table::default());
    // dnsmasq relays between the clients' network and the server's, 10.88.0.0/24.
    let relay = lab.network.plug_in("52:54:00:00:00:99");
    relay.run(&["ip", "addr", "add", "10.88.0.2/24", "dev", "eth0"]);
    lab.network.run(&["ip", "addr", "add", "10.88.0.1/24", "dev", "br0"]);
    lab.network.run(&["ip", "addr", "del", "10.77.0.1/24", "dev", "br0"]);
    lab.network.run(&["ip", "route", "add", "10.77.0.0/24", "via", "10.88.0.2"]);
    let far = Namespace::new();
    far.run(&["ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"]);
    far.run(&["ip", "link", "set", "br0", "up"]);
    relay.cable("eth1", &far);
    relay.run(&["ip", "addr", "add", "10.77.0.254/24", "dev", "eth1"]);
    let _dnsmasq = relay.start(&[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--pid-file=",
        "--dhcp-relay=10.77.0.254,10.88.0.1",
    ]);
    let _serving = lab.serve(full());
    let output = udhcpc(&far.plug_in(MAC), lab.files.path(), &["-t", "20"]);
    assert_eq!(leased(&output), Ipv4Addr::new(10, 77, 0, 100));
}

fn start_dnsmasq(server: &Namespace, files: &Path) -> crate::lab::Running {
    server.run(&["ip", "addr", "add", "10.77.0.9/24", "dev", "eth0"]);
    let leases = format!("--dhcp-leasefile={}", files.join("dnsmasq.leases").display());
    server.start(&[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--pid-file=",
        "--no-ping",
        "--dhcp-range=10.77.0.50,10.77.0.90,1h",
        "--dhcp-authoritative",
        &leases,
    ])
}

#[test]
fn a_second_server_on_the_segment_is_an_event() {
    let lab = Lab::new(Table::default());
    let other = lab.network.plug_in("52:54:00:00:00:09");
    let _dnsmasq = start_dnsmasq(&other, lab.files.path());
    let _serving = lab.serve(full());
    let client = lab.network.plug_in(MAC);
    wait_for("the other server to be seen", || {
        udhcpc(&client, lab.files.path(), &["-B", "-t", "1"]);
        lab.events().contains("another server, 10.77.0.9")
    });
}

/// Firmware in a few lines: broadcasts a message and gathers the answers, by their server.
fn ask(socket: &UdpSocket, message: &Message, to: SocketAddr) -> Vec<(Ipv4Addr, Message)> {
    let mut answers = vec![];
    let mut buffer = [0; 2048];
    for _ in 0..10 {
        socket.send_to(&message.to_vec().unwrap(), to).unwrap();
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = Message::decode(&mut Decoder::new(&buffer[..length])).unwrap();
            let SocketAddr::V4(from) = from else { continue };
            if answer.xid() == message.xid() {
                answers.push((*from.ip(), answer));
            }
        }
        if !answers.is_empty() {
            break;
        }
    }
    answers
}

fn firmware(kind: MessageType, architecture: u16) -> Message {
    let mut message = Message::default();
    message.set_chaddr(&[0x52, 0x54, 0, 0, 0, 1]).set_flags(Flags::default().set_broadcast());
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message.opts_mut().insert(DhcpOption::ClassIdentifier(b"PXEClient:Arch:00007:UNDI:003000".to_vec()));
    message.opts_mut().insert(DhcpOption::ClientSystemArchitecture(Architecture(architecture)));
    message
}

fn socket(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    setsockopt(&socket, sockopt::BindToDevice, &"eth0".into()).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

#[test]
fn beside_another_server_firmware_gets_its_address_there_and_its_file_here() {
    let lab = Lab::new(Table::default());
    let other = lab.network.plug_in("52:54:00:00:00:09");
    let _dnsmasq = start_dnsmasq(&other, lab.files.path());
    let _serving = lab.serve(Config { mode: Mode::Proxy, interface: "br0".into(), ..Config::default() });
    let client = lab.network.plug_in(MAC);
    let output = udhcpc(&client, lab.files.path(), &[]);
    assert!((50..=90).contains(&leased(&output).octets()[3]), "only dnsmasq gives addresses");

    let offers = client
        .inside(|| ask(&socket(68), &firmware(MessageType::Discover, 7), "255.255.255.255:67".parse().unwrap()))
        .join()
        .unwrap();
    let (_, ours) = offers.iter().find(|(from, _)| *from == SERVER).expect("our offer");
    assert_eq!(ours.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(ours.fname(), Some(&b"ipxe.efi\0"[..]));
    let class = DhcpOption::ClassIdentifier(b"PXEClient".to_vec());
    assert_eq!(ours.opts().get(OptionCode::ClassIdentifier), Some(&class));

    client.run(&["ip", "addr", "add", "10.77.0.60/24", "dev", "eth0"]);
    let acks = client
        .inside(|| {
            let mut request = firmware(MessageType::Request, 0);
            request.set_ciaddr([10, 77, 0, 60]).set_flags(Flags::default());
            ask(&socket(4011), &request, (SERVER, 4011).into())
        })
        .join()
        .unwrap();
    let (from, ack) = acks.first().expect("an answer on port 4011");
    assert_eq!((*from, ack.opts().msg_type()), (SERVER, Some(MessageType::Ack)));
    assert_eq!(ack.fname(), Some(&b"undionly.kpxe\0"[..]));
    assert_eq!(lab.events(), "", "beside another server is what proxy means");
}

#[test]
fn firmware_of_an_unknown_architecture_is_an_event() {
    let lab = Lab::new(Table::default());
    let _serving = lab.serve(full());
    let client = lab.network.plug_in(MAC);
    let offers = client
        .inside(|| ask(&socket(68), &firmware(MessageType::Discover, 0x29), "255.255.255.255:67".parse().unwrap()))
        .join()
        .unwrap();
    assert_eq!(offers[0].1.fname(), None);
    wait_for("the event", || lab.events().contains("architecture [41]"));
}

#[test]
fn router_advertisements_reach_a_client_and_give_it_neither_route_nor_address() {
    let lab = Lab::new(Table::default());
    let client = lab.network.plug_in(MAC);
    let _serving = lab.serve(Config { router_advertisements: true, ..full() });
    let received = || {
        let text = client.output(&["cat", "/proc/net/snmp6"]).stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("Icmp6InRouterAdvertisements"));
        count.is_some_and(|count| count.trim() != "0")
    };
    wait_for("a router advertisement", received);
    let routes = client.output(&["ip", "-6", "route", "show", "default"]).stdout;
    assert_eq!(String::from_utf8_lossy(&routes), "");
    let addresses = client.output(&["ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"]).stdout;
    assert_eq!(String::from_utf8_lossy(&addresses), "");
}
