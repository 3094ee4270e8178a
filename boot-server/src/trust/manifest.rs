//! Manifests: composed from what the operator applied, signed for one key, one generation and one request.

use super::folder::{self, MANIFEST_KEY};
use host::file;
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    enrol::hello_statement,
    failure::{OrFail, Result},
    manifest::{Manifest, Purpose, SecretBundle, SignedManifest, statement},
    spec::{FileSpec, NodeKey, NodeSpec},
    trust::{Believe, PublicKey},
};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use time::Duration;

/// How long a manifest may be followed.
const LIFE: Duration = Duration::hours(1);
/// Where the joiner looks for its configuration.
const CLUSTER_CONFIG: &str = "/etc/nixos/secrets/cluster-config.json";

/// The Ed25519 key that signs manifests and answers to hello.
pub struct ManifestKey(Ed25519KeyPair);

/// The one of a server's folder, as it is now.
#[derive(Debug)]
pub struct Signer {
    dir: PathBuf,
    now: RwLock<Arc<ManifestKey>>,
}

impl Signer {
    /// Reads the folder of a server.
    ///
    /// # Errors
    /// `E-CONFIG`.
    pub fn load(dir: &Path) -> Result<Self> {
        let key = ManifestKey::load(&folder::current(dir))?;
        Ok(Self { dir: dir.to_owned(), now: RwLock::new(Arc::new(key)) })
    }

    /// Who signs now.
    pub fn key(&self) -> Arc<ManifestKey> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the folder again.
    ///
    /// # Errors
    /// As [`Signer::load`]: the one before goes on then.
    pub fn reload(&self) -> Result<()> {
        let key = ManifestKey::load(&folder::current(&self.dir))?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        Ok(())
    }
}

impl ManifestKey {
    /// Makes a new key: PKCS#8, DER.
    pub fn create() -> Result<Vec<u8>> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let none = |_| Failure::new(Code::System, "making the manifest key: the system has no random numbers");
        Ok(made.map_err(none)?.as_ref().to_vec())
    }

    /// Reads a key that [`ManifestKey::create`] made.
    ///
    /// # Errors
    /// `E-CONFIG`.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        Ed25519KeyPair::from_pkcs8(der)
            .map(Self)
            .map_err(|error| Failure::new(Code::Config, format!("reading the manifest key: {error}")))
    }

    /// Reads `manifest.key` of an init folder.
    ///
    /// # Errors
    /// `E-CONFIG`.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_KEY);
        let text = file::read_text(&path)?;
        let bad = || Failure::new(Code::Config, format!("reading {}: not base64", path.display()));
        let der = data_encoding::BASE64.decode(text.trim().as_bytes()).map_err(|_| bad())?;
        Self::from_pkcs8(&der)
    }

    /// What every image trusts.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().to_vec())
    }

    /// Signs the answer to hello.
    pub fn sign_hello(&self, client_nonce: &[u8], server_nonce: &[u8], now: Timestamp) -> Vec<u8> {
        self.0.sign(&hello_statement(client_nonce, server_nonce, now)).as_ref().to_vec()
    }

    /// Signs what a node is to believe.
    pub fn sign_believe(&self, believe: &Believe, nonce: &[u8]) -> Vec<u8> {
        self.0.sign(&believe.statement(nonce)).as_ref().to_vec()
    }

    /// Signs a manifest.
    ///
    /// # Errors
    /// `E-INTERNAL` where it cannot be written as JSON.
    pub fn sign(&self, manifest: &Manifest) -> Result<SignedManifest> {
        let payload = serde_json::to_vec(manifest).or_fail(Code::Internal, || "writing a manifest")?;
        let signature = self.0.sign(&statement(&payload)).as_ref().to_vec();
        Ok(SignedManifest { payload, signature })
    }
}

impl std::fmt::Debug for ManifestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManifestKey")
    }
}

/// What the node is to do.
pub fn compose(
    spec: &NodeSpec,
    key_kept: NodeKey,
    generation: u64,
    purpose: Purpose,
    node_key: Sha256,
    nonce: Vec<u8>,
    now: Timestamp,
) -> Manifest {
    Manifest {
        node: spec.name.clone(),
        hostname: hostname(spec),
        generation,
        node_key,
        nonce,
        issued: now,
        expires: now + LIFE,
        system: spec.system.clone(),
        disks: spec.disks.clone(),
        files: spec.files.clone(),
        boot: spec.boot.clone(),
        purpose,
        key_kept,
    }
}

/// The host name: the spec's, else the node's name.
pub fn hostname(spec: &NodeSpec) -> String {
    spec.hostname.clone().unwrap_or_else(|| spec.name.to_string())
}

/// What only this node may have: its secrets, those that are kept apart from its spec too, and its cluster-config.json.
///
/// # Errors
/// `E-INTERNAL` where the cluster configuration cannot be written as JSON.
pub fn secrets(spec: &NodeSpec, apart: Vec<FileSpec>, generation: u64) -> Result<SecretBundle> {
    let mut files = spec.secrets.clone();
    files.extend(apart);
    if let Some(cluster) = &spec.cluster {
        let content =
            serde_json::to_string_pretty(cluster).or_fail(Code::Internal, || "writing cluster-config.json")?;
        files.retain(|file| file.path != CLUSTER_CONFIG);
        files.push(FileSpec {
            path: CLUSTER_CONFIG.to_owned(),
            mode: "0600".to_owned(),
            content: (content + "\n").into(),
        });
    }
    Ok(SecretBundle { generation, files })
}

/// Names and addresses in a node's certificate: it is server and client towards the other members.
pub fn certificate_names(spec: &NodeSpec) -> Vec<String> {
    let mut names = vec![spec.name.to_string(), hostname(spec)];
    if let Some(cluster) = &spec.cluster {
        names.extend(cluster.node_fqdn.clone());
        names.extend(cluster.node_ip.iter().map(ToString::to_string));
        names.push(cluster.raft_addr.0.ip().to_string());
    }
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    let fits = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte))
    };
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(fits).filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    const SPEC: &str = r#"{"name":"n1","match":{"macs":["52:54:00:00:00:01"]},
        "system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":[],"trusted_public_keys":[]},
        "disks":{"devices":{}},
        "files":[{"path":"/etc/motd","content":"hello"}],
        "secrets":[{"path":"/etc/nixos/secrets/token","content":"hunter2"}],
        "cluster":{"node_id":"n1","node_role":"control-plane","bootstrap":false,"cluster_name":"c",
            "leader_url":"https://10.77.0.1:2379","raft_addr":"10.77.0.21:2380","node_ip":"10.77.0.20"}}"#;

    fn spec() -> NodeSpec {
        protocol::parse::json("spec", SPEC.as_bytes()).unwrap()
    }

    fn key() -> ManifestKey {
        ManifestKey::from_pkcs8(&ManifestKey::create().unwrap()).unwrap()
    }

    #[test]
    fn the_signature_covers_the_payload_and_its_kind() {
        let (key, now) = (key(), Timestamp::UNIX_EPOCH);
        let signed = key
            .sign(&compose(&spec(), NodeKey::File, 1, Purpose::Install, Sha256::of(b"k"), vec![1; 32], now))
            .unwrap();
        let public = UnparsedPublicKey::new(&ED25519, key.public().0);
        assert!(public.verify(&statement(&signed.payload), &signed.signature).is_ok());
        assert!(public.verify(&signed.payload, &signed.signature).is_err());
        let read: Manifest = serde_json::from_slice(&signed.payload).unwrap();
        assert_eq!(read.check(&Sha256::of(b"k"), &[1; 32], now, None), Ok(()));
    }

    #[test]
    fn no_secret_is_in_the_manifest() {
        let manifest =
            compose(&spec(), NodeKey::File, 1, Purpose::Wipe, Sha256::of(b"k"), vec![], Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&manifest).unwrap();
        assert!(text.contains("hello") && !text.contains("hunter2") && !text.contains("cluster_name"), "{text}");
    }

    #[test]
    fn cluster_config_travels_with_the_secrets_for_its_owner_alone() {
        let bundle = secrets(&spec(), vec![], 3).unwrap();
        let config = bundle.files.iter().find(|file| file.path == CLUSTER_CONFIG).unwrap();
        assert_eq!((bundle.generation, config.mode.as_str(), bundle.files.len()), (3, "0600", 2));
        assert!(config.content.as_text().unwrap().contains("\"cluster_name\": \"c\""));
    }

    #[test]
    fn the_certificate_names_every_address_that_peers_use() {
        let names = certificate_names(&spec());
        assert_eq!(names, ["n1", "10.77.0.20", "10.77.0.21", "localhost", "127.0.0.1"]);
    }
}
