//! What a node with a certificate asks and reports on its way: manifest, secrets, plan, installed.

use crate::{
    base::clock::now,
    domain::{
        audit::{Action, Actor},
        lifecycle::{Input, Record, Refusal},
        plan::{HeldPlan, short},
    },
    state::{State, Unit, nodes::Node, runs::Owner},
    trust::manifest::{self, Signer},
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    boot_trust::BootTrust,
    encoding::Sha256,
    enrol::NONCE_BYTES,
    failure::Result,
    manifest::{ManifestRequest, Purpose, SecretBundle, SignedManifest},
    names::NodeName,
    report::{InstalledReport, PlanDecision, PlanReport},
    spec::NodeKey,
};
use serde_json::json;
use std::{net::IpAddr, sync::Arc};

/// A plan beyond this is one that nobody could read before agreeing to it.
const MOST_PLAN_LINES: usize = 5_000;
const MOST_PLAN_BYTES: usize = 1 << 20;

fn check_lines(report: &PlanReport) -> Result<()> {
    let (lines, bytes) = (report.lines.len(), report.lines.iter().map(String::len).sum::<usize>());
    let elsewhere = report.disks.iter().flatten().find(|disk| disk.line >= lines);
    if let Some(disk) = elsewhere {
        let cause = format!("checking the plan of run {}: it has no line {} for a disk", report.run, disk.line);
        return Err(Failure::new(Code::Input, cause));
    }
    if lines <= MOST_PLAN_LINES && bytes <= MOST_PLAN_BYTES {
        return Ok(());
    }
    let cause = format!("checking the plan of run {}: nobody could read its {lines} lines, {bytes} bytes", report.run);
    let remedy = format!("make the layout smaller: at most {MOST_PLAN_LINES} lines, {MOST_PLAN_BYTES} bytes");
    Err(Failure::new(Code::Layout, cause).with_remedy(remedy))
}

/// Serves nodes while they are installed.
#[derive(Debug)]
pub struct Installs {
    state: State,
    signer: Arc<Signer>,
    /// What secrets need where a spec does not say.
    secrets_at_least: BootTrust,
    node_key: NodeKey,
}

impl Installs {
    /// Of the parts it uses.
    pub fn new(state: State, signer: Arc<Signer>, secrets_at_least: BootTrust, node_key: NodeKey) -> Self {
        Self { state, signer, secrets_at_least, node_key }
    }

    /// The signed manifest; with it the run begins to use the generation.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-QUARANTINE`, `E-WRONG-STATE`, `E-INPUT` for a nonce of another length.
    pub async fn manifest(&self, name: &NodeName, key: &Sha256, request: ManifestRequest) -> Result<SignedManifest> {
        if request.nonce.len() != NONCE_BYTES {
            let cause = format!("reading the request at nonce: {} bytes, not {NONCE_BYTES}", request.nonce.len());
            return Err(Failure::new(Code::Input, cause));
        }
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_of(name, key).await?;
        let refused = |refusal: Refusal| refusal.failure(name);
        // Before anything is wiped for a node that cannot be finished.
        self.check_boot(&mut unit, &node).await?;
        let before = node.record.clone();
        node.record = node.record.after(&Input::Began(request.run.clone())).map_err(refused)?;
        let owner = Owner::Node(name.clone());
        unit.may_speak(&request.run, &owner).await?;
        unit.claim_run(&request.run, &owner, None).await?;
        if node.record != before {
            node.plan = node.plan.filter(|plan| plan.generation == node.record.generation);
            let what = if node.record.purpose == Purpose::Wipe { "wipe in" } else { "install" };
            let text = format!("run {} may {what} generation {}", request.run, node.record.generation);
            unit.note("server", Some(name), text).await?;
            unit.save_node(&node).await?;
        }
        let spec = node.spec()?;
        let Record { generation, purpose, .. } = node.record;
        let key_kept = spec.node_key.unwrap_or(self.node_key);
        let manifest = manifest::compose(spec, key_kept, generation, purpose, *key, request.nonce, now());
        let signed = self.signer.key().sign(&manifest)?;
        unit.hand_out(name, &spec.system.toplevel).await?;
        unit.commit().await?;
        self.state.memory.presence.heard(&request.run, None, std::time::Instant::now());
        // A run that vanished may have been one too many: that is stored, and nothing is handed out.
        node.record.may_install().map_err(refused)?;
        Ok(signed)
    }

    /// The node's own secrets, while its generation is open, for who asks from this address.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-WRONG-STATE`.
    pub async fn secrets(&self, name: &NodeName, key: &Sha256, generation: u64, from: IpAddr) -> Result<SecretBundle> {
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        node.record.may_install().map_err(|refusal| refusal.failure(name))?;
        let installs = node.record.state == NodeState::Installing && node.record.purpose == Purpose::Install;
        if !installs || generation != node.record.generation {
            let cause = format!("handing out secrets for generation {generation} of node {name}: it is not under way");
            return Err(Failure::new(Code::WrongState, cause));
        }
        self.check_boot(&mut unit, &node).await?;
        let apart = unit.open_secrets(name).await?;
        let bundle = manifest::secrets(node.spec()?, apart, generation)?;
        let text = format!("was handed out {} secret files for generation {generation}", bundle.files.len());
        let paths: Vec<&str> = bundle.files.iter().map(|file| file.path.as_str()).collect();
        let deed = Action::SecretsHandedOut.says(text).changing(None, json!({ "paths": paths, "key": key }));
        unit.note(Actor::from(name).at(from), Some(name), deed).await?;
        unit.commit().await?;
        Ok(bundle)
    }

    /// Refuses a node that has secrets and whose boot is trusted less than they need.
    async fn check_boot(&self, unit: &mut Unit, node: &Node) -> Result<()> {
        let Some(spec) = &node.spec else { return Ok(()) };
        let wanted = spec.secrets_at_least.unwrap_or(self.secrets_at_least);
        if wanted == BootTrust::Nothing || node.record.purpose == Purpose::Wipe {
            return Ok(());
        }
        let has_some = !spec.secrets.is_empty() || spec.cluster.is_some() || unit.has_secrets(&node.name).await?;
        if !has_some {
            return Ok(());
        }
        let known = match node.enrolment {
            Some(enrolment) => unit.boot_trust(enrolment).await?,
            None => BootTrust::Nothing,
        };
        if known >= wanted {
            return Ok(());
        }
        let cause = format!(
            "handing out secrets to node {}: its boot is trusted as {known} ({}), and they need {wanted} ({})",
            node.name,
            known.title(),
            wanted.title()
        );
        Err(Failure::new(Code::BootTrust, cause))
    }

    /// Whether the plan may be carried out.
    ///
    /// # Errors
    /// `E-GENERATION-USED`, `E-QUARANTINE`, `E-WRONG-STATE`; `E-LAYOUT` for one that is too long to be shown.
    pub async fn plan(&self, name: &NodeName, key: &Sha256, report: PlanReport) -> Result<PlanDecision> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_of(name, key).await?;
        node.record.may_install().map_err(|refusal| refusal.failure(name))?;
        if report.generation != node.record.generation || node.record.run.as_ref() != Some(&report.run) {
            let cause = format!("checking the plan of run {}: that run does not install node {name}", report.run);
            return Err(Failure::new(Code::WrongState, cause));
        }
        check_lines(&report)?;
        let PlanReport { lines, generation, disks, .. } = report;
        let mut plan = HeldPlan { lines, generation, held: false, approved: false, disks };
        let wanted = &node.spec()?.disks;
        // Where a node is retired, the verb has said that all of it goes.
        let beyond = node.record.purpose == Purpose::Install && !plan.is_within(wanted);
        let hold = wanted.hold || report.hold || beyond;
        let last = node.plan.as_ref().filter(|last| last.id() == plan.id());
        plan.approved = last.is_some_and(|last| last.approved);
        plan.held = hold && !plan.approved;
        let held = plan.held;
        let asked = held && last.is_none_or(|last| !last.held);
        if asked {
            let text = format!("plan {} waits for an admin", short(&plan.id()));
            unit.note("server", Some(name), text).await?;
        }
        node.plan = Some(plan);
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(if held { PlanDecision::Hold } else { PlanDecision::Proceed })
    }

    /// An admin agrees to the plan that is held, which must be the one that the admin was shown.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` where no plan is held, or another one.
    pub async fn approve_plan(&self, name: &NodeName, shown: &Sha256, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node(name).await?;
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
        let deed = Action::PlanApproved.says(format!("approved plan {}", short(shown)));
        unit.note(actor, Some(name), deed.changing(None, json!({ "plan": shown }))).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(())
    }

    /// The installation is complete: its generation is used up.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's.
    pub async fn installed(&self, name: &NodeName, key: &Sha256, report: InstalledReport, from: IpAddr) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_of(name, key).await?;
        let input = Input::Installed { run: report.run.clone(), generation: report.generation };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(name))?;
        if after != node.record {
            let text = format!("installed generation {} in run {}", report.generation, report.run);
            unit.note(Actor::from(name).at(from), Some(name), Action::Installed.says(text)).await?;
            unit.used_memory(&report.run, report.agent_peak_rss).await?;
            node.record = after;
            node.installed = Some(report);
            unit.save_node(&node).await?;
        }
        unit.commit().await
    }
}
