//! What a node with a certificate asks and reports on its way: manifest, secrets, plan, installed, ready.

use crate::{
    intake,
    lifecycle::{Input, Record},
    manifest,
    server::{Server, now},
    state::{
        self, audit, clusters, handed_out,
        nodes::{self, HeldPlan, Node},
        runs::{self, Owner},
    },
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    encoding::Sha256,
    enrol::NONCE_BYTES,
    failure::{OrFail, Result},
    manifest::{ManifestRequest, Purpose, SecretBundle, SignedManifest},
    names::NodeName,
    report::{InstalledReport, PlanDecision, PlanReport, ReadyReport},
    service::Service,
    spec::NodeSpec,
};

/// A plan beyond this is one that nobody could read before agreeing to it.
const MOST_PLAN_LINES: usize = 5_000;
const MOST_PLAN_BYTES: usize = 1 << 20;

fn spec_of(node: &Node) -> Result<&NodeSpec> {
    node.spec.as_ref().ok_or_else(|| Failure::new(Code::NoSpec, format!("node {} has no spec", node.name)))
}

fn check_length(report: &PlanReport) -> Result<()> {
    let (lines, bytes) = (report.lines.len(), report.lines.iter().map(String::len).sum::<usize>());
    if lines <= MOST_PLAN_LINES && bytes <= MOST_PLAN_BYTES {
        return Ok(());
    }
    let cause = format!("checking the plan of run {}: nobody could read its {lines} lines, {bytes} bytes", report.run);
    let remedy = format!("make the layout smaller: at most {MOST_PLAN_LINES} lines, {MOST_PLAN_BYTES} bytes");
    Err(Failure::new(Code::Layout, cause).with_remedy(remedy))
}

/// As much of a plan's hash as people compare.
pub fn short(plan: &Sha256) -> String {
    plan.hex().chars().take(12).collect()
}

/// The key may have lost the node between the handshake and this write.
pub(crate) fn still_current(node: &Node, key: &Sha256) -> Result<()> {
    if node.key == Some(*key) {
        return Ok(());
    }
    Err(Failure::new(Code::Forbidden, format!("node {} has another key now", node.name)))
}

impl Server {
    /// The signed manifest; with it the run begins to use the generation.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-QUARANTINE`, `E-WRONG-STATE`, `E-INPUT` for a nonce of another length.
    pub async fn manifest(&self, name: &NodeName, key: &Sha256, request: ManifestRequest) -> Result<SignedManifest> {
        if request.nonce.len() != NONCE_BYTES {
            let cause = format!("reading the request at nonce: {} bytes, not {NONCE_BYTES}", request.nonce.len());
            return Err(Failure::new(Code::Input, cause));
        }
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        let refused = |refusal: crate::lifecycle::Refusal| refusal.failure(name);
        let before = node.record.clone();
        node.record = node.record.after(&Input::Began(request.run.clone())).map_err(refused)?;
        let owner = Owner::Node(name.clone());
        intake::may_speak(&mut write, &request.run, &owner).await?;
        runs::claim(&mut write, &request.run, &owner, None, now()).await?;
        if node.record != before {
            node.plan = node.plan.filter(|plan| plan.generation == node.record.generation);
            let what = if node.record.purpose == Purpose::Wipe { "wipe in" } else { "install" };
            let text = format!("run {} may {what} generation {}", request.run, node.record.generation);
            audit::note(&mut write, now(), "server", Some(name), text).await?;
            nodes::save(&mut write, &node, now()).await?;
        }
        let spec = spec_of(&node)?;
        let Record { generation, purpose, .. } = node.record;
        let manifest = manifest::compose(spec, generation, purpose, *key, request.nonce, now());
        let signed = self.signer.sign(&manifest)?;
        handed_out::record(&mut write, name, &spec.system.toplevel, now()).await?;
        state::commit(write).await?;
        self.refresh_node(name).await?;
        // A run that vanished may have been one too many: that is stored, and nothing is handed out.
        node.record.may_install().map_err(refused)?;
        Ok(signed)
    }

    /// The node's own secrets, while its generation is open.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-WRONG-STATE`.
    pub async fn secrets(&self, name: &NodeName, key: &Sha256, generation: u64) -> Result<SecretBundle> {
        let mut write = self.state.write().await?;
        let node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        node.record.may_install().map_err(|refusal| refusal.failure(name))?;
        let installs = node.record.state == NodeState::Installing && node.record.purpose == Purpose::Install;
        if !installs || generation != node.record.generation {
            let cause = format!("handing out secrets for generation {generation} of node {name}: it is not under way");
            return Err(Failure::new(Code::WrongState, cause));
        }
        let bundle = manifest::secrets(spec_of(&node)?, generation)?;
        let text = format!("handed out {} secret files for generation {generation}", bundle.files.len());
        audit::note(&mut write, now(), "server", Some(name), text).await?;
        state::commit(write).await?;
        Ok(bundle)
    }

    /// Whether the plan may be carried out.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-QUARANTINE`, `E-WRONG-STATE`; `E-LAYOUT` for one that is too long to be shown.
    pub async fn plan(&self, name: &NodeName, key: &Sha256, report: PlanReport) -> Result<PlanDecision> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        node.record.may_install().map_err(|refusal| refusal.failure(name))?;
        if report.generation != node.record.generation || node.record.run.as_ref() != Some(&report.run) {
            let cause = format!("checking the plan of run {}: that run does not install node {name}", report.run);
            return Err(Failure::new(Code::WrongState, cause));
        }
        check_length(&report)?;
        let hold = spec_of(&node)?.disks.hold || report.hold;
        let mut plan = HeldPlan { lines: report.lines, generation: report.generation, held: false, approved: false };
        let last = node.plan.as_ref().filter(|last| last.id() == plan.id());
        plan.approved = last.is_some_and(|last| last.approved);
        plan.held = hold && !plan.approved;
        let held = plan.held;
        let asked = held && last.is_none_or(|last| !last.held);
        if asked {
            let text = format!("plan {} waits for an admin", short(&plan.id()));
            audit::note(&mut write, now(), "server", Some(name), text).await?;
        }
        node.plan = Some(plan);
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.changed.ring();
        Ok(if held { PlanDecision::Hold } else { PlanDecision::Proceed })
    }

    /// An admin agrees to the plan that is held, which must be the one that the admin was shown.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` where no plan is held, or another one.
    pub async fn approve_plan(&self, name: &NodeName, shown: &Sha256, actor: &str) -> Result<()> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        let Some(plan) = node.plan.as_mut().filter(|plan| plan.held) else {
            let cause = format!("approving the plan of node {name}: it holds no plan");
            return Err(Failure::new(Code::WrongState, cause).with_remedy(
                "a machine that waits to become a node is approved by the code on its console: boot-server approve CODE",
            ));
        };
        if plan.id() != *shown {
            let cause = format!(
                "approving plan {} of node {name}: the machine has made another one, {}",
                short(shown),
                short(&plan.id())
            );
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy(format!("read the new plan: boot-server describe node {name}")));
        }
        (plan.held, plan.approved) = (false, true);
        let text = format!("approved plan {}", short(shown));
        audit::note(&mut write, now(), actor, Some(name), text).await?;
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.changed.ring();
        Ok(())
    }

    /// The installation is complete: its generation is used up.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's.
    pub async fn installed(&self, name: &NodeName, key: &Sha256, report: InstalledReport) -> Result<()> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        let input = Input::Installed { run: report.run.clone(), generation: report.generation };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(name))?;
        if after != node.record {
            let text = format!("installed generation {} in run {}", report.generation, report.run);
            audit::note(&mut write, now(), name.as_str(), Some(name), text).await?;
            runs::used_memory(&mut write, &report.run, report.agent_peak_rss).await?;
            node.record = after;
            node.installed = Some(report);
            nodes::save(&mut write, &node, now()).await?;
        }
        state::commit(write).await?;
        self.refresh_node(name).await
    }

    /// The node is a healthy member of a service: it gives its turn back, and is ready where it enters no other.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's; `E-INPUT` for a service that nobody knows.
    pub async fn ready(&self, name: &NodeName, key: &Sha256, report: ReadyReport) -> Result<()> {
        let service: Service = report.service.parse().or_fail(Code::Input, || "reading the report at service")?;
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        let generation = report.generation;
        let last = report.awaits.is_empty();
        let input = if last { Input::Ready { generation } } else { Input::Member { generation } };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(name))?;
        let text = match last {
            true if after != node.record => format!("ready: {service} with {} members", report.members.len()),
            _ => format!("member of {service} with {} members", report.members.len()),
        };
        audit::note(&mut write, now(), name.as_str(), Some(name), text).await?;
        self.entered(&mut write, &node, service, &report).await?;
        clusters::add_membership(&mut write, name, service, &report, now()).await?;
        self.begin_to_watch(&mut write, name).await?;
        node.record = after;
        node.ready = Some(report);
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.refresh_node(name).await
    }
}
