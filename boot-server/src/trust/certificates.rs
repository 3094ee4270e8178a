//! Certificates of nodes: issued where a machine is admitted, renewed before they end.

use super::{
    ca::{self, Ca, Issued},
    manifest::{self, Signer},
};
use crate::{
    base::clock::now,
    domain::audit::{Action, Actor},
    state::{State, Unit, beliefs::Belief, nodes::Node},
};
use host::http::pem;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    enrol::NONCE_BYTES,
    failure::Result,
    names::NodeName,
    renewal::{RenewRequest, Renewed},
    spec::NodeSpec,
    trust::{Believe, Believed, MOST_BELIEVED},
};
use serde_json::json;
use std::{net::IpAddr, sync::Arc};
use time::Duration;

/// Certificates of a key: all that have not ended are kept, as they may have to be revoked.
pub const MOST_OF_KEY: i64 = 1000;
/// RFC 5280, section 4.1.2.2.
const SERIAL_BYTES: usize = 20;

/// Issues and renews them.
#[derive(Debug, Clone)]
pub struct Certificates {
    state: State,
    ca: Arc<Ca>,
    signer: Arc<Signer>,
    life: Duration,
}

impl Certificates {
    /// Of the parts it uses; `life` is a certificate's.
    pub fn new(state: State, ca: Arc<Ca>, signer: Arc<Signer>, life: Duration) -> Self {
        Self { state, ca, signer, life }
    }

    /// Refuses specs with names or addresses that no certificate can be for. A single label is left out of one instead, as no
    /// constraint can name it.
    ///
    /// # Errors
    /// `E-INPUT`.
    pub fn refuse_unissuable(&self, specs: &[NodeSpec]) -> Result<()> {
        let authority = self.ca.authority();
        for spec in specs {
            let mut refused = authority.refused(&manifest::certificate_names(spec));
            refused.retain(|name| name.contains(['.', ':']));
            if !refused.is_empty() {
                let (name, refused) = (&spec.name, refused.join(", "));
                let cause = format!("checking node {name} at cluster: the CA permits no certificate for {refused}");
                return Err(Failure::new(Code::Input, cause).with_remedy(
                    "correct the name or the address, or have it permitted: boot-server ca renew --permit",
                ));
            }
        }
        Ok(())
    }

    /// A certificate for a key of the node, with the names of its spec as it is now.
    ///
    /// # Errors
    /// `E-NO-SPEC`, `E-INTERNAL`.
    pub async fn issue(&self, unit: &mut Unit, node: &Node, spki: &[u8], key: Sha256) -> Result<Issued> {
        if unit.certificates_of(&key).await? >= MOST_OF_KEY {
            let cause = format!("issuing a certificate for {}: its key has {MOST_OF_KEY} already", node.name);
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("find out what asks for so many; it is issued again when some of them have ended"));
        }
        let names = manifest::certificate_names(node.spec()?);
        let issued = self.ca.authority().issue(node.name.as_str(), &names, spki, now(), self.life)?;
        unit.add_certificate(&issued.serial, &node.name, &key, issued.not_after).await?;
        Ok(issued)
    }

    /// A new certificate for a node that still has one. A key that is not the node's becomes its own when it is used.
    ///
    /// # Errors
    /// `E-INPUT` for a CSR that is none; `E-FORBIDDEN` for a key that is another node's or was revoked, or where the node
    /// has another key by now; `E-NO-SPEC`.
    pub async fn renew(&self, name: &NodeName, key: &Sha256, request: RenewRequest, from: IpAddr) -> Result<Renewed> {
        let wanted = ca::csr_key(&request.csr)?;
        let hash = wanted.hash();
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_of(name, key).await?;
        if hash != *key {
            let taken = self.state.memory.revoked.holds(&hash) || unit.is_some_node_s(&hash).await?;
            if taken || unit.node_changing_to(&hash).await?.is_some_and(|other| other.name != *name) {
                let cause = format!("renewing the certificate of node {name}: its new key was used before");
                return Err(
                    Failure::new(Code::Forbidden, cause).with_remedy("make a fresh key: initrd-agent renew --new-key")
                );
            }
            node.next_key = Some(hash);
        }
        let issued = self.issue(&mut unit, &node, &wanted.spki, hash).await?;
        if hash == *key {
            node.certificate_ends = Some(issued.not_after);
        }
        let what = if hash == *key { "renewed its certificate" } else { "has a certificate for a new key" };
        let text = format!("{what}, until {}", protocol::to_the_second(issued.not_after));
        let is = json!({ "serial": issued.serial, "key": hash });
        unit.note(Actor::from(name).at(from), Some(name), Action::CertificateRenewed.says(text).changing(None, is))
            .await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(Renewed { certificate: issued.chain_pem, not_after: issued.not_after })
    }

    /// What a node is to believe; what it believes now is kept.
    ///
    /// # Errors
    /// `E-INPUT` where it names more than anybody believes; `E-FORBIDDEN` where the node has another key by now.
    pub async fn trust(&self, name: &NodeName, key: &Sha256, mut believed: Believed) -> Result<Believe> {
        let nonce = std::mem::take(&mut believed.nonce);
        if nonce.len() != NONCE_BYTES {
            let cause = format!("hearing what a node believes: a nonce of {} bytes, not {NONCE_BYTES}", nonce.len());
            return Err(Failure::new(Code::Input, cause));
        }
        if believed.ca_spki_sha256.len() > MOST_BELIEVED || believed.manifest_keys.len() > MOST_BELIEVED {
            return Err(Failure::new(
                Code::Input,
                format!("hearing what a node believes: more than {MOST_BELIEVED} keys"),
            ));
        }
        let belief = Belief { node: name.clone(), key: *key, believed };
        if !self.state.has_told(&belief).await? {
            let mut unit = self.state.begin().await?;
            unit.node_of(name, key).await?;
            unit.believes(&belief).await?;
            unit.commit().await?;
        }
        let mut believe = Believe {
            roots: pem::encode(&self.ca.roots()),
            manifest_keys: self.ca.generations().into_iter().map(|one| one.manifest_key).collect(),
            revoked: self.revoked().await?,
            signature: vec![],
        };
        believe.signature = self.signer.key().sign_believe(&believe, &nonce);
        Ok(believe)
    }

    /// The certificates of revoked keys: a CRL, PEM.
    ///
    /// # Errors
    /// Those of the state; `E-INTERNAL`.
    pub async fn revoked(&self) -> Result<String> {
        let now = now();
        self.ca.authority().revocation_list(&self.state.revoked_certificates(now).await?, now)
    }

    /// A certificate that this server has made for a member that is no node is believed no more.
    ///
    /// # Errors
    /// `E-INPUT` for what is no serial number; `E-WRONG-STATE` for a node's, and for one that was revoked before.
    pub async fn revoke_of_member(&self, serial: &str, actor: &Actor) -> Result<()> {
        let revoking = |code, cause: String| Failure::new(code, format!("revoking a certificate: {cause}"));
        let plain = serial.replace(':', "").to_ascii_lowercase();
        let bytes = data_encoding::HEXLOWER.decode(plain.as_bytes()).unwrap_or_default();
        if !(1..=SERIAL_BYTES).contains(&bytes.len()) {
            return Err(revoking(Code::Input, format!("{serial:?} is no serial number"))
                .with_remedy("take it from the audit, or from openssl x509 -noout -serial -in FILE"));
        }
        let mut unit = self.state.begin().await?;
        if let Some(node) = unit.node_of_certificate(&plain).await? {
            return Err(revoking(Code::WrongState, format!("{plain} is node {node}'s"))
                .with_remedy(format!("revoke its key: boot-server revoke {node} --yes")));
        }
        let ends = unit.now() + ca::LONGEST_OF_MEMBER;
        if !unit.revoke_serial(&plain, ends).await? {
            return Err(revoking(Code::WrongState, format!("{plain} was revoked before"))
                .with_remedy("there is nothing left to do: nodes fetch the list every hour"));
        }
        let deed = Action::Revoke.says(format!("revoked the certificate {plain} of a member that is no node"));
        unit.note(actor, None, deed.changing(json!({ "serial": plain }), None)).await?;
        unit.commit().await
    }

    /// The node that changes to this key and uses it now for the first time: it has stored its certificate, and the old key
    /// is revoked.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn confirm(&self, key: &Sha256, from: IpAddr) -> Result<Option<Node>> {
        let mut unit = self.state.begin().await?;
        let Some(mut node) = unit.node_changing_to(key).await? else { return Ok(None) };
        let old = node.key;
        if let Some(old) = old {
            unit.revoke(&old, &node.name).await?;
        }
        (node.key, node.next_key) = (Some(*key), None);
        node.certificate_ends = unit.certificate_end(key).await?;
        let text = format!("uses its new key {}; the one before it is revoked", &key.hex()[..12]);
        let deed = Action::KeyChanged.says(text).changing(json!({ "key": old }), json!({ "key": key }));
        unit.note(Actor::from(&node.name).at(from), Some(&node.name), deed).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(Some(node))
    }
}
