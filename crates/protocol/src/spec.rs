//! NodeSpec: what an operator wants of a node.

pub use crate::selector::Selector;
use crate::{
    boot_trust::BootTrust,
    cluster::ClusterConfig,
    content::Content,
    encoding::Sha256,
    names::{Mac, NodeName, StorePath},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One node, as JSON or TOML. Unknown keys are refused with their path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// The node's name; also the CN of its certificate.
    pub name: NodeName,
    /// Which machine this is.
    #[serde(rename = "match")]
    pub matches: Match,
    /// The boot image and role.
    #[serde(default = "default_profile")]
    pub profile: NodeName,
    /// Defaults to `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The NixOS system to install.
    pub system: System,
    /// The disks.
    pub disks: Disks,
    /// Files to write onto the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
    /// Files that only this node may fetch; never in the manifest, a log or the Nix store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<FileSpec>,
    /// The content of cluster-config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterConfig>,
    /// Boot order.
    #[serde(default)]
    pub boot: Boot,
    /// How this machine may become the node; the server's default where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// What has to be verified of the machine's boot before it gets its secrets; the server's default where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_at_least: Option<BootTrust>,
    /// How the installed system keeps the node's key; the server's default where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_key: Option<NodeKey>,
}

/// How an installed system keeps the node's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKey {
    /// In a file.
    #[default]
    #[serde(rename = "file")]
    File,
    /// In a file that this machine's TPM alone opens.
    #[serde(rename = "tpm")]
    Tpm,
    /// The same, while PCR 7 (Secure Boot and what vouched for what was started) is what it was.
    #[serde(rename = "tpm-pcr7")]
    TpmPcr7,
}

/// The profile of a spec that names none.
pub fn default_profile() -> NodeName {
    // A constant that fits the grammar; the test below holds it to that.
    "vm".parse().unwrap_or_else(|_| unreachable!("a constant label"))
}

/// Which machine a node is: every claim that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Any of these network cards is in the machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<Mac>,
    /// SMBIOS serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SMBIOS UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its TPM: SHA-256 of the public area of the endorsement key. No claim: the machine has to prove it, and is admitted then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ek: Option<Sha256>,
}

impl Match {
    /// Whether these claims are the node's. A match that names nothing matches nobody, and one that names a TPM alone none by
    /// its claims.
    pub fn holds(&self, claims: &crate::claims::Claims) -> bool {
        let named = !self.macs.is_empty() || self.serial.is_some() || self.uuid.is_some();
        let macs = self.macs.is_empty() || self.macs.iter().any(|mac| claims.macs.contains(mac));
        let serial = self.serial.is_none() || self.serial == claims.serial;
        let uuid = self
            .uuid
            .as_ref()
            .is_none_or(|uuid| claims.uuid.as_ref().is_some_and(|claimed| claimed.eq_ignore_ascii_case(uuid)));
        named && macs && serial && uuid
    }

    /// Whether a machine with these claims and this TPM, which it has proven, is the node: one whose other labels are not named
    /// is it by its TPM alone.
    pub fn is_of(&self, claims: &crate::claims::Claims, ek: Option<&Sha256>) -> bool {
        let by_tpm_alone = self.macs.is_empty() && self.serial.is_none() && self.uuid.is_none() && self.ek.is_some();
        if by_tpm_alone { self.ek.as_ref() == ek } else { self.holds(claims) }
    }

    /// Whether one machine may be meant by both: something that it says of itself is in both, and nothing speaks against it.
    pub fn may_be_same(&self, other: &Match) -> bool {
        let text = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()?.eq_ignore_ascii_case(b.as_ref()?));
        let macs = (!self.macs.is_empty() && !other.macs.is_empty())
            .then(|| self.macs.iter().any(|mac| other.macs.contains(mac)));
        let ek = self.ek.zip(other.ek).map(|(a, b)| a == b);
        let said = [text(&self.serial, &other.serial), text(&self.uuid, &other.uuid), macs, ek];
        said.contains(&Some(true)) && !said.contains(&Some(false))
    }

    /// Whether it names no machine at all.
    pub fn names_nothing(&self) -> bool {
        self.macs.is_empty() && self.serial.is_none() && self.uuid.is_none() && self.ek.is_none()
    }
}

/// The system to install and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Store path of the system toplevel.
    pub toplevel: StorePath,
    /// Nix binary caches, tried in this order.
    pub substituters: Vec<String>,
    /// `name:base64`, as in nix.conf.
    pub trusted_public_keys: Vec<String>,
}

/// Layout, disk choice and what may be destroyed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disks {
    /// `config.disko.devices`, evaluated.
    pub devices: serde_json::Value,
    /// Which disk each of the layout's disks is; its `device` where a name is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub select: BTreeMap<String, Selector>,
    /// What may be destroyed, by the layout's disk name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wipe: BTreeMap<String, WipePolicy>,
    /// Hold the plan until an admin has approved it.
    #[serde(default)]
    pub hold: bool,
    /// Mount points of file systems that a reinstallation keeps: they must be there as laid out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// What happens with a disk that says of itself that it fails.
    #[serde(default, skip_serializing_if = "HealthPolicy::is_default")]
    pub health: HealthPolicy,
    /// The layout's hooks (shell commands) may run; without it a layout that has any is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_hooks: bool,
    /// Discard the whole disk before it is partitioned, where it can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard: bool,
}

/// What happens with a disk that says of itself that it fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthPolicy {
    /// It is refused, with the numbers.
    #[default]
    Refuse,
    /// It is used, and the numbers are shown.
    Warn,
}

impl HealthPolicy {
    fn is_default(&self) -> bool {
        *self == HealthPolicy::default()
    }
}

/// What may happen to a disk of the layout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WipePolicy {
    /// Only an empty disk is used, or one that this node's own interrupted installation left.
    #[default]
    Install,
    /// Whatever is on it may be destroyed.
    Wipe,
    /// Its partition table and file systems must be there as laid out: they are mounted and never formatted.
    Keep,
    /// This disk of the layout is left out, as if the layout did not have it.
    Ignore,
}

/// A file on the target.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Absolute path on the target.
    pub path: String,
    /// Octal: `"0600"`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// What is in it.
    pub content: Content,
}

fn default_mode() -> String {
    "0600".to_owned()
}

// A secret must not reach a log through {:?}.
impl std::fmt::Debug for FileSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSpec({:?}, {}, {:?})", self.path, self.mode, self.content)
    }
}

/// Boot loader options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Boot {
    /// UEFI boot order after the installation.
    pub order: BootOrder,
}

/// UEFI boot order after the installation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootOrder {
    /// The network first, the disk right behind it: the boot-server stays in charge.
    #[default]
    NetworkFirst,
    /// The disk first.
    DiskFirst,
}

/// A way for a machine to become a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It shows a one-time token that an admin made for it.
    Token,
    /// Its TPM is one that the server's configuration lists, or of a vendor that it names.
    Tpm,
    /// An admin types the code that the machine shows.
    Approval,
    /// Whoever claims it: only on a network where nobody lies.
    OpenLab,
}

/// The ways for a machine to become a node, in the order in which they are tried; one of them is enough. Written as a list, or as
/// the one word: `"approval"`, `["token", "approval"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Admission(Vec<Way>);

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a way of admission, or a list of them: \"token\", \"tpm\", \"approval\", \"open-lab\"")]
enum Written {
    One(Way),
    Several(Vec<Way>),
}

impl Admission {
    /// The ways, in their order.
    pub fn ways(&self) -> &[Way] {
        &self.0
    }

    /// Whether this way is one of them.
    pub fn allows(&self, way: Way) -> bool {
        self.0.contains(&way)
    }
}

impl From<Way> for Admission {
    fn from(way: Way) -> Self {
        Self(vec![way])
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self(vec![Way::Token, Way::Approval])
    }
}

impl TryFrom<Written> for Admission {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let ways = match written {
            Written::One(way) => vec![way],
            Written::Several(ways) => ways,
        };
        let twice = ways.iter().enumerate().any(|(index, way)| ways[..index].contains(way));
        match (ways.is_empty(), twice) {
            (true, _) => Err("no way of admission is given: nobody could become the node"),
            (_, true) => Err("a way of admission is given twice"),
            _ => Ok(Self(ways)),
        }
    }
}

impl From<Admission> for Written {
    fn from(admission: Admission) -> Self {
        match admission.0[..] {
            [way] => Self::One(way),
            _ => Self::Several(admission.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    #[test]
    fn a_match_that_names_nothing_matches_nobody() {
        assert!(!Match::default().holds(&Claims::default()));
    }

    #[test]
    fn every_claim_that_is_given_must_hold() {
        let mac: Mac = "52:54:00:00:00:01".parse().unwrap();
        let wanted = Match { macs: vec![mac.clone()], serial: Some("S1".into()), ..Match::default() };
        let claims = Claims { uuid: None, serial: Some("S1".into()), macs: vec![mac] };
        assert!(wanted.holds(&claims));
        assert!(!wanted.holds(&Claims { serial: Some("S2".into()), ..claims.clone() }));
        assert!(!wanted.holds(&Claims { macs: vec![], ..claims }));
    }

    #[test]
    fn a_tpm_that_is_named_alone_is_the_node_once_it_is_proven() {
        let (ek, other) = (Sha256::of(b"ek"), Sha256::of(b"other"));
        let alone = Match { ek: Some(ek), ..Match::default() };
        assert!(!alone.names_nothing() && !alone.holds(&Claims::default()));
        assert!(alone.is_of(&Claims::default(), Some(&ek)));
        assert!(!alone.is_of(&Claims::default(), Some(&other)) && !alone.is_of(&Claims::default(), None));
        // Which machine is meant is seen by its labels, where there are any; whether it is admitted is another question.
        let both = Match { serial: Some("S1".into()), ..alone.clone() };
        let labelled = Claims { serial: Some("S1".into()), ..Claims::default() };
        assert!(both.is_of(&labelled, None) && !both.is_of(&Claims::default(), Some(&ek)));
        assert!(both.may_be_same(&alone) && !alone.may_be_same(&Match { ek: Some(other), ..Match::default() }));
    }

    #[test]
    fn two_matches_mean_one_machine_where_they_share_something_and_contradict_in_nothing() {
        let of = |mac: Option<u8>, serial: Option<&str>, uuid: Option<&str>| Match {
            macs: mac.map(|n| format!("52:54:00:00:00:{n:02x}").parse().unwrap()).into_iter().collect(),
            serial: serial.map(str::to_owned),
            uuid: uuid.map(str::to_owned),
            ek: None,
        };
        let one = of(Some(1), Some("S1"), None);
        for (other, same) in [
            (of(None, Some("S1"), None), true),
            (of(Some(1), None, Some("u")), true),
            (of(Some(2), Some("S1"), None), false),
            (of(Some(1), Some("S2"), None), false),
            (of(Some(2), None, None), false),
            (Match::default(), false),
        ] {
            assert_eq!((one.may_be_same(&other), other.may_be_same(&one)), (same, same), "{other:?}");
        }
    }

    #[test]
    fn the_default_profile_is_a_name() {
        assert_eq!(default_profile().as_str(), "vm");
    }

    #[test]
    fn admission_is_a_word_or_an_ordered_list_of_each_way_once() {
        let read = |text: &str| serde_json::from_str::<Admission>(text);
        assert_eq!(read(r#""approval""#).unwrap(), Way::Approval.into());
        let both = read(r#"["approval", "token"]"#).unwrap();
        assert_eq!(both.ways(), [Way::Approval, Way::Token]);
        for wrong in ["[]", r#"["token", "token"]"#, r#""nobody""#, r#"[["token"]]"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for admission in [both, Way::OpenLab.into(), Admission::default()] {
            assert_eq!(read(&serde_json::to_string(&admission).unwrap()).unwrap(), admission);
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let file = FileSpec { path: "/etc/x".into(), mode: "0600".into(), content: "hunter2".into() };
        assert!(!format!("{file:?}").contains("hunter2"));
    }
}
