//! What a machine boots.

use protocol::names::NodeName;

/// What a machine that asks for its boot script should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// Start the agent, which installs or enrols.
    Install {
        /// Role of the node; also the image, where there is one of that name.
        profile: NodeName,
        /// Name of the node, where it is known.
        hostname: Option<NodeName>,
    },
    /// Go on to the disk.
    LocalDisk,
    /// Ask again later.
    Wait {
        /// One line for the machine's console.
        reason: String,
    },
    /// Let the person at the console choose.
    Menu {
        /// Chosen when nobody does.
        default_profile: NodeName,
        /// Seconds until the default is taken; 0 waits for ever.
        timeout_seconds: u32,
    },
}
