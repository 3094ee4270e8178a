//! Every failure an operator can meet: a stable code, one line of cause, one line of remedy.

use serde::{Deserialize, Serialize};
use std::{fmt, io};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident, $code:literal, $remedy:literal;)*) => {
        /// Stable error codes, the same on every console, page, command line and API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, for the documentation and its test.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it is printed, such as `E-DISK-AMBIGUOUS`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// What the operator should do about it when the failure says nothing more precise.
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$variant => $remedy,)* }
            }

            fn parse(text: &str) -> Option<Code> {
                match text { $($code => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// A bug of ours, or a code that a newer peer sent.
    Internal, "E-INTERNAL", "report this with the log of the run";
    /// An operating system call failed where none of the codes below fits.
    System, "E-SYSTEM", "read the cause; the log of the run has the circumstances";
    /// A command line or a file of configuration is wrong.
    Config, "E-CONFIG", "correct the key that is named and try again";
    /// JSON or TOML that does not fit its type.
    Input, "E-INPUT", "correct the key that is named, or leave it out, and try again";
    /// No network card came up, or none got an address.
    Network, "E-NETWORK", "check the cable, the switch port (spanning tree) and the DHCP server of this segment";
    /// The address of the boot-server is not known.
    NoServer, "E-NO-SERVER", "pass centra.server=URL on the kernel command line or DHCP option 224";
    /// The boot-server did not answer, or answered 5xx.
    ServerUnreachable, "E-SERVER-UNREACHABLE", "check that boot-server runs and that its HTTPS port can be reached from this segment";
    /// The boot-server has no room or no time for more of this source now.
    Busy, "E-BUSY", "nothing to do: it is tried again; where it lasts, something at this address asks far too much";
    /// The other side's certificate does not lead to the pinned CA.
    Tls, "E-TLS", "the server's CA is not the one this image was built for: rebuild the image with the server's trust.json";
    /// The boot-server answered with something this agent does not understand.
    Protocol, "E-PROTOCOL", "run an agent and a boot-server of the same release";
    /// The trust anchors in the initrd are missing or cannot be read.
    TrustAnchors, "E-TRUST-ANCHORS", "rebuild the image with image-builder build --trust DIR/trust.json";
    /// The enrolment waits for an admin.
    EnrolPending, "E-ENROL-PENDING", "compare the code on the console and run boot-server approve CODE";
    /// An admin rejected this machine.
    EnrolRejected, "E-ENROL-REJECTED", "an admin rejected this machine; power it off or approve it on the server";
    /// The claims belong to a node that has another key.
    EnrolConflict, "E-ENROL-CONFLICT", "an admin decides which machine is the node: boot-server cluster replace NAME where this one is to be it from now on, else boot-server reject MACHINE";
    /// The session or certificate is not known or no longer valid.
    EnrolUnknown, "E-ENROL-UNKNOWN", "the machine enrols again by itself; if it does not, power-cycle it";
    /// A TPM did not do as it should, or what it says does not hold.
    Tpm, "E-TPM", "look whether the firmware has a TPM 2.0 switched on; without one, an admin admits the machine by its code";
    /// What was verified of the machine's boot is less than its secrets need.
    BootTrust, "E-BOOT-TRUST", "switch on in the firmware what is named, or apply the spec with less in secrets_at_least";
    /// The OIDC provider did not answer, or what it said does not hold.
    Oidc, "E-OIDC", "try again; log in with a token until then, and compare [oidc] of config.toml with the provider";
    /// The caller may not do this.
    Forbidden, "E-FORBIDDEN", "use a token or certificate that is allowed to do this";
    /// An entry of the audit was changed, left out or put in between.
    AuditBroken, "E-AUDIT-BROKEN", "somebody has written into the database: keep a copy of it, compare with an earlier export or backup, and change the tokens and keys of the server";
    /// The thing named does not exist.
    NotFound, "E-NOT-FOUND", "list what exists with boot-server get nodes";
    /// The state of the node does not allow this.
    WrongState, "E-WRONG-STATE", "look at the state with boot-server describe node NAME";
    /// There is no NodeSpec for this machine.
    NoSpec, "E-NO-SPEC", "apply a NodeSpec that matches this machine: boot-server apply -f FILE";
    /// The manifest's signature, key, expiry, nonce or generation is wrong.
    ManifestRefused, "E-MANIFEST-REFUSED", "the manifest was not made for this machine and this run; check the server's manifest key against the image's trust.json";
    /// This generation has been installed already.
    GenerationUsed, "E-GENERATION-USED", "start a new generation: boot-server reinstall NAME --yes";
    /// Too many runs of this generation have failed.
    Quarantine, "E-QUARANTINE", "read the failures with boot-server describe node NAME, mend the cause, then apply the corrected spec or run boot-server reinstall NAME --yes";
    /// The layout is not one the agent can make.
    Layout, "E-LAYOUT", "correct the key of disko.devices that is named";
    /// A disk selector matches nothing.
    DiskNotFound, "E-DISK-NOT-FOUND", "correct the selector to match one disk of the table";
    /// A disk selector matches several disks.
    DiskAmbiguous, "E-DISK-AMBIGUOUS", "narrow the selector until it matches one disk of the table (serial or wwn are exact)";
    /// A disk carries something that the wipe policy does not name.
    DiskForeign, "E-DISK-FOREIGN", "set the wipe policy of this disk to wipe if its content may be destroyed";
    /// A disk cannot be used: read-only, removable, mounted, held, without a medium, too small.
    DiskUnfit, "E-DISK-UNFIT", "choose another disk of the table";
    /// A disk says of itself that it fails, or does not read back what was written.
    DiskFailing, "E-DISK-FAILING", "replace the disk, or set disks.health = \"warn\" in the spec to use it all the same";
    /// Something of what stood on a disk is still there, or still active, after it was wiped.
    DiskNotClean, "E-DISK-NOT-CLEAN", "wipe by hand what is named (wipefs, mdadm --stop, dmsetup remove), or power-cycle the machine";
    /// The key of an encrypted device is not there.
    DiskKey, "E-DISK-KEY", "give the file in the spec's secrets, with the path that the layout names (on the command line: put it there)";
    /// Reading or writing a disk failed.
    DiskIo, "E-DISK-IO", "check the disk's health and cabling; replace it if this repeats";
    /// A tool such as mkfs failed.
    Tool, "E-TOOL", "the end of the tool's output is in the cause";
    /// The tools that a layout needs are not to be had.
    Tools, "E-TOOLS", "install the tools' packages where the image is built, build and deploy it again; for the disk command, install them on this machine";
    /// No configured cache has the store path, or a cache lacks what the path refers to.
    ClosureMissing, "E-CLOSURE-MISSING", "push the closure to the cache: nix copy --to URL PATH";
    /// A narinfo has no signature of a trusted key.
    ClosureSignature, "E-CLOSURE-SIGNATURE", "sign the paths with a trusted key, or add the key to the spec";
    /// A narinfo or NAR is not what it says it is.
    ClosureCorrupt, "E-CLOSURE-CORRUPT", "the cache serves damaged or false data: verify it and push the path again";
    /// A cache did not answer, or broke off.
    CacheUnreachable, "E-CACHE-UNREACHABLE", "check the cache's address and that it runs";
    /// The target has no room.
    NoSpace, "E-NO-SPACE", "use a larger disk or partition, or a smaller closure; where df shows room, the inodes are used up (df -i)";
    /// The closure's own boot loader installation failed.
    BootLoader, "E-BOOT-LOADER", "read the end of switch-to-configuration's output in the cause; the closure's boot loader settings must suit this firmware";
    /// The UEFI boot order could not be written or does not read back.
    BootOrder, "E-BOOT-ORDER", "check in the firmware's set-up that boot entries are writable";
    /// A kernel image, initrd or module is missing or does not fit.
    Image, "E-IMAGE", "check the paths given to image-builder";
    /// The cluster cannot be reached or refused.
    ClusterUnreachable, "E-CLUSTER-UNREACHABLE", "check the leader's address, its port and the network between";
    /// A member could not be added or promoted.
    ClusterJoin, "E-CLUSTER-JOIN", "look at the members and their health on the leader";
    /// A service of the cluster would lose its quorum.
    Quorum, "E-QUORUM", "bring members back first (boot-server cluster health); --force does it all the same, and may stop the service";
    /// The members of a service are more than one cluster.
    ClusterSplit, "E-CLUSTER-SPLIT", "find out which of them holds the data that counts before anything is stopped, removed or wiped; see two clusters of one name in the guide to disaster recovery";
    /// The data folder on this node belongs to another cluster, or to a member that was removed.
    ClusterLeftover, "E-CLUSTER-LEFTOVER", "make sure nothing in it is needed, stop the service, empty the data folder that is named, then restart the join unit";
    /// The service on this node did not become healthy.
    ServiceUnhealthy, "E-SERVICE-UNHEALTHY", "read the service's journal: journalctl -u SERVICE";
    /// A check before joining failed.
    Preflight, "E-PREFLIGHT", "mend what is named, then: systemctl restart the join unit";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Code::parse(&text).unwrap_or(Code::Internal))
    }
}

/// A failure with its code, cause and remedy.
///
/// `cause` names the activity and its object, then the chain below it: `opening /dev/sda: Permission
/// denied`. It is printed once, at the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code.
    pub code: Code,
    /// One line (a table of disks may follow): what was done to what, and why it failed.
    pub cause: String,
    /// One line: what the operator should do.
    pub remedy: String,
}

/// The result of everything that can fail in front of an operator.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with the remedy that belongs to its code.
    pub fn new(code: Code, cause: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), remedy: code.remedy().to_owned() }
    }

    /// A failure from an error: `activity` is activity and object, the error's chain follows.
    pub fn from_error(code: Code, activity: impl fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        let failure = Self::new(code, format!("{activity}: {}", chain(error)));
        // The remedies of these codes speak of what is in a file or of the circumstances.
        let is_general = matches!(code, Code::Config | Code::Input | Code::System | Code::TrustAnchors | Code::Layout);
        match error.downcast_ref::<io::Error>().and_then(|error| remedy_of(error.kind())).filter(|_| is_general) {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        }
    }

    /// Replaces the remedy by a more precise one.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Puts the activity around this failure in front of its cause.
    #[must_use]
    pub fn context(mut self, activity: impl fmt::Display) -> Self {
        self.cause = format!("{activity}: {}", self.cause);
        self
    }
}

/// What to do about an error of the operating system, where it says enough.
fn remedy_of(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::NotFound => "check the path: there is nothing there",
        io::ErrorKind::AlreadyExists => "something is there already: name another path, or move that one away",
        io::ErrorKind::PermissionDenied => "check who may do this (owner and mode; ports below 1024 need root)",
        io::ErrorKind::IsADirectory => "name a file: this is a folder",
        io::ErrorKind::NotADirectory => "name a folder: this is a file",
        io::ErrorKind::AddrInUse => "another program has this address and port: ss -lntup shows which one",
        io::ErrorKind::AddrNotAvailable => "this host does not have this address: compare with ip addr",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on this disk",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: dmesg says why",
        io::ErrorKind::InvalidData => "the file is no text in UTF-8",
        _ => return None,
    })
}

/// The error and its sources, outermost first, without repeating a source that is already shown.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let shown = source.to_string();
        if !text.contains(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        next = source.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.cause)
    }
}

impl std::error::Error for Failure {}

/// Turns an error into a [`Failure`] with a code and the activity that failed.
pub trait OrFail<T> {
    /// `activity` is activity and object: `"opening /dev/sda"`.
    ///
    /// # Errors
    /// The failure made from the error, where there is one.
    fn or_fail<A: fmt::Display>(self, code: Code, activity: impl FnOnce() -> A) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<A: fmt::Display>(self, code: Code, activity: impl FnOnce() -> A) -> Result<T> {
        self.map_err(|error| Failure::from_error(code, activity(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_survive_the_wire() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        }
    }

    #[test]
    fn the_documentation_lists_every_code_with_its_remedy() {
        let documented = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            let remedy = format!("| {} |", code.remedy());
            let line = documented.lines().find(|line| line.starts_with(&format!("| `{code}` |")));
            assert!(line.is_some_and(|line| line.ends_with(&remedy)), "docs/errors.md lacks {code} or its remedy");
        }
    }

    #[test]
    fn a_code_of_a_newer_peer_is_tolerated() {
        assert_eq!(serde_json::from_str::<Code>("\"E-FROM-THE-FUTURE\"").unwrap(), Code::Internal);
    }

    #[test]
    fn an_error_chain_is_printed_once() {
        let io = std::io::Error::other("disk on fire");
        let failure: Result<()> = Err(io).or_fail(Code::DiskIo, || "reading /dev/sda");
        assert_eq!(failure.unwrap_err().to_string(), "E-DISK-IO: reading /dev/sda: disk on fire");
    }

    #[test]
    fn what_to_do_fits_what_the_system_says() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let config = Failure::from_error(Code::Config, "reading x", &missing());
        assert_eq!(config.remedy, "check the path: there is nothing there");
        let disk = Failure::from_error(Code::DiskIo, "reading /dev/sda", &missing());
        assert_eq!(disk.remedy, Code::DiskIo.remedy());
        let other = Failure::from_error(Code::Config, "reading x", &io::Error::other("odd"));
        assert_eq!(other.remedy, Code::Config.remedy());
    }
}
