//! What must hold before a service is started or anybody is asked: each finding with its own remedy.

mod clock;
mod ports;

use super::{
    capacity::Capacity,
    credentials::{self, Credentials},
    driver::Node,
};
use host::retry::{Attempt, retry};
use nix::sys::statvfs::statvfs;
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
};
use std::{
    net::{IpAddr, UdpSocket},
    path::Path,
};

/// Runs every check on this node. `floor` is a time that is known to have passed.
///
/// # Errors
/// `E-PREFLIGHT`, `E-NO-SPACE` with what to mend: everything that was found.
pub async fn check(node: &Node, credentials: &Credentials, floor: Option<Timestamp>) -> Result<()> {
    let (settings, address) = (&node.settings, node.config.address());
    let (mut findings, mut warnings) = (Vec::new(), Vec::new());
    let now = Timestamp::now_utc();
    let mut note = |checked: Result<()>| findings.extend(checked.err());
    note(clock::check(now, floor));
    note(credentials::judge(credentials, address, now).map(|warning| warnings.extend(warning)));
    for folder in [&settings.state_dir, &settings.data_dir] {
        note(check_space(folder, settings.least_free));
    }
    warnings.extend(clock::unsynchronised());
    let capacity = Capacity::found()?;
    findings.extend(capacity.missing(settings.least));
    warnings.extend(capacity.small_for(node.config.node_role));
    findings.extend(ports::check(&node.listens_on(), &settings.process));
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if !findings.is_empty() {
        findings.extend(check_address(address).err());
        return Err(together(findings));
    }
    // "Online" can be a moment too early for a second address.
    retry(settings.attempts(), "waiting for the address", async || {
        check_address(address).map_or_else(Attempt::Again, Attempt::Done)
    })
    .await
}

/// One failure of all findings, each with its own remedy.
fn together(mut findings: Vec<Failure>) -> Failure {
    findings.dedup();
    if findings.len() == 1 {
        return findings.remove(0);
    }
    let listed = |text: fn(&Failure) -> &String| {
        let numbered = findings.iter().enumerate().map(|(index, finding)| format!("({}) {}", index + 1, text(finding)));
        numbered.collect::<Vec<_>>().join("; ")
    };
    let cause = format!("checking this node: {} findings: {}", findings.len(), listed(|finding| &finding.cause));
    Failure::new(Code::Preflight, cause).with_remedy(listed(|finding| &finding.remedy))
}

/// A service bound to an address that this node does not have would never be healthy.
fn check_address(address: IpAddr) -> Result<()> {
    let bound = UdpSocket::bind((address, 0));
    bound.map(drop).map_err(|error| {
        Failure::new(Code::Preflight, format!("checking the address {address} of this node: {error}"))
            .with_remedy("correct node_ip or raft_addr, or give this node the address")
    })
}

fn check_space(folder: &Path, least: u64) -> Result<()> {
    // The folder may not be there yet.
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let status = statvfs(existing).or_fail(Code::System, || format!("reading the space of {}", existing.display()))?;
    let free = status.blocks_available().saturating_mul(status.fragment_size());
    if free >= least {
        return Ok(());
    }
    let cause =
        format!("checking the space of {}: {} MiB free, at least {} needed", folder.display(), free >> 20, least >> 20);
    Err(Failure::new(Code::NoSpace, cause).with_remedy("free some space, or move the folder to a larger file system"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_refused() {
        assert_eq!(check_address("127.0.0.1".parse().unwrap()), Ok(()));
        // TEST-NET-1 is nobody's.
        assert!(check_address("192.0.2.1".parse().unwrap()).unwrap_err().cause.contains("192.0.2.1"));
    }

    #[test]
    fn all_findings_are_reported_at_once_each_with_its_remedy() {
        let finding = |cause: &str, remedy: &str| Failure::new(Code::NoSpace, cause).with_remedy(remedy);
        assert_eq!(together(vec![finding("a", "b")]), finding("a", "b"));
        let both = together(vec![finding("disk full", "empty it"), finding("clock wrong", "set it")]);
        assert_eq!(both.code, Code::Preflight);
        assert!(both.cause.ends_with("2 findings: (1) disk full; (2) clock wrong"), "{both}");
        assert_eq!(both.remedy, "(1) empty it; (2) set it");
    }

    #[test]
    fn too_little_space_is_refused_with_the_folder_and_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("not/there/yet");
        assert_eq!(check_space(&absent, 0), Ok(()));
        let failure = check_space(&absent, u64::MAX).unwrap_err();
        assert!(failure.cause.contains("not/there/yet") && failure.cause.contains("MiB free"), "{failure}");
    }
}
