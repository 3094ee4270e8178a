//! Addresses as cluster-config.json writes them, checked when they are read.

use crate::names::BadName;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

macro_rules! through_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}

/// `https://HOST[:PORT]` of a member: no path, no user, no query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("pattern" = r"^https://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:0*[1-9][0-9]*)?/?$"), extend("format" = "uri")))]
#[serde(try_from = "String", into = "String")]
pub struct HttpsUrl(Peer);

/// `HOST:PORT`, the host a DNS name, an IPv4 address or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("pattern" = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*):0*[1-9][0-9]*$")))]
#[serde(try_from = "String", into = "String")]
pub struct Peer {
    /// Name or address, without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// `IP:PORT` that other members reach a node on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("pattern" = r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):0*[1-9][0-9]*$")))]
#[serde(try_from = "String", into = "String")]
pub struct RaftAddress(pub SocketAddr);

through_text!(HttpsUrl);
through_text!(Peer);
through_text!(RaftAddress);

impl HttpsUrl {
    /// The host and port.
    pub fn peer(&self) -> &Peer {
        &self.0
    }
}

impl From<Peer> for HttpsUrl {
    fn from(peer: Peer) -> Self {
        Self(peer)
    }
}

impl FromStr for HttpsUrl {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let refused = || {
            let hint = hint(text, "https://");
            BadName::new(format!("{text:?} is not a URL such as https://node01.example.com:2379{hint}"))
        };
        let authority = text.strip_prefix("https://").ok_or_else(refused)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let with_port = match authority.rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => authority.to_owned(),
            _ => format!("{authority}:443"),
        };
        with_port.parse().map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0)
    }
}

impl FromStr for Peer {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let refused = || BadName::new(format!("{text:?} is not host:port such as node01:2380{}", hint(text, "")));
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port = decimal_port(port).ok_or_else(refused)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().map_err(|_| refused())?.to_string(),
            None if is_dns_name(host) => host.to_owned(),
            None => return Err(refused()),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for RaftAddress {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let refused = || {
            let hint = hint(text, "");
            BadName::new(format!("{text:?} is not IP:port such as 10.0.1.13:2380 or [fd00::13]:2380{hint}"))
        };
        let address: SocketAddr = text.parse().map_err(|_| refused())?;
        // The others know a node by its address, so it has one spelling.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if address.port() != 0 && is_of_a_node(address.ip()) { Ok(Self(address)) } else { Err(refused()) }
    }
}

impl fmt::Display for RaftAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a node can have the address.
pub fn is_of_a_node(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// What of a spelling that people know from elsewhere is not taken here.
fn hint(text: &str, scheme: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    let host = lower.strip_prefix("https://").unwrap_or(&lower).trim_end_matches('/');
    let host = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(host, _)| host);
    if !scheme.is_empty() && lower.starts_with(scheme) && !text.starts_with(scheme) {
        "; the scheme is written in lower case"
    } else if lower.contains('%') {
        "; without the zone after %, which is another one on every node"
    } else if host.ends_with('.') {
        "; without the dot at the end of the host"
    } else {
        ""
    }
}

fn decimal_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_has_a_host_and_a_port_and_nothing_else() {
        for (text, shown) in [
            ("https://node01:2379", "https://node01:2379"),
            ("https://10.0.0.1/", "https://10.0.0.1:443"),
            ("https://[fd00::1]", "https://[fd00::1]:443"),
            ("https://[fd00::1]:2379", "https://[fd00::1]:2379"),
        ] {
            assert_eq!(text.parse::<HttpsUrl>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "https://",
            "http://a:1",
            "https://a:1/x",
            "https://u@a:1",
            "https://a:x",
            "https://a:1?x",
            "https://[a]:1",
            "https://a b:1",
        ] {
            assert!(bad.parse::<HttpsUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_spelling_that_people_know_from_elsewhere_is_refused_with_what_to_change() {
        let url = |text: &str| text.parse::<HttpsUrl>().unwrap_err().to_string();
        assert!(url("HTTPS://a:1").contains("lower case"));
        assert!(url("https://a.example.:2379").contains("the dot at the end"));
        assert!(url("https://[fe80::1%eth0]:2379").contains("zone"));
        assert!("a.:1".parse::<Peer>().unwrap_err().to_string().contains("the dot at the end"));
        assert!("[fe80::1%eth0]:1".parse::<Peer>().unwrap_err().to_string().contains("zone"));
        assert!(url("http://a:1").ends_with("https://node01.example.com:2379"), "{}", url("http://a:1"));
    }

    #[test]
    fn a_peer_needs_its_port() {
        for bad in ["", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "fd00::1:2380", "[fd00::1]", "a..b:1"] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(text in "(([a-z0-9]{1,5}\\.){0,3}[a-z]{1,5}|\\[fd00::[1-9a-f]{1,4}\\]):[1-9][0-9]{0,3}") {
            prop_assert_eq!(text.parse::<Peer>().unwrap().to_string(), text);
        }

        #[test]
        fn anything_is_read_or_refused_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Peer>();
            let _ = text.parse::<RaftAddress>();
            let _ = format!("https://{text}").parse::<HttpsUrl>();
        }
    }
}
