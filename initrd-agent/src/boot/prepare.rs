//! Steps 1 to 5, once a boot: drivers, network, clock, inventory, enrolment.

use super::{
    STATE, announce,
    cmdline::KernelParameters,
    enrol::{self, Asking},
    identity::Identity,
    network,
    runner::{
        Attempts::{BeforeAnEarlierStep, UntilItWorks},
        Run,
    },
    token, tpm,
};
use crate::{
    boot_server::{BootServer, Channel},
    console::Lines,
};
use hardware::{coldplug, inventory};
use protocol::{
    enrol_token::EnrolToken, failure::Result, inventory::Inventory, names::NodeName, step::Step, tpm::TpmFound,
    trust::TrustAnchors,
};
use std::path::Path;
use telemetry::steps;
use tokio::sync::watch;

/// About a minute of asking, then the network is looked for anew.
const GREETINGS: u32 = 6;

/// A machine that has proved who it is.
pub struct Machine {
    /// What the image trusts.
    pub anchors: TrustAnchors,
    /// The hardware.
    pub inventory: Inventory,
    /// The node's key.
    pub identity: Identity,
    /// Which node this is.
    pub node: NodeName,
    /// Leaf and CA in PEM.
    pub certificate: String,
    /// The boot-server, by mTLS.
    pub server: BootServer,
}

/// From a booted kernel to an enrolled node.
///
/// # Errors
/// The failure of the step that cannot be helped by trying again.
pub async fn prepare(
    run: &Run,
    parameters: &KernelParameters,
    anchors: TrustAnchors,
    channel: &watch::Sender<Option<Channel>>,
) -> Result<Machine> {
    run.step(Step::Coldplug, UntilItWorks, async || load_drivers()).await?;
    let looking = tpm::look();
    let mut identity = Identity::find_or_make(&anchors, &Path::new(STATE).join("key.pem"))?;
    let (network, url, mut greeted) = loop {
        let network = run
            .step(Step::Network, UntilItWorks, async || {
                let network = network::bring_up(parameters).await?;
                let detail = network.describe();
                Ok((network, detail))
            })
            .await?;
        let url = network.server_url(parameters)?;
        let timeless = BootServer::before_the_clock(&url, &anchors)?;
        let greeted = run
            .step(Step::Clock, BeforeAnEarlierStep(GREETINGS), async || {
                let (greeted, reply) = enrol::hello(&timeless, &anchors, &identity).await?;
                Ok((greeted, enrol::set_clock(&anchors, reply.time)?))
            })
            .await;
        match greeted {
            Ok(greeted) => break (network, url, greeted),
            // What answered there may not be the server, or the link is gone: another card may have it.
            Err(failure) if steps::may_pass(failure.code) => {}
            Err(failure) => return Err(failure),
        }
    };
    tokio::spawn(network::keep_lease(network.clone()));
    let anonymous = BootServer::new(&url, &anchors, None)?;

    let inventory = run.step(Step::Inventory, UntilItWorks, async || Ok(read_hardware())).await?;
    let inventory = Inventory { fetched: parameters.fetched, ..inventory };
    let claims = inventory::claims(&inventory, Some(&network.nic.mac));
    let (found, chip) = looking.found().await;
    if let TpmFound::Broken { why } = &found {
        run.note(Step::Enrol, &format!("going on without the TPM: {why}"));
    }
    let given = token::given(parameters);
    if let Some(given) = &given {
        run.note(Step::Enrol, &format!("a one-time token was given by {}", given.by));
    }
    let mut lines = Lines::listen();
    let approved = run
        .step(Step::Enrol, UntilItWorks, async || {
            let mut replaces = None;
            loop {
                let enrolled = || announce(channel, &anonymous, Some(&greeted.session));
                let token = given.as_ref().map(|given| given.token.clone());
                let asking = Asking {
                    claims: claims.clone(),
                    inventory: &inventory,
                    run: run.telemetry.run(),
                    replaces,
                    token,
                    found: found.clone(),
                    chip: chip.as_ref(),
                };
                let waits = |text: &str| run.note(Step::Enrol, text);
                let typed = async || typed_token(run, &mut lines).await;
                let late = tokio::select! {
                    approved = enrol::enrol(&anonymous, &identity, &greeted, asking, waits, typed, enrolled) => {
                        let approved = approved?;
                        let detail = format!("this is {} (code {})", approved.node, greeted.code);
                        return Ok((approved, detail));
                    }
                    found = Identity::comes_late(&anchors), if identity.found.is_none() => found,
                };
                run.note(Step::Enrol, "a disk with the key of an earlier installation has come: asking by that key");
                let (anew, _) = enrol::hello(&anonymous, &anchors, &late).await?;
                replaces = Some(std::mem::replace(&mut greeted, anew).session);
                identity = late;
            }
        })
        .await?;
    let server = BootServer::new(&url, &anchors, Some(identity.for_tls(&approved.certificate)?))?;
    announce(channel, &server, None);
    Ok(Machine { anchors, inventory, identity, node: approved.node, certificate: approved.certificate, server })
}

/// The next token that somebody types on a console of the machine.
async fn typed_token(run: &Run, lines: &mut Lines) -> EnrolToken {
    loop {
        let line = lines.next().await;
        match EnrolToken::parse(&line) {
            Some(token) => {
                run.note(Step::Enrol, "a one-time token was typed");
                return token;
            }
            None if line.trim().is_empty() => {}
            // What was typed is not repeated: it may be a token with a slip in it.
            None => run.console.line("   that is no one-time token: it has 26 letters and digits"),
        }
    }
}

fn load_drivers() -> Result<((), String)> {
    let report = coldplug::coldplug()?;
    Ok(((), report.describe()))
}

fn read_hardware() -> (Inventory, String) {
    let inventory = inventory::read();
    let detail = format!(
        "{} threads, {} MiB, {} disks, {} network cards, {:?}; {} s after the kernel's start",
        inventory.cpu.threads,
        inventory.memory_bytes >> 20,
        inventory.disks.len(),
        inventory.nics.len(),
        inventory.firmware,
        seconds_up()
    );
    (inventory, detail)
}

/// Seconds since the kernel's start, as the kernel prints them.
fn seconds_up() -> String {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    uptime.split_whitespace().next().unwrap_or("?").to_owned()
}
