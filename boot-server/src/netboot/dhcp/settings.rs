//! The `[dhcp]` section, and its checked form.

use super::lease::Range;
use crate::{domain::addresses::Network, netboot::site::Site};
use protocol::{Code, Failure, failure::Result};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What the server does on the boot network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Gives addresses and boot files.
    Full,
    /// Gives boot files beside somebody else's DHCP server.
    Proxy,
    /// Leaves DHCP alone.
    #[default]
    Off,
}

/// `[dhcp]` of config.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// full, proxy or off.
    pub mode: Mode,
    /// The interface to serve, and no other.
    pub interface: String,
    /// The boot network, such as `10.77.0.0/24`. Full mode.
    pub subnet: String,
    /// First address to give. Full mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_start: Option<Ipv4Addr>,
    /// Last address to give. Full mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_end: Option<Ipv4Addr>,
    /// Default gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Domain of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Time servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// How long a lease lasts; 0 stands for twelve hours.
    pub lease_seconds: u32,
    /// What 64 bit UEFI firmware loads: `ipxe.efi` (the default) or `snponly.efi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uefi_program: Option<String>,
    /// Whether to send IPv6 router advertisements that offer no route and no address. iPXE waits 13
    /// seconds for one where no router sends any; leave it off where one does.
    pub router_advertisements: bool,
}

/// What decisions are made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where machines reach this server.
    pub site: Site,
    /// The pool, in full mode.
    pub pool: Option<Pool>,
    /// Default gateway.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domain of the nodes.
    pub domain: Option<String>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// How long a lease lasts.
    pub lease_seconds: u32,
    /// See [`Config::uefi_program`].
    pub uefi_program: String,
}

/// The network and the addresses to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The network.
    pub network: Network,
    /// The addresses to give.
    pub range: Range,
}

const TWELVE_HOURS: u32 = 12 * 3600;

impl Config {
    /// Checks the keys against each other.
    ///
    /// # Errors
    /// `E-CONFIG` that names the key.
    pub fn settings(&self, site: &Site) -> Result<Settings> {
        if self.interface.is_empty() {
            return Err(wrong("interface", "is empty; name the interface of the boot network"));
        }
        let program = self.uefi_program.clone().unwrap_or_else(|| "ipxe.efi".to_owned());
        if !crate::base::files::is_plain_name(&program) || program.len() > 100 {
            return Err(wrong("uefi_program", "is not a file name"));
        }
        Ok(Settings {
            pool: if self.mode == Mode::Full { Some(self.pool(site)?) } else { None },
            site: site.clone(),
            router: self.router,
            dns: self.dns.clone(),
            domain: self.domain.clone(),
            ntp: self.ntp.clone(),
            lease_seconds: if self.lease_seconds == 0 { TWELVE_HOURS } else { self.lease_seconds.max(60) },
            uefi_program: program,
        })
    }

    /// The network whose addresses this server gives; none where it gives none.
    pub fn network(&self, server: Ipv4Addr) -> Option<Network> {
        let (network, prefix) = parse_subnet(&self.subnet).filter(|_| self.mode == Mode::Full)?;
        let mask = Ipv4Addr::from(u32::MAX << (32 - prefix));
        Some(Network { address: network & mask, mask, server, router: self.router })
    }

    fn pool(&self, site: &Site) -> Result<Pool> {
        let network = self.network(site.address);
        let network = network.ok_or_else(|| wrong("subnet", "is not a network such as 10.77.0.0/24"))?;
        let first = self.range_start.ok_or_else(|| wrong("range_start", "is missing"))?;
        let last = self.range_end.ok_or_else(|| wrong("range_end", "is missing"))?;
        let pool = Pool { network, range: Range { first, last } };
        let inside =
            |address: Ipv4Addr| network.has(address) && address != network.address && address != network.broadcast();
        if first > last {
            return Err(wrong("range_end", "comes before range_start"));
        }
        if !inside(first) {
            return Err(wrong("range_start", "is not an address of the subnet"));
        }
        if !inside(last) {
            return Err(wrong("range_end", "is not an address of the subnet"));
        }
        if pool.range.contains(site.address) {
            return Err(wrong("range_start", "to range_end has the server's own address in it"));
        }
        if self.router.is_some_and(|router| pool.range.contains(router)) {
            return Err(wrong("router", "is in the range that is given to machines"));
        }
        Ok(pool)
    }
}

fn parse_subnet(text: &str) -> Option<(Ipv4Addr, u32)> {
    let (network, prefix) = text.split_once('/')?;
    let prefix = prefix.parse().ok().filter(|prefix| (8..=30).contains(prefix))?;
    Some((network.parse().ok()?, prefix))
}

fn wrong(key: &str, what: &str) -> Failure {
    Failure::new(Code::Config, format!("reading the configuration: dhcp.{key} {what}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn site() -> Site {
        Site {
            address: [10, 77, 0, 1].into(),
            http_port: 8080,
            https_port: 8443,
            boots: crate::netboot::site::Boots::Plainly,
        }
    }

    pub fn config() -> Config {
        Config {
            mode: Mode::Full,
            interface: "br0".into(),
            subnet: "10.77.0.0/24".into(),
            range_start: Some([10, 77, 0, 100].into()),
            range_end: Some([10, 77, 0, 101].into()),
            ..Config::default()
        }
    }

    #[test]
    fn a_sound_section_passes() {
        let pool = config().settings(&site()).unwrap().pool.unwrap();
        assert_eq!(pool.network.broadcast(), Ipv4Addr::new(10, 77, 0, 255));
        assert!(pool.network.has([10, 77, 0, 7].into()) && !pool.network.has([10, 78, 0, 7].into()));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        type Change = fn(&mut Config);
        let cases: [(&str, Change); 7] = [
            ("dhcp.interface", |c| c.interface.clear()),
            ("dhcp.subnet", |c| c.subnet = "10.77.0.0/33".into()),
            ("dhcp.range_start", |c| c.range_start = None),
            ("dhcp.range_end", |c| c.range_end = Some([10, 77, 0, 9].into())),
            ("dhcp.range_end", |c| c.range_end = Some([10, 77, 0, 255].into())),
            ("dhcp.range_start", |c| c.range_start = Some([10, 77, 0, 1].into())),
            ("dhcp.uefi_program", |c| c.uefi_program = Some("../x".into())),
        ];
        for (key, change) in cases {
            let mut config = config();
            change(&mut config);
            let failure = config.settings(&site()).unwrap_err();
            assert!(failure.cause.contains(key), "{key}: {failure}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("mode = \"full\"\nsubnett = \"x\"").is_err());
    }
}
