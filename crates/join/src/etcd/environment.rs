//! `etcd.env`: what etcd.service starts with (`EnvironmentFile=`; a shell reads it as well).

use crate::{
    credentials::Paths,
    driver::{Node, Way, host_port},
    revocation,
};
use protocol::{Code, Failure, failure::Result};
use std::{net::Ipv4Addr, path::Path};

/// The file below the state folder.
pub const FILE: &str = "etcd.env";

/// Who this node is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `ETCD_NAME`
    pub name: String,
    /// What the others know it by.
    pub peer_url: String,
    /// `ETCD_INITIAL_CLUSTER_TOKEN`
    pub token: String,
}

/// The content of the file.
///
/// # Errors
/// `E-CONFIG` where a path or a value cannot be written into such a file.
pub fn render(node: &Node, identity: &Identity, way: Way, initial_cluster: &str) -> Result<String> {
    let raft = node.config.raft_addr;
    let Paths { ca, certificate, key } = &node.tls;
    let client = format!("https://{}", host_port(node.config.address(), node.settings.port));
    let local = format!("https://{}", host_port(Ipv4Addr::LOCALHOST.into(), node.settings.port));
    let listen_client = if client == local { client.clone() } else { format!("{client},{local}") };
    let state = match way {
        Way::Bootstrap => "new",
        Way::Join => "existing",
    };
    let revoked = revocation::beside(ca);
    let revoked = revoked.as_deref().map(path).transpose()?;
    let (ca, certificate, key) = (path(ca)?, path(certificate)?, path(key)?);
    let listen_peer = format!("https://{raft}");
    let mut lines = vec![
        ("NAME", identity.name.as_str()),
        ("DATA_DIR", path(&node.settings.data_dir)?),
        ("INITIAL_CLUSTER", initial_cluster),
        ("INITIAL_CLUSTER_STATE", state),
        ("INITIAL_CLUSTER_TOKEN", &identity.token),
        ("INITIAL_ADVERTISE_PEER_URLS", &identity.peer_url),
        ("LISTEN_PEER_URLS", listen_peer.as_str()),
        ("ADVERTISE_CLIENT_URLS", &client),
        ("LISTEN_CLIENT_URLS", &listen_client),
        ("CERT_FILE", certificate),
        ("KEY_FILE", key),
        ("TRUSTED_CA_FILE", ca),
        ("CLIENT_CERT_AUTH", "true"),
        ("PEER_CERT_FILE", certificate),
        ("PEER_KEY_FILE", key),
        ("PEER_TRUSTED_CA_FILE", ca),
        ("PEER_CLIENT_CERT_AUTH", "true"),
    ];
    // Read at every handshake.
    lines.extend(revoked.iter().flat_map(|file| [("CLIENT_CRL_FILE", *file), ("PEER_CRL_FILE", *file)]));
    if let Some((key, value)) = lines.iter().find(|(_, value)| !is_plain(value)) {
        let cause = format!("writing {FILE}: {value:?} for ETCD_{key} has a character that needs quoting");
        return Err(Failure::new(Code::Config, cause));
    }
    Ok(lines.iter().map(|(key, value)| line(key, value)).collect())
}

/// Whether a file written before is of the same member of the same cluster.
pub fn is_of(text: &str, identity: &Identity) -> bool {
    let has = |key, value| text.lines().any(|found| found == line(key, value).trim_end());
    has("NAME", &identity.name)
        && has("INITIAL_CLUSTER_TOKEN", &identity.token)
        && has("INITIAL_ADVERTISE_PEER_URLS", &identity.peer_url)
}

/// Whether the file has etcd go on as a member, and found nothing.
pub fn is_settled(text: &str) -> bool {
    text.lines().any(|found| found == line("INITIAL_CLUSTER_STATE", "existing").trim_end())
}

/// Who the file says that this node is.
pub fn identity(text: &str) -> Option<Identity> {
    let value = |key: &str| {
        let of_key = |line: &str| Some(line.strip_prefix(&format!("ETCD_{key}=\""))?.strip_suffix('"')?.to_owned());
        text.lines().find_map(of_key)
    };
    Some(Identity {
        name: value("NAME")?,
        peer_url: value("INITIAL_ADVERTISE_PEER_URLS")?,
        token: value("INITIAL_CLUSTER_TOKEN")?,
    })
}

fn line(key: &str, value: &str) -> String {
    format!("ETCD_{key}=\"{value}\"\n")
}

/// systemd and a shell do not quote alike, so what needs quoting is refused, whoever it comes from.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\$`".contains(&byte))
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().filter(|text| is_plain(text)).ok_or_else(|| {
        let cause = format!("writing {FILE}: the path {path:?} has a character that needs quoting");
        Failure::new(Code::Config, cause).with_remedy("use paths of plain ASCII without blanks and quotes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_of_the_member_that_it_names_and_of_no_other() {
        let identity = Identity { name: "n1".into(), peer_url: "https://10.0.0.1:2380".into(), token: "prod".into() };
        let text = line("NAME", "n1")
            + &line("INITIAL_CLUSTER_TOKEN", "prod")
            + &line("INITIAL_ADVERTISE_PEER_URLS", "https://10.0.0.1:2380");
        assert!(is_of(&text, &identity));
        assert!(!is_of(&text, &Identity { name: "n".into(), ..identity.clone() }));
        assert!(!is_of(&text, &Identity { token: "lab".into(), ..identity.clone() }));
        assert!(!is_of("", &identity));
        assert_eq!(super::identity(&text), Some(identity));
        assert_eq!(super::identity("ETCD_NAME=\"n1\"\n"), None);
    }

    #[test]
    fn a_path_that_would_need_quoting_is_refused() {
        assert!(path(Path::new("/etc/nixos/secrets/ca.crt")).is_ok());
        for bad in ["/a b", "/a\"", "/$HOME", "/a\nETCD_NAME=x"] {
            assert_eq!(path(Path::new(bad)).unwrap_err().code, Code::Config);
        }
    }
}
