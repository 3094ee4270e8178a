//! What was measured when a node's system started from its disk: asked of it once per start, and compared with the start before.

use crate::{
    base::{clock::now, random},
    domain::measured::{self, Start},
    state::{State, Unit, nodes::Node},
};
use ::tpm::{
    event_log::Thing,
    public::QuotingKey,
    quote::{self, Quote},
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    enrol::NONCE_BYTES,
    failure::Result,
    names::NodeName,
    tpm::{MeasuredStart, QuoteRequest, QuoteWanted, StartQuote, StrangeStart, quoted},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A nonce is good for so long: a chip may take a minute.
const LIFE: Duration = Duration::from_secs(300);

/// Hears them.
#[derive(Debug)]
pub struct Quotes {
    state: State,
    /// One of a node; a server that restarts has drawn none, and is asked again.
    drawn: Mutex<HashMap<NodeName, Drawn>>,
}

#[derive(Debug)]
struct Drawn {
    nonce: [u8; NONCE_BYTES],
    boot: Sha256,
    at: Instant,
}

impl Quotes {
    /// Of the parts it uses.
    pub fn new(state: State) -> Self {
        Self { state, drawn: Mutex::default() }
    }

    fn drawn(&self) -> MutexGuard<'_, HashMap<NodeName, Drawn>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this start is to be told of: the node has proven a TPM, and has not told of it yet.
    ///
    /// # Errors
    /// `E-FORBIDDEN` where the node has another key by now.
    pub async fn wanted(&self, name: &NodeName, key: &Sha256, request: QuoteRequest) -> Result<QuoteWanted> {
        let node = self.state.known_node(name).await?;
        node.has_key(key)?;
        if node.tpm.is_none() || node.starts.knows(&request.boot) {
            return Ok(QuoteWanted::No);
        }
        let (nonce, at) = (random::bytes::<NONCE_BYTES>()?, Instant::now());
        let mut drawn = self.drawn();
        drawn.retain(|_, drawn| drawn.at.elapsed() < LIFE);
        drawn.insert(name.clone(), Drawn { nonce, boot: request.boot, at });
        Ok(QuoteWanted::Yes { nonce: nonce.to_vec() })
    }

    /// Takes it in: what was measured otherwise than when the system started last stands in the node's history.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where no nonce was drawn for this start, or too long ago; `E-TPM` where the TPM is not the one that the node has
    /// proven, which its history says, or what it says does not hold; `E-FORBIDDEN` where the node has another key by now.
    pub async fn take_in(&self, name: &NodeName, key: &Sha256, told: StartQuote, from: IpAddr) -> Result<()> {
        if !told.is_bounded() {
            return Err(refused(name, "it is too long"));
        }
        let drawn = self.drawn().remove(name);
        let drawn = drawn.filter(|drawn| drawn.boot == told.boot && drawn.at.elapsed() < LIFE).ok_or_else(|| {
            let cause = format!("hearing what {name} has measured: no nonce was drawn for this start, or too long ago");
            Failure::new(Code::WrongState, cause)
                .with_remedy("the node asks for another one by itself, at the latest in an hour")
        })?;
        // What is told is judged before anything is written: others wait for whoever writes.
        let judged = judge(&told, &drawn, key);
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        let Some(proven) = &node.tpm else { return Err(refused(name, "it has not proven a TPM")) };
        if Sha256::of(&told.quoting) != proven.quoting {
            self.strange(unit, node, &told, from).await?;
            return Err(refused(name, "its TPM is another one than it has proven").with_remedy(
                "start its machine from the network: there it waits for an admin, unless its spec names that TPM (match.ek)",
            ));
        }
        let (start, things) = judged?;
        remember(unit, node, start, &things).await
    }

    /// Told once of each TPM.
    async fn strange(&self, mut unit: Unit, mut node: Node, told: &StartQuote, from: IpAddr) -> Result<()> {
        let start = StrangeStart { boot: told.boot, quoting: Sha256::of(&told.quoting), at: now() };
        let quoting = start.quoting;
        let before = node.starts.beside_another_tpm.replace(start);
        if before.is_none_or(|before| before.quoting != quoting) {
            let text = format!(
                "its system started beside another TPM than the one that it has proven, from {from}: a disk that was moved, or another \
                 mainboard"
            );
            unit.note("server", Some(&node.name), text).await?;
        }
        unit.save_node(&node).await?;
        unit.commit().await
    }
}

/// What a start was, where the quote of it holds.
fn judge(told: &StartQuote, drawn: &Drawn, key: &Sha256) -> Result<(MeasuredStart, Vec<Thing>)> {
    let quoting = QuotingKey::parse(&told.quoting)?;
    let StartQuote { attested, signature, pcrs, log, .. } = told.clone();
    let pcrs = quote::verify(Quote { attested, signature, pcrs }, &quoting, &quoted(&drawn.nonce, key))?;
    let (log, things) = measured::judged(log, &pcrs);
    Ok((MeasuredStart { boot: told.boot, pcrs, log, at: now() }, things))
}

async fn remember(mut unit: Unit, mut node: Node, start: MeasuredStart, things: &[Thing]) -> Result<()> {
    let before = unit.things(&node.name, Start::Disk).await?;
    for text in measured::news_of_start(node.starts.last.as_ref(), &before, &start, things) {
        unit.note("server", Some(&node.name), text).await?;
    }
    unit.keep_things(&node.name, Start::Disk, things).await?;
    (node.starts.last, node.starts.beside_another_tpm) = (Some(start), None);
    unit.save_node(&node).await?;
    unit.commit().await
}

fn refused(name: &NodeName, why: &str) -> Failure {
    Failure::new(Code::Tpm, format!("hearing what {name} has measured: {why}"))
}
