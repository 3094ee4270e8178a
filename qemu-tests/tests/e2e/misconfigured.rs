//! An installed node whose configuration or certificate will not do: the unit fails at once, with the cause in the journal
//! and on the page.

use crate::install::PATIENCE;
use anyhow::{Context, Result, bail};
use qemu_tests::{
    lab::Lab,
    machine::{BootFrom, Machine},
    node, wait,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;
use std::{fs, path::Path};
use time::{Duration, OffsetDateTime};

/// Breaks the secrets of `node-01` in one way after the other, and leaves them whole and the machine off.
pub fn says_what_is_wrong(lab: &Lab, machine: &mut Machine) -> Result<()> {
    let foreign = pair(&foreign_ca()?, Duration::DAY)?;
    let expired = pair(&site_ca(&lab.server.dir)?, Duration::DAY * -1)?;
    for (break_it, cause) in [
        ("sed -i /raft_addr/d cluster-config.json", "raft_addr"),
        (foreign.as_str(), "did not issue"),
        (expired.as_str(), "valid until"),
    ] {
        in_etc_nixos(machine, &format!("cp -a secrets whole; cd secrets; {break_it}"))?;
        fails_with(lab, machine, cause).with_context(|| format!("waiting for {cause:?}"))?;
        machine.cut_power()?;
        in_etc_nixos(machine, "rm -r secrets; mv whole secrets")?;
    }
    Ok(())
}

fn in_etc_nixos(machine: &Machine, script: &str) -> Result<()> {
    machine.disks[0].edit("disk-main-root", &format!("cd etc/nixos; {script}"))
}

fn fails_with(lab: &Lab, machine: &mut Machine, cause: &str) -> Result<()> {
    machine.power_on(&lab.network, BootFrom::Menu)?;
    machine.wait_console(&[cause], PATIENCE)?;
    lab.server.wait_state(&lab.network, "node-01", "failed", PATIENCE)?;
    let shown = || lab.server.ask(&lab.network, &["describe", "node", "node-01"]);
    let on_page = wait::until("the page to say what is wrong", PATIENCE, || Ok(shown()?.contains(cause).then_some(())));
    on_page.or_else(|error| bail!("{error:#}:\n{}", shown()?))
}

/// A CA that is not the cluster's.
fn foreign_ca() -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    Ok(Issuer::new(params, KeyPair::generate()?))
}

fn site_ca(dir: &Path) -> Result<Issuer<'static, KeyPair>> {
    let read = |name: &str| fs::read_to_string(dir.join(name)).with_context(|| format!("reading {name}"));
    let key = KeyPair::from_pem(&read("ca.key")?).context("reading the CA's key")?;
    Issuer::from_ca_cert_pem(&read("ca.crt")?, key).context("reading the CA")
}

/// A script that gives the node a certificate which ends so long after now.
fn pair(issuer: &Issuer<'_, KeyPair>, ends_in: Duration) -> Result<String> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["node-01".to_owned(), node::address("node-01")])?;
    let end = OffsetDateTime::now_utc() + ends_in;
    (params.not_before, params.not_after) = (end - Duration::DAY * 2, end);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer)?.pem();
    // The pair of the installation stays: by it the node still speaks to the boot-server.
    let wrong = |end: &str| format!("/etc/nixos/secrets/wrong.{end}");
    let tls = json!({
        "ca_cert_path": "/etc/nixos/secrets/ca.crt", "node_cert_path": wrong("crt"), "node_key_path": wrong("key"),
    });
    let key = key.serialize_pem();
    Ok(format!(
        "echo '{certificate}' >wrong.crt; echo '{key}' >wrong.key; sed -i 's|^{{|{{\"tls\": {tls},|' cluster-config.json"
    ))
}
