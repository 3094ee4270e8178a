//! The operator's hooks: power, drain. No machine is powered by this server itself.

use super::{Operations, Teller};
use crate::{
    domain::audit::{Action, Actor},
    state::nodes::Node,
};
use host::command::hook;
use protocol::{Code, Failure, failure::Result, names::NodeName, operations::Power};

fn by_hand(power: Power) -> &'static str {
    match power {
        Power::On => "power it on by hand",
        Power::Off => "power it off by hand",
        Power::Cycle => "power-cycle it by hand",
        Power::NetworkBoot => "power-cycle it by hand and let it boot from the network",
    }
}

impl Operations {
    /// Has the machine of a node powered by the hook: an operator's verb of its own.
    ///
    /// # Errors
    /// `E-CONFIG` where no hook is configured; `E-TOOL` of the hook.
    pub async fn power(&self, name: &NodeName, power: Power, actor: &Actor, teller: &Teller) -> Result<()> {
        let node = self.state.known_node(name).await?;
        if self.hooks.power.command.is_none() {
            let cause = format!("powering node {name}: no power hook is configured");
            let remedy =
                format!("set [power] command in config.toml and restart boot-server serve, or {}", by_hand(power));
            return Err(Failure::new(Code::Config, cause).with_remedy(remedy));
        }
        self.powered(power, &node, actor, teller).await
    }

    /// Has the machine powered, or tells the operator to do it.
    pub(super) async fn powered(&self, power: Power, node: &Node, actor: &Actor, teller: &Teller) -> Result<()> {
        let Some(hook) = &self.hooks.power.command else {
            teller.tell(format!("no power hook is configured ([power] command): {}", by_hand(power)));
            return Ok(());
        };
        let arguments = [power.name(), node.name.as_str()];
        let said = hook::run(hook, &arguments, &facts(node), self.hooks.power.timeout()).await?;
        self.note_hook(Action::Power, &format!("power hook {}", power.name()), &said, node, actor).await?;
        teller.tell(format!("power hook: {}", power.name()));
        Ok(())
    }

    /// Has the node drained, where there is a hook for it.
    pub(super) async fn drain(&self, node: &Node, actor: &Actor, teller: &Teller) -> Result<()> {
        let Some(hook) = &self.hooks.drain else {
            teller.tell("no drain hook is configured ([cluster] drain): nothing is moved away from it");
            return Ok(());
        };
        let said = hook::run(hook, &[node.name.as_str()], &facts(node), self.hooks.drain_timeout).await?;
        self.note_hook(Action::Drain, "drain hook", &said, node, actor).await?;
        teller.tell("drained by the hook");
        Ok(())
    }

    async fn note_hook(&self, action: Action, what: &str, said: &str, node: &Node, actor: &Actor) -> Result<()> {
        let said = without_secrets(said, node);
        let text = if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") };
        self.state.note(actor, Some(&node.name), action.says(text)).await
    }
}

/// What a hook may want to know of the node.
fn facts(node: &Node) -> Vec<(&'static str, String)> {
    let mut facts =
        vec![("CENTRA_NODE", node.name.to_string()), ("CENTRA_GENERATION", node.record.generation.to_string())];
    let Some(spec) = &node.spec else { return facts };
    let macs: Vec<&str> = spec.matches.macs.iter().map(protocol::names::Mac::as_str).collect();
    facts.push(("CENTRA_PROFILE", spec.profile.to_string()));
    facts.push(("CENTRA_MACS", macs.join(" ")));
    facts.extend(spec.matches.serial.clone().map(|serial| ("CENTRA_SERIAL", serial)));
    facts.extend(spec.matches.uuid.clone().map(|uuid| ("CENTRA_UUID", uuid)));
    if let Some(cluster) = &spec.cluster {
        facts.push(("CENTRA_CLUSTER", cluster.cluster_name.clone()));
        facts.push(("CENTRA_NODE_ID", cluster.node_id.clone()));
        facts.push(("CENTRA_NODE_IP", cluster.address().to_string()));
        facts.extend(cluster.node_fqdn.clone().map(|name| ("CENTRA_NODE_FQDN", name)));
        facts.extend(cluster.datacenter.clone().map(|name| ("CENTRA_DATACENTER", name)));
        facts.extend(cluster.rack.clone().map(|name| ("CENTRA_RACK", name)));
    }
    facts
}

/// The last line of what a hook printed, without anything that stands in the node's secrets.
fn without_secrets(said: &str, node: &Node) -> String {
    let mut line: String = said.lines().last().unwrap_or("").chars().take(300).collect();
    let texts = node.spec.iter().flat_map(|spec| &spec.secrets).filter_map(|file| file.content.as_text());
    for secret in texts.flat_map(str::split_whitespace).filter(|secret| secret.len() >= 6) {
        line = line.replace(secret, "(secret)");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_secret_does_not_reach_the_history() {
        let spec = r#"{"name":"n1","match":{"serial":"S1"},"system":{"toplevel":
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":[],"trusted_public_keys":[]},
            "disks":{"devices":{}},"secrets":[{"path":"/etc/nixos/secrets/bmc","content":"user admin\nhunter2hunter2\n"}]}"#;
        let mut node = Node::new("n1".parse().unwrap());
        node.spec = Some(protocol::parse::json("spec", spec.as_bytes()).unwrap());
        assert_eq!(without_secrets("first\nlogged in with hunter2hunter2", &node), "logged in with (secret)");
        assert!(facts(&node).contains(&("CENTRA_SERIAL", "S1".to_owned())));
        assert!(!facts(&node).iter().any(|(_, value)| value.contains("hunter2")));
    }
}
