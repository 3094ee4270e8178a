//! `boot-server secret`: secrets of nodes beside their specs.

use super::{
    client::Target,
    output::{self, align},
};
use host::command;
use protocol::{
    Code,
    calls::{self, Nothing},
    failure::{OrFail, Result},
    names::NodeName,
    secrets::{FOLDER, MOST_BYTES, SecretRequest, SecretSummary, SecretValue},
};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// Secrets of nodes: set, generate, list, delete, rekey
///
/// They go to the node alone, over mTLS, while it is installed, and lie there in /etc/nixos/secrets; the server keeps them sealed. A
/// secret may be set before its node is applied. One that a node has already changes at its next installation.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Set a secret from a file or standard input, text or any other bytes: boot-server secret set node-01 wifi.psk --file psk
    Set(Set),
    /// Have the server draw a secret that nobody sees, such as the key of an encrypted disk
    Generate(Generate),
    /// List the secrets of a node: their paths and where they come from
    List(List),
    /// Delete a secret that is none of the node's spec
    Delete(Delete),
    /// Draw the next key of the secrets and seal all of them with it
    Rekey(Rekey),
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    place: Place,
    /// What is in it; - is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The file is encrypted with age: decrypt it with this identity (needs age)
    #[arg(long, value_name = "FILE", conflicts_with = "sops")]
    age_identity: Option<PathBuf>,
    /// The file is encrypted with sops: decrypt it (needs sops, and the key where sops looks for it)
    #[arg(long)]
    sops: bool,
    /// Of a file of sops, this value alone, such as '["wifi"]["psk"]'
    #[arg(long, value_name = "PATH", requires = "sops")]
    extract: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Generate {
    #[command(flatten)]
    place: Place,
    /// Random bytes; the node gets them in base64, without a newline
    #[arg(long, default_value_t = 64)]
    bytes: u16,
    /// Yes, in the place of the one that is there: a disk that was made with that opens no more
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    target: Target,
}

/// Where a secret lies on its node.
#[derive(Debug, clap::Args)]
struct Place {
    /// Whose
    node: NodeName,
    /// Its name in /etc/nixos/secrets, or the whole path of the key that the node's layout names
    name: String,
    /// Who may read it on the node: its owner alone
    #[arg(long, default_value = "0400")]
    mode: String,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Whose
    node: NodeName,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// Whose
    node: NodeName,
    /// As secret list prints it, or its name in /etc/nixos/secrets
    name: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Rekey {
    #[command(flatten)]
    target: Target,
}

/// Runs the verb.
///
/// # Errors
/// Those of the server; `E-TOOL` of age and sops.
pub async fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Set(args) => {
            let value = SecretValue::Given(content(&args)?.into());
            set(&args.target, args.place, value, false).await
        }
        Verb::Generate(args) => set(&args.target, args.place, SecretValue::Made(args.bytes), args.replace).await,
        Verb::List(List { node, json, target }) => {
            let secrets = target.client()?.call::<calls::ListSecrets>(&[node.as_str()], &Nothing {}).await?;
            host::show!("{}", if json { output::json(&secrets)? } else { table(&secrets) });
            Ok(())
        }
        Verb::Delete(Delete { node, name, target }) => {
            let path = path_of(&name);
            target.client()?.call::<calls::DeleteSecret>(&[node.as_str(), &path], &Nothing {}).await?;
            host::say!("the secret {path} of node {node} is deleted");
            Ok(())
        }
        Verb::Rekey(Rekey { target }) => {
            let sealed = target.client()?.call::<calls::SealAnew>(&[], &Nothing {}).await?;
            host::say!("the secrets of {} nodes are sealed with a new key; take a new backup", sealed.nodes);
            Ok(())
        }
    }
}

async fn set(target: &Target, place: Place, value: SecretValue, replace: bool) -> Result<()> {
    let Place { node, name, mode } = place;
    let request = SecretRequest { path: path_of(&name), mode, value, replace };
    let path = request.path.clone();
    let kept = target.client()?.call::<calls::SetSecret>(&[node.as_str()], &request).await?;
    let replaced = if kept.replaced { "; it has replaced the one before" } else { "" };
    host::say!("node {node} gets {path} at its next installation{replaced}");
    Ok(())
}

fn path_of(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("{FOLDER}{name}") }
}

fn content(args: &Set) -> Result<Vec<u8>> {
    let path = args.file.display().to_string();
    if let Some(identity) = &args.age_identity {
        let identity = identity.display().to_string();
        return decrypted("age", &["--decrypt", "--identity", &identity, "--", &path]);
    }
    if args.sops {
        let extract = args.extract.iter().flat_map(|value| ["--extract", value.as_str()]);
        let arguments: Vec<&str> = ["--decrypt"].into_iter().chain(extract).chain([path.as_str()]).collect();
        return decrypted("sops", &arguments);
    }
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    match args.file == Path::new("-") {
        true => std::io::stdin().take(most).read_to_end(&mut bytes),
        false => std::fs::File::open(&args.file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .or_fail(Code::Config, || format!("reading the secret {path}"))?;
    Ok(bytes)
}

fn decrypted(program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let is_there = std::env::var_os("PATH").is_some_and(|path| command::is_on_path(program, &path));
    command::bytes(program, arguments).map_err(|failure| match is_there {
        true => failure,
        false => failure.with_remedy(format!(
            "install {program} on this machine, or decrypt elsewhere and give what comes out: --file FILE, or --file - on \
             standard input; a file of age takes --age-identity FILE, one of sops --sops"
        )),
    })
}

fn table(secrets: &[SecretSummary]) -> String {
    let rows: Vec<[String; 5]> = secrets
        .iter()
        .map(|secret| {
            let set = secret.set.map_or_else(String::new, protocol::to_the_second);
            let by = secret.by.clone().unwrap_or_default();
            [secret.path.clone(), secret.mode.clone(), secret.origin.to_string(), by, set]
        })
        .collect();
    let mut table = vec![vec!["PATH", "MODE", "FROM", "BY", "SET"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    align(&table)
}
