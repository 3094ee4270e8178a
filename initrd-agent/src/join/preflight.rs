//! What must hold before a service is started or anybody is asked: each finding with its own remedy.

use super::{
    credentials::{self, Credentials},
    driver::{Node, Way},
    peer::call_failed,
    retry::{Attempt, retry},
};
use nix::sys::statvfs::statvfs;
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
};
use std::{
    net::{IpAddr, UdpSocket},
    path::Path,
};

/// Runs every check on this node.
///
/// # Errors
/// `E-PREFLIGHT`, `E-NO-SPACE` with what to mend.
pub async fn check(node: &Node, credentials: &Credentials) -> Result<()> {
    let address = node.config.address();
    if let Some(warning) = credentials::judge(credentials, address, Timestamp::now_utc())? {
        tracing::warn!("{warning}");
    }
    // "Online" can be a moment too early for a second address.
    retry(node.settings.attempts(), "waiting for the address", async || {
        check_address(address).map_or_else(Attempt::Again, Attempt::Done)
    })
    .await?;
    for folder in [&node.settings.state_dir, &node.settings.data_dir] {
        check_space(folder, node.settings.least_free)?;
    }
    Ok(())
}

/// Finds a member that answers, where one is needed; says what was found.
///
/// # Errors
/// `E-TLS`, `E-CLUSTER-UNREACHABLE` with what to mend.
pub async fn reach(node: &Node) -> Result<String> {
    if node.way == Way::Bootstrap {
        return Ok("certificate, address and disk space are fine".to_owned());
    }
    let what = "reaching the leader";
    let answers = retry(node.settings.attempts(), what, async || {
        node.at_a_member(what, async |url| match node.client.reach(url.peer()).await {
            Ok(()) => Attempt::Done(url.clone()),
            Err(failure) => call_failed(failure),
        })
        .await
    });
    Ok(format!("certificate, address and disk space are fine; {} answers", answers.await?))
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
    fn too_little_space_is_refused_with_the_folder_and_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("not/there/yet");
        assert_eq!(check_space(&absent, 0), Ok(()));
        let failure = check_space(&absent, u64::MAX).unwrap_err();
        assert!(failure.cause.contains("not/there/yet") && failure.cause.contains("MiB free"), "{failure}");
    }
}
