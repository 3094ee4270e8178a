//! Certificates of nodes: issued where a machine is admitted, renewed before they end.

use super::{
    ca::{self, Ca, Issued},
    manifest,
};
use crate::{
    base::clock::now,
    domain::audit::Action,
    state::{State, Unit, nodes::Node},
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    renewal::{RenewRequest, Renewed},
};
use serde_json::json;
use std::sync::Arc;
use time::Duration;

/// Issues and renews them.
#[derive(Debug, Clone)]
pub struct Certificates {
    state: State,
    ca: Arc<Ca>,
    life: Duration,
}

impl Certificates {
    /// Of the parts it uses; `life` is a certificate's.
    pub fn new(state: State, ca: Arc<Ca>, life: Duration) -> Self {
        Self { state, ca, life }
    }

    /// A certificate for a key of the node, with the names of its spec as it is now.
    ///
    /// # Errors
    /// `E-NO-SPEC`, `E-INTERNAL`.
    pub async fn issue(&self, unit: &mut Unit, node: &Node, spki: &[u8], key: Sha256) -> Result<Issued> {
        let names = manifest::certificate_names(node.spec()?);
        let issued = self.ca.issue(node.name.as_str(), &names, spki, now(), self.life)?;
        unit.add_certificate(&issued.serial, &node.name, &key, issued.not_after).await?;
        Ok(issued)
    }

    /// A new certificate for a node that still has one. A key that is not the node's becomes its own when it is used.
    ///
    /// # Errors
    /// `E-INPUT` for a CSR that is none; `E-FORBIDDEN` for a key that is another node's or was revoked, or where the node
    /// has another key by now; `E-NO-SPEC`.
    pub async fn renew(&self, name: &NodeName, key: &Sha256, request: RenewRequest) -> Result<Renewed> {
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
        unit.note(name, Some(name), Action::CertificateRenewed.says(text).changing(None, is)).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(Renewed { certificate: issued.chain_pem, not_after: issued.not_after })
    }

    /// The node that changes to this key and uses it now for the first time: it has stored its certificate, and the old key
    /// is revoked.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn confirm(&self, key: &Sha256) -> Result<Option<Node>> {
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
        unit.note(&node.name, Some(&node.name), deed).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(Some(node))
    }
}
