//! `boot-server ca`: the root, who issues under it, and the ones to come. These verbs work on the folder of the server.

mod rotate;
mod show;

use super::{must_be_a_server, must_take_notes};
use crate::{
    base::{clock::now, health::Health},
    config::Config,
    domain::audit::{Action, Actor},
    state::{self, State},
    trust::{
        ca::{
            Ca,
            issuers::{self, Imported, Limits},
            make::{self, Permit},
        },
        folder, generations, ipxe, rotation,
    },
};
use host::{certificate::Certificate, file, http::pem};
use protocol::{Failure, failure::Result};
use std::path::{Path, PathBuf};

/// The CA: show, export, renew, rotate, or have a company's CA issue for it
///
/// These verbs work on the folder of the server, on its host. A server that runs takes what they change within a minute.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show every certificate and key of the CA, what images believe, and how far a rotation is
    Show(Show),
    /// Print the roots that members and clients are to trust, PEM
    Export(Export),
    /// Print a signing request for an issuing certificate of a company's CA, PEM; its key waits for ca import
    Csr(Dir),
    /// Take the issuing certificate that a company's CA has made of ca csr
    Import(Import),
    /// Make a new issuing certificate under the same root
    Renew(Renew),
    Rotate(rotate::Rotate),
    Ipxe(Ipxe),
}

/// Make a root of RSA for an iPXE that fetches over HTTPS, and print how that is built
///
/// iPXE before 2.0 reads RSA alone, and so does a client that offers nothing else: it is shown a certificate under this root,
/// everybody else the server's own. Said again, it prints the same. iPXE that was built with a root that was removed boots no more.
#[derive(Debug, clap::Args)]
struct Ipxe {
    #[command(flatten)]
    dir: Dir,
    /// Remove it: iPXE that was built with it boots no more
    #[arg(long)]
    remove: bool,
}

/// Where the server is.
#[derive(Debug, clap::Args)]
struct Dir {
    /// Folder of the server
    #[arg(long, env = "CENTRA_DIR")]
    dir: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    dir: Dir,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    dir: Dir,
    /// Who issues and the root, in place of the roots
    #[arg(long)]
    chain: bool,
    /// The list of revoked certificates (CRL), in place of the roots
    #[arg(long, conflicts_with = "chain")]
    revoked: bool,
}

#[derive(Debug, clap::Args)]
struct Import {
    /// PEM: the issuing certificate, every one between it and the root, and the root
    file: PathBuf,
    #[command(flatten)]
    dir: Dir,
}

#[derive(Debug, clap::Args)]
struct Renew {
    #[command(flatten)]
    dir: Dir,
    /// The root's key, where it is not in the folder; it is read and not kept
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// What it may issue for from now on, in place of what it was; repeat for more
    #[arg(long, value_name = "NAME|NET", conflicts_with = "permit_all")]
    permit: Vec<Permit>,
    /// It may issue for anything from now on
    #[arg(long)]
    permit_all: bool,
}

/// Runs the verb.
///
/// # Errors
/// `E-CONFIG`, `E-INPUT`, `E-WRONG-STATE`, `E-SYSTEM`.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Show(Show { dir: Dir { dir }, json }) => show::run(&dir, json).await,
        Verb::Export(args) => export(&args).await,
        Verb::Csr(Dir { dir }) => csr(&dir),
        Verb::Import(args) => import(&args).await,
        Verb::Renew(args) => renew(&args).await,
        Verb::Rotate(args) => rotate::run(args).await,
        Verb::Ipxe(args) => for_ipxe(&args).await,
    }
}

async fn for_ipxe(args: &Ipxe) -> Result<()> {
    let dir = &args.dir.dir;
    must_take_notes(dir).await?;
    if args.remove {
        match ipxe::remove(dir)? {
            true => {
                note(dir, "has removed the root of iPXE").await?;
                host::say!("The root of iPXE is removed; the server shows nothing of it any more within a minute.");
            }
            false => host::say!("There is none."),
        }
        return Ok(());
    }
    if ipxe::make(dir, now())? {
        note(dir, "has made a root of RSA for iPXE").await?;
        host::say!("Made it; the server shows a certificate under it within a minute, to who reads RSA alone.");
    }
    let (config, root) = (Config::load(&dir.join("config.toml"))?, ipxe::root(dir));
    // iPXE is built elsewhere than here.
    let root = std::path::absolute(&root).unwrap_or(root);
    let (port, root) = (config.https_address().port(), root.display());
    host::say!(
        "\nIn iPXE's src (of 2024 or later), with #define DOWNLOAD_PROTO_HTTPS in config/local/general.h:\n\n    \
         printf '#!ipxe\\ndhcp\\nchain https://{}:{port}/boot/ipxe/boot.ipxe\\n' > boot.ipxe\n    \
         make bin-x86_64-efi/ipxe.efi EMBED=boot.ipxe CERT={root} TRUST={root}",
        config.address
    );
    Ok(())
}

async fn export(args: &Export) -> Result<()> {
    let dir = &args.dir.dir;
    if args.revoked {
        must_be_a_server(dir)?;
        let state = State::open(&state::path_in(dir), Health::default()).await?;
        let revoked = state.revoked_certificates(now()).await;
        state.close().await;
        host::show!("{}", Ca::load(dir)?.authority().revocation_list(&revoked?, now())?);
    } else if args.chain {
        let current = folder::current(dir);
        let authority = crate::trust::ca::Authority::read(&current)?;
        host::show!("{}", pem::encode(authority.chain()));
    } else {
        let roots: Vec<_> = generations::generations(dir)?.into_iter().map(|one| one.root).collect();
        host::show!("{}", pem::encode(&roots));
    }
    Ok(())
}

fn csr(dir: &Path) -> Result<()> {
    let _lock = folder::lock(dir)?;
    host::show!("{}", issuers::request(dir)?);
    folder::give(dir, &dir.join(issuers::REQUEST_KEY))?;
    host::tell!(
        "have a CA certificate issued for it (CA:TRUE, keyCertSign, cRLSign), then: boot-server ca import FILE"
    );
    Ok(())
}

async fn import(args: &Import) -> Result<()> {
    let dir = &args.dir.dir;
    must_take_notes(dir).await?;
    let lock = folder::lock(dir)?;
    match issuers::import(dir, &file::read_text(&args.file)?, now())? {
        Imported::Renewed(issuing) => {
            tell_issuing(dir, &issuing).await?;
        }
        Imported::UnderAnotherRoot(set) => {
            rotation::begin(dir, Some(set), &[], now())?;
            file::remove(&dir.join(issuers::REQUEST_KEY))?;
            note(dir, "has a rotation begun to the root of an imported certificate").await?;
            host::say!("It is under another root than this server's: a rotation to that one has begun.");
            rotate::tell_begun(dir);
        }
    }
    drop(lock);
    Ok(())
}

async fn renew(args: &Renew) -> Result<()> {
    let dir = &args.dir.dir;
    must_take_notes(dir).await?;
    let _lock = folder::lock(dir)?;
    let limits = match (args.permit.is_empty(), args.permit_all) {
        (true, false) => Limits::Same,
        (true, true) => Limits::None,
        (false, _) => Limits::Only(make::with_own(&args.permit, address(dir)?.into())),
    };
    let key = issuers::root_key(dir, args.root_key.as_deref())?;
    let issuing = issuers::renew(dir, &key, limits, now())?;
    tell_issuing(dir, &issuing).await
}

async fn tell_issuing(dir: &Path, issuing: &Certificate) -> Result<()> {
    let (subject, until) = (&issuing.subject, issuing.until.date());
    note(dir, &format!("has another issuing certificate: {subject}, until {until}")).await?;
    host::say!("{subject} issues from now on, until {until}; what the one before it has issued is good until it ends.");
    Ok(())
}

/// The server's own address, which every certificate authority here must permit.
fn address(dir: &Path) -> Result<std::net::Ipv4Addr> {
    Ok(Config::load(&dir.join("config.toml"))?.address)
}

/// Keeps in the history what was done to the folder.
async fn note(dir: &Path, text: &str) -> Result<()> {
    let state = State::open(&state::path_in(dir), Health::default()).await?;
    let noted = state.note(Actor::folder(), None, Action::CaChanged.says(text)).await;
    state.close().await;
    noted.map_err(|failure: Failure| failure.context("what was to be done is done; noting it"))
}
