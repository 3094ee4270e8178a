//! The steps of a run, from power-on to ready.

use serde::{Deserialize, Serialize};

/// A named stage of a run (docs/design.md section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Load drivers for what the kernel found.
    Coldplug,
    /// Bring a network card up and get an address.
    Network,
    /// Set the clock from the boot-server.
    Clock,
    /// Read the hardware.
    Inventory,
    /// Prove who this is and get a certificate.
    Enrol,
    /// Get and verify the signed manifest.
    Manifest,
    /// Decide exact disks and actions, or refuse.
    Plan,
    /// Partition, format and mount.
    Disk,
    /// Pull the system closure onto the target.
    Closure,
    /// Write files and secrets.
    Files,
    /// Install the boot loader, set and read back the boot order.
    BootLoader,
    /// Tell the boot-server and reboot.
    Report,
    /// In the installed system: check what a join needs.
    Preflight,
    /// In the installed system: become a member of the cluster.
    Join,
    /// In the installed system: check the cluster and say so.
    Ready,
    /// A step of a newer peer.
    #[serde(other)]
    Unknown,
}

impl Step {
    /// The steps in the order of the way.
    pub const ALL: [Step; 15] = [
        Step::Coldplug,
        Step::Network,
        Step::Clock,
        Step::Inventory,
        Step::Enrol,
        Step::Manifest,
        Step::Plan,
        Step::Disk,
        Step::Closure,
        Step::Files,
        Step::BootLoader,
        Step::Report,
        Step::Preflight,
        Step::Join,
        Step::Ready,
    ];

    /// 1 for the first step, 0 for one that is not known.
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|step| *step == self).map_or(0, |index| index + 1)
    }

    /// The name on the wire and on the console.
    pub fn name(self) -> &'static str {
        match self {
            Step::Coldplug => "coldplug",
            Step::Network => "network",
            Step::Clock => "clock",
            Step::Inventory => "inventory",
            Step::Enrol => "enrol",
            Step::Manifest => "manifest",
            Step::Plan => "plan",
            Step::Disk => "disk",
            Step::Closure => "closure",
            Step::Files => "files",
            Step::BootLoader => "boot-loader",
            Step::Report => "report",
            Step::Preflight => "preflight",
            Step::Join => "join",
            Step::Ready => "ready",
            Step::Unknown => "unknown",
        }
    }

    /// What the step does, for people.
    pub fn title(self) -> &'static str {
        match self {
            Step::Coldplug => "loading drivers",
            Step::Network => "bringing the network up",
            Step::Clock => "setting the clock",
            Step::Inventory => "reading the hardware",
            Step::Enrol => "enrolling",
            Step::Manifest => "getting the manifest",
            Step::Plan => "planning the disks",
            Step::Disk => "partitioning and formatting",
            Step::Closure => "installing the system closure",
            Step::Files => "writing files and secrets",
            Step::BootLoader => "installing the boot loader",
            Step::Report => "reporting",
            Step::Preflight => "checking what the join needs",
            Step::Join => "joining the cluster",
            Step::Ready => "checking the cluster",
            Step::Unknown => "a step of a newer release",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_and_printed_names_agree() {
        for step in Step::ALL {
            assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{}\"", step.name()));
        }
    }

    #[test]
    fn a_step_of_a_newer_peer_is_tolerated() {
        assert_eq!(serde_json::from_str::<Step>("\"defragment\"").unwrap(), Step::Unknown);
    }
}
