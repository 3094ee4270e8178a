//! Who listens on the ports that the service needs? By /proc/net/tcp and the descriptors of all processes.

use protocol::{Code, Failure};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// State of a listening socket in /proc/net/tcp (the kernel's tcp_states.h).
const LISTEN: &str = "0A";
/// The kernel cuts the name of a process after so many bytes.
const MOST_OF_A_NAME: usize = 15;

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

/// A finding for each address on which another process than `process` listens.
pub fn check(addresses: &[SocketAddr], process: &str) -> Vec<Failure> {
    let listeners: Vec<_> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|path| parse(&fs::read_to_string(path).unwrap_or_default()))
        .collect();
    let mut found = Vec::new();
    for wanted in addresses {
        for listener in listeners.iter().filter(|listener| collides(listener.address, *wanted)) {
            match owner(Path::new("/proc"), listener.inode) {
                Some(owner) if owner.is(process) => {}
                Some(owner) => found.push(taken(*wanted, &format!("{} (process {})", owner.name, owner.id), process)),
                None => {
                    tracing::warn!("checking the port {}: a process that cannot be seen listens there", wanted.port());
                }
            }
        }
    }
    // One process on both families is one finding.
    found.dedup();
    found
}

fn taken(wanted: SocketAddr, owner: &str, process: &str) -> Failure {
    Failure::new(Code::Preflight, format!("checking the port {}: {owner} listens there, not {process}", wanted.port()))
        .with_remedy(
            "stop that process or give the service another port; --process NAME where it is the service itself",
        )
}

/// Whether a service could not be bound to `wanted` beside the listener.
fn collides(listener: SocketAddr, wanted: SocketAddr) -> bool {
    let bound = listener.ip().to_canonical();
    listener.port() == wanted.port() && (bound.is_unspecified() || bound == wanted.ip().to_canonical())
}

/// The listening sockets of /proc/net/tcp or /proc/net/tcp6.
fn parse(table: &str) -> Vec<Listener> {
    table.lines().skip(1).filter_map(listener).collect()
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...`
fn listener(line: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    (fields.nth(1)? == LISTEN).then_some(())?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Listener { address: SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?), inode })
}

/// The kernel prints addresses as words of 32 bits in its own byte order.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for index in 0..4 {
                bytes[index * 4..index * 4 + 4].copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

struct Owner {
    id: u32,
    name: String,
    program: Option<String>,
}

impl Owner {
    /// By the name of the process or of its program; Nix hides a program behind `.NAME-wrapped`.
    fn is(&self, wanted: &str) -> bool {
        let wrapped = format!(".{wanted}-wrapped");
        let cut = |text: &str| text[..text.floor_char_boundary(MOST_OF_A_NAME)].to_owned();
        [wanted, &wrapped].iter().any(|name| self.name == cut(name) || self.program.as_deref() == Some(name))
    }
}

/// The process that has the socket open.
fn owner(proc: &Path, inode: u64) -> Option<Owner> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    for entry in fs::read_dir(proc).ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(mut descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let has = descriptors.any(|fd| fd.is_ok_and(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == socket)));
        if has {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim_end().to_owned();
            let program = fs::read_link(entry.path().join("exe")).ok();
            let program = program.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
            return Some(Owner { id, name, program });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    #[test]
    fn the_kernels_tables_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                      0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n\
                      1: 0100007F:094B 0100007F:1000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x\n";
        let found = parse(tcp);
        assert_eq!(found, [Listener { address: "127.0.0.1:2379".parse().unwrap(), inode: 4711 }]);
        let any = "head\n 0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A \
                   00000000:00000000 00:00000000 00000000 0 0 9 1 x\n";
        assert_eq!(parse(any)[0].address, "[::]:8080".parse().unwrap());
    }

    #[test]
    fn a_port_is_the_services_or_the_finding_names_who_has_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        assert_eq!(check(&[address], program), []);
        let finding = &check(&[address], "etcd")[0];
        assert!(finding.cause.contains(&format!("process {}", std::process::id())), "{finding}");
        drop(listener);
        assert_eq!(check(&[address], "etcd"), []);
    }

    #[test]
    fn a_socket_on_another_address_is_in_nobodys_way() {
        let collide = |listener: &str, wanted: &str| collides(listener.parse().unwrap(), wanted.parse().unwrap());
        assert!(collide("0.0.0.0:1", "10.0.0.1:1") && collide("[::]:1", "10.0.0.1:1"));
        assert!(collide("[::ffff:10.0.0.1]:1", "10.0.0.1:1") && collide("10.0.0.1:1", "10.0.0.1:1"));
        assert!(!collide("10.0.0.2:1", "10.0.0.1:1") && !collide("10.0.0.1:2", "10.0.0.1:1"));
    }

    #[test]
    fn a_wrapped_program_is_the_program() {
        let owner = |name: &str| Owner { id: 1, name: name.into(), program: None };
        assert!(owner("etcd").is("etcd") && owner(".etcd-wrapped").is("etcd") && !owner("nginx").is("etcd"));
        assert!(owner(".chainfire-wrap").is("chainfire"), "as the kernel cuts it");
    }

    proptest! {
        #[test]
        fn any_table_is_borne(text in "\\PC{0,200}", line in "[0-9A-F: ]{0,200}") {
            parse(&format!("head\n{text}\n{line}"));
        }
    }
}
