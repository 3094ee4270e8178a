//! Who asks behind a proxy: `X-Forwarded-For`, believed of proxies that are configured alone.

use crate::base::network::Network;
use axum::http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are looked through.
const MOST_HOPS: usize = 16;

/// Whether the peer is a proxy whose word counts.
pub fn is_proxy(peer: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|proxy| proxy.holds(peer))
}

/// Where a request comes from that this peer has sent: each proxy adds at the end whom it has heard, so the last one that is no
/// proxy of ours is as far as anybody's word counts. What cannot be read ends there as well.
pub fn source(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let mut source = peer.to_canonical();
    if proxies.is_empty() {
        return source;
    }
    // Several headers are one list, in their order.
    let lines = headers.get_all(FORWARDED).into_iter().rev();
    let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).take(MOST_HOPS);
    while is_proxy(source, proxies) {
        match hops.next().and_then(address) {
            Some(before) => source = before,
            None => break,
        }
    }
    source
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map_or(hop, |inner| inner);
    let read = match bare.parse::<IpAddr>() {
        Ok(address) if bare.len() == hop.len() || address.is_ipv6() => Some(address),
        Ok(_) => None,
        Err(_) => hop.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()),
    };
    read.map(|address| address.to_canonical())
}

/// Whatever is in the headers: who is no proxy of ours names nobody, and what stands before the word of one changes nothing; for
/// [`super::properties`].
#[cfg(any(test, fuzzing))]
pub(super) fn read(headers: &HeaderMap) {
    let Ok(ours) = "10.0.0.0/8".parse() else { return };
    let (proxy, stranger): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
    assert_eq!(source(stranger, headers, &[ours]), stranger);
    let _ = source(proxy, headers, &[ours]);
    let mut longer = headers.clone();
    longer.append(FORWARDED, axum::http::HeaderValue::from_static("192.0.2.1, 10.0.0.2"));
    assert_eq!(source(proxy, &longer, &[ours]), stranger);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn of(peer: &str, values: &[&[u8]]) -> String {
        let proxies: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        let values = values.iter().map(|value| (FORWARDED, HeaderValue::from_bytes(value).unwrap()));
        source(peer.parse().unwrap(), &values.collect(), &proxies).to_string()
    }

    #[test]
    fn the_last_one_that_is_no_proxy_of_ours_is_the_source() {
        for (list, from) in [
            (&b"192.0.2.7"[..], "192.0.2.7"),
            (b"1.1.1.1, 192.0.2.7", "192.0.2.7"),
            (b"1.1.1.1,192.0.2.7 ,\t10.0.0.2", "192.0.2.7"),
            (b"2001:db8::7", "2001:db8::7"),
            (b"[2001:db8::7]:443, fd00::3", "2001:db8::7"),
            (b"[2001:db8::7]", "2001:db8::7"),
            (b"192.0.2.7:5123", "192.0.2.7"),
            (b"::ffff:192.0.2.7", "192.0.2.7"),
            (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
            (b"", "10.0.0.1"),
            (b"192.0.2.7,", "10.0.0.1"),
            (b"192.0.2.7, unknown", "10.0.0.1"),
            (b"192.0.2.7, _hidden, 10.0.0.2", "10.0.0.2"),
            (b"192.0.2.7, [10.9.9.9]", "10.0.0.1"),
            (b"192.0.2.7, \xff\xfe", "10.0.0.1"),
            (b"fe80::1%eth0", "10.0.0.1"),
        ] {
            assert_eq!(of("10.0.0.1", &[list]), from, "{}", String::from_utf8_lossy(list));
        }
        assert_eq!(
            of("10.0.0.1", &[b"192.0.2.7", b"192.0.2.8, 10.0.0.2"]),
            "192.0.2.8",
            "several headers are one list"
        );
        assert_eq!(of("10.0.0.1", &[b"192.0.2.7", b"10.0.0.2"]), "192.0.2.7");
        let long = vec!["10.0.0.2"; 10_000].join(",");
        assert_eq!(of("10.0.0.1", &[format!("192.0.2.7,{long}").as_bytes()]), "10.0.0.2", "not beyond the bound");
    }

    #[test]
    fn whoever_is_no_proxy_of_ours_names_nobody() {
        assert_eq!(of("192.0.2.1", &[b"1.1.1.1"]), "192.0.2.1");
        let headers = [(FORWARDED, HeaderValue::from_static("1.1.1.1"))].into_iter().collect();
        assert_eq!(source([10, 0, 0, 1].into(), &headers, &[]), IpAddr::from([10, 0, 0, 1]));
    }

    proptest! {
        /// Whatever is before the address that a proxy of ours has added, nobody else is the source.
        #[test]
        fn what_a_client_writes_in_front_changes_nothing(
            junk in prop::collection::vec(prop::collection::vec(b' '..=0xfe, 0..40), 0..4),
            last: u32, behind in prop::collection::vec(0u8..9, 0..5),
        ) {
            let client = IpAddr::from(last.to_be_bytes());
            prop_assume!(client.to_string().split('.').next() != Some("10"));
            let mut own = client.to_string();
            for proxy in behind {
                own.push_str(&format!(", 10.0.0.{proxy}"));
            }
            let usable = |value: &Vec<u8>| HeaderValue::from_bytes(value).is_ok();
            let mut values: Vec<Vec<u8>> = junk.into_iter().filter(usable).collect();
            let apart = of("10.0.0.1", &values.iter().map(Vec::as_slice).chain([own.as_bytes()]).collect::<Vec<_>>());
            prop_assert_eq!(apart, client.to_string());
            let mut together = values.pop().unwrap_or_default();
            together.extend(b",");
            together.extend(own.as_bytes());
            prop_assert_eq!(of("10.0.0.1", &[&together]), client.to_string());
        }
    }
}
