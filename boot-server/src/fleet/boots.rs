//! What machines boot: the legs' questions, answered from the nodes at hand.

use crate::{
    base::clock::now,
    domain::{
        addresses::FixedAddresses,
        boot::Boot,
        enrolment::{self, Entry},
        lifecycle::{self, Input},
    },
    netboot::policy::{Answer, Policy},
    state::State,
};
use protocol::{claims::Claims, failure::Result, names::NodeName};
use std::sync::Arc;

/// Who boots what.
#[derive(Debug)]
pub struct Boots {
    state: State,
    policy: enrolment::Policy,
    unknown: Boot,
}

impl Boots {
    /// A machine that no spec knows gets the default profile, after a menu where there is a time for one.
    pub fn new(state: State, policy: enrolment::Policy, default_profile: NodeName, menu_seconds: Option<u32>) -> Self {
        let unknown = match menu_seconds {
            Some(timeout_seconds) => Boot::Menu { default_profile, timeout_seconds },
            None => Boot::Install { profile: default_profile, hostname: None },
        };
        Self { state, policy, unknown }
    }

    async fn decide(&self, claims: &Claims) -> Result<Boot> {
        let claims = claims.clone().cleaned();
        let found = self.state.memory.directory.with(|entries| enrolment::find_for_boot(entries, &claims).cloned());
        if let Some(boot) = self.refused(&claims, found.as_ref()).await? {
            return Ok(boot);
        }
        let Some(entry) = found else {
            return Ok(self.unknown.clone());
        };
        if entry.record.after(&Input::Seen).is_ok_and(|after| after != entry.record) {
            self.seen(&entry.name).await?;
        }
        Ok(lifecycle::boot(&entry.name, &entry.profile, &entry.record))
    }

    /// A machine that an admin has refused waits, where none with its labels could prove that it is another one.
    async fn refused(&self, claims: &Claims, found: Option<&Entry>) -> Result<Option<Boot>> {
        let rejections = self.state.memory.rejections.all();
        // A stranger may ask all the time: what nobody has refused takes no look at the state.
        if !rejections.iter().any(|rejection| enrolment::same_machine(&rejection.claims, claims)) {
            return Ok(None);
        }
        let tokens = self.state.enrol_tokens().await?.into_iter();
        let open: Vec<_> =
            tokens.filter(|token| token.used.is_none() && token.expires > now()).map(|token| token.bound).collect();
        let rejection = self.state.memory.directory.with(|entries| {
            enrolment::rejected_at_boot(&rejections, entries, found, claims, &self.policy, &open, now()).cloned()
        });
        Ok(rejection.map(|rejection| Boot::Wait { reason: rejection.says() }))
    }

    async fn seen(&self, name: &NodeName) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node(name).await?;
        if let Ok(record) = node.record.after(&Input::Seen) {
            node.record = record;
            unit.save_node(&node).await?;
        }
        unit.commit().await
    }
}

impl Policy for Boots {
    fn boot<'a>(&'a self, claims: &'a Claims) -> Answer<'a, Boot> {
        Box::pin(async move {
            self.decide(claims).await.unwrap_or_else(|failure| {
                tracing::error!(%failure, "deciding what a machine boots");
                Boot::Wait { reason: "the boot-server cannot read its state".to_owned() }
            })
        })
    }

    fn addresses(&self) -> Arc<FixedAddresses> {
        self.state.memory.directory.addresses()
    }

    fn event(&self, text: &str) {
        tracing::warn!("{text}");
        let (state, text) = (self.state.clone(), text.to_owned());
        tokio::spawn(async move {
            if let Err(failure) = state.note("server", None, text).await {
                tracing::error!(%failure, "noting an event");
            }
        });
    }
}
