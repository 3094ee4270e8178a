//! `boot-server certificate`: a leaf for a member of the cluster that this server did not install.

use crate::{
    base::{clock::now, health::Health},
    domain::audit::{Action, Actor},
    state::{self, State},
    trust::ca::{self, Ca},
};
use host::{file, http::pem};
use protocol::{
    Code,
    failure::{OrFail, Result},
    names::NodeName,
};
use serde_json::json;
use std::{net::IpAddr, path::PathBuf};

/// Issue a certificate for a member of the cluster that this server did not install
///
/// Writes NAME.crt, NAME.key and ca.crt.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the server
    #[arg(long)]
    dir: PathBuf,
    /// The member's name
    #[arg(long)]
    name: NodeName,
    /// An address that the others reach it by; repeat for more
    #[arg(long, value_name = "IP", required = true)]
    address: Vec<IpAddr>,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days that it is valid
    #[arg(long, default_value_t = ca::MEMBER_LIFE.whole_days(), value_parser = clap::value_parser!(i64).range(1..=ca::LONGEST_OF_MEMBER.whole_days()))]
    days: i64,
}

/// Writes the three files.
pub async fn run(args: &Args) -> Result<()> {
    super::must_take_notes(&args.dir).await?;
    let (out, named) = (&args.out, |end: &str| args.out.join(format!("{}.{end}", args.name)));
    super::must_be_new(&named("key"))?;
    super::must_be_new(&named("crt"))?;
    let ca = Ca::load(&args.dir)?;
    let mut names = vec![args.name.to_string(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(args.address.iter().map(ToString::to_string));
    let (issued, key) =
        ca.authority().issue_with_key(args.name.as_str(), &names, now(), time::Duration::days(args.days))?;
    std::fs::create_dir_all(out).or_fail(Code::System, || format!("making the folder {}", out.display()))?;
    file::write_new(&named("key"), 0o600, key.serialize_pem().as_bytes())?;
    file::write_new(&named("crt"), 0o644, issued.chain_pem.as_bytes())?;
    let ca_file = out.join("ca.crt");
    if !ca_file.exists() {
        file::write_new(&ca_file, 0o644, pem::encode(&ca.roots()).as_bytes())?;
    }
    let state = State::open(&state::path_in(&args.dir), Health::default()).await?;
    let text = format!("made a certificate for {}, until {}", args.name, protocol::to_the_second(issued.not_after));
    let is = json!({ "name": args.name, "addresses": args.address, "serial": issued.serial });
    state.note(Actor::folder(), None, Action::CertificateIssued.says(text).changing(None, is)).await?;
    state.close().await;
    host::say!("Wrote {0}/{1}.crt, {0}/{1}.key and {0}/ca.crt.", out.display(), args.name);
    host::say!("Where somebody else may have the key: boot-server revoke --certificate {} --yes", issued.serial);
    Ok(())
}
