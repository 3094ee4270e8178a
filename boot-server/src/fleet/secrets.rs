//! Secrets of nodes that are kept apart from their specs: given by an operator, or drawn here and seen by nobody.

use super::spec_check;
use crate::{
    base::random,
    domain::audit::{Action, Actor},
    state::State,
};
use protocol::{
    Code, Failure,
    failure::Result,
    names::NodeName,
    secrets::{MOST_BYTES, Origin, SecretKept, SecretRequest, SecretSummary, SecretValue},
    spec::FileSpec,
};
use serde_json::json;
use std::ops::RangeInclusive;

/// Bytes of a secret that is drawn here.
const MADE: RangeInclusive<u16> = 16..=4096;

/// Takes them in.
#[derive(Debug)]
pub struct Secrets {
    state: State,
}

impl Secrets {
    /// Of the parts it uses.
    pub fn new(state: State) -> Self {
        Self { state }
    }

    /// What is known of the secrets of a node, those of its spec included; of a name that is no node's yet, those that wait for it.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn list(&self, node: &NodeName) -> Result<Vec<SecretSummary>> {
        let spec = self.state.node(node.as_str()).await?.and_then(|node| node.spec);
        let of_spec = spec.into_iter().flat_map(|spec| spec.secrets).map(|file| SecretSummary {
            path: file.path,
            mode: file.mode,
            origin: Origin::Spec,
            by: None,
            set: None,
        });
        let mut all: Vec<SecretSummary> = of_spec.chain(self.state.secrets(node).await?).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Keeps a secret. A node that is installed has it at its next installation.
    ///
    /// # Errors
    /// `E-INPUT` for a path or mode that a secret cannot have, or too much of it; `E-WRONG-STATE` where the node's spec has one
    /// at this path, where one would be drawn over another that nobody has said to replace, or there are too many.
    pub async fn set(&self, node: &NodeName, request: SecretRequest, actor: &Actor) -> Result<SecretKept> {
        let SecretRequest { path, mode, value, replace } = request;
        let (content, origin) = match value {
            SecretValue::Given(content) => (content, Origin::Given),
            SecretValue::Made(bytes) => (made(bytes)?.into(), Origin::Made),
        };
        let bytes = content.as_bytes().len();
        if bytes > MOST_BYTES || bytes == 0 {
            let cause = format!("checking the secret {path:?} of node {node}: {bytes} bytes, not 1 to {MOST_BYTES}");
            return Err(Failure::new(Code::Input, cause));
        }
        let secret = FileSpec { path, mode, content };
        let mut unit = self.state.begin().await?;
        let spec = unit.find_node(node).await?.and_then(|node| node.spec);
        spec_check::secret(node, spec.as_ref(), &secret)?;
        let was = unit.secret(node, &secret.path).await?;
        if was.is_some() && origin == Origin::Made && !replace {
            let cause = format!("drawing the secret {:?} of node {node}: there is one at this path", secret.path);
            return Err(Failure::new(Code::WrongState, cause).with_remedy(
                "keep it: a disk that was made with it opens with it alone, and nobody could type it; where no disk needs it: --replace",
            ));
        }
        if !unit.set_secret(node, &secret, origin, &actor.name).await? {
            let cause = format!("keeping the secret {:?} of node {node}: there are too many", secret.path);
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("delete those that nobody needs: boot-server secret list NODE, delete NODE NAME"));
        }
        let verb = if was.is_some() { "replaced" } else { "set" };
        let deed = Action::SecretSet.says(format!("{verb} the secret {}", secret.path));
        let is = json!({ "path": secret.path, "mode": secret.mode, "origin": origin });
        unit.note(actor, Some(node), deed.changing(was.as_ref().map(|was| json!(was)), is)).await?;
        unit.commit().await?;
        Ok(SecretKept { replaced: was.is_some() })
    }

    /// Forgets a secret that is none of the spec's.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` for the key of an encrypted device that the node's spec names.
    pub async fn delete(&self, node: &NodeName, path: &str, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let spec = unit.find_node(node).await?.and_then(|node| node.spec);
        if spec.as_ref().is_some_and(|spec| spec_check::key_files(spec).contains(path)) {
            let cause =
                format!("deleting the secret {path:?} of node {node}: its layout names it as the key of a device");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("apply a spec whose layout has another key first; without the key the device is lost"));
        }
        let Some(was) = unit.delete_secret(node, path).await? else {
            let cause = format!("deleting the secret {path:?} of node {node}: there is none");
            return Err(Failure::new(Code::NotFound, cause).with_remedy(
                "list them: boot-server secret list NODE; those of a spec go by applying it without them",
            ));
        };
        let deed = Action::SecretDeleted.says(format!("deleted the secret {path}"));
        unit.note(actor, Some(node), deed.changing(json!(was), None)).await?;
        unit.commit().await
    }

    /// Draws the next key of the secrets, and seals all of them with it.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where the key comes as a systemd credential; `E-SYSTEM`.
    pub async fn rekey(&self, actor: &Actor) -> Result<usize> {
        self.state.rekey(actor).await
    }
}

fn made(bytes: u16) -> Result<String> {
    if !MADE.contains(&bytes) {
        let (least, most) = (MADE.start(), MADE.end());
        return Err(Failure::new(Code::Input, format!("drawing a secret: {bytes} bytes, not {least} to {most}")));
    }
    let mut drawn = vec![0; usize::from(bytes)];
    random::fill(&mut drawn)?;
    Ok(data_encoding::BASE64.encode(&drawn))
}
