//! What operators want of nodes: checked as a whole, stored as a whole.

use super::spec_check;
use crate::{
    cache::Cache,
    domain::lifecycle::Input,
    state::{State, Unit, nodes::Node},
    trust::admission::Admission,
};
use protocol::{
    Code, Failure,
    admin::{Applied, ApplyRequest},
    failure::Result,
    spec::NodeSpec,
};
use std::{collections::HashSet, sync::Arc};

/// Nodes in one request.
const MOST_NODES: usize = 1000;

/// Takes in what operators apply.
pub struct Specs {
    state: State,
    cache: Arc<Cache>,
    admission: Arc<Admission>,
}

impl Specs {
    /// Of the parts it uses.
    pub fn new(state: State, cache: Arc<Cache>, admission: Arc<Admission>) -> Self {
        Self { state, cache, admission }
    }

    /// Stores the specs; machines that wait for one of them are admitted where the policy says so.
    ///
    /// # Errors
    /// `E-INPUT` with the path of the key; nothing is stored then.
    pub async fn apply(&self, request: ApplyRequest, actor: &str) -> Result<Vec<Applied>> {
        check(&request.nodes)?;
        // Nothing is collected meanwhile that a spec begins to need.
        let _settled = self.cache.settled().await;
        let mut unit = self.state.begin().await?;
        let mut applied = Vec::new();
        for spec in request.nodes {
            applied.push(apply_one(&mut unit, spec, actor).await?);
        }
        unit.commit().await?;
        self.admission.settle_all().await?;
        Ok(applied)
    }
}

fn check(specs: &[NodeSpec]) -> Result<()> {
    if specs.len() > MOST_NODES {
        return Err(Failure::new(Code::Input, format!("checking the request: more than {MOST_NODES} nodes")));
    }
    let mut names = HashSet::new();
    for spec in specs {
        spec_check::check(spec)?;
        if !names.insert(&spec.name) {
            return Err(Failure::new(Code::Input, format!("checking the request: node {} is there twice", spec.name)));
        }
    }
    Ok(())
}

async fn apply_one(unit: &mut Unit, spec: NodeSpec, actor: &str) -> Result<Applied> {
    let name = spec.name.clone();
    let known = unit.find_node(&name).await?;
    let result = match &known {
        None => "created",
        Some(node) if node.spec.as_ref() == Some(&spec) => "unchanged",
        Some(_) => "configured",
    };
    if result != "unchanged" {
        let mut node = known.unwrap_or_else(|| Node::new(name.clone()));
        node.spec = Some(spec);
        node.record = node.record.after(&Input::Applied).map_err(|refusal| refusal.failure(&name))?;
        unit.save_node(&node).await?;
        unit.note(actor, Some(&name), format!("applied the spec: {result}")).await?;
    }
    Ok(Applied { name, result: result.to_owned() })
}
