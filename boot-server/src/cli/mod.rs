//! The command line.

mod admin;
mod audit;
mod ca;
mod certificate;
mod client;
mod closure;
mod cluster;
mod enrol_token;
mod init;
mod logs;
mod output;
mod power;
mod privileges;
mod reject;
mod revoke;
mod secret;
mod serve;
mod specs;
mod token;

use crate::{
    base::span::Span,
    state::{self, State},
    trust::folder::ROOT,
};
use clap::{Parser, Subcommand};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::path::Path;

/// Boots, installs and watches bare machines.
///
/// Set up a folder once (init), run the server from it (serve), say what each machine shall become (apply), and
/// watch (get, describe, logs, wait). The admin's verbs speak HTTPS to the server.
#[derive(Debug, Parser)]
#[command(name = "boot-server", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the folder of a new server: its CA, its keys, its configuration
    Init(init::Args),
    /// Run the server
    Serve(serve::Args),
    Ca(ca::Args),
    /// Issue a certificate for a member of the cluster that this server did not install
    Certificate(certificate::Args),
    /// Say what nodes shall be: a NodeSpec, or several, as JSON or TOML
    Apply(admin::Apply),
    /// List nodes and machines that wait to become one, or machines that were refused
    Get(admin::Get),
    /// Show one node: what it is, how far it is, what happened to it
    Describe(admin::Describe),
    /// Show the events and the log of a node
    Logs(logs::Args),
    /// Admit a machine by the code on its console, or agree to a plan that is held
    Approve(admin::Approve),
    Reject(reject::Args),
    Revoke(revoke::Args),
    /// Open a node's next generation: it is wiped and installed anew at its next network boot
    Reinstall(admin::Reinstall),
    /// Fill, list, check and clean the binary cache
    Closure(closure::Args),
    Cluster(cluster::Args),
    EnrolToken(enrol_token::Args),
    Power(power::Args),
    Secret(secret::Args),
    Token(token::Args),
    Audit(audit::Args),
    /// Wait until a node has come to a state
    Wait(admin::Wait),
}

/// A span of time on the command line.
fn span(text: &str) -> std::result::Result<Span, &'static str> {
    Span::parse(text).ok_or("it is a number with s, m, h or d, such as 90d")
}

/// A server's folder.
fn must_be_a_server(dir: &Path) -> Result<()> {
    if dir.join(ROOT).exists() || state::path_in(dir).exists() {
        return Ok(());
    }
    Err(Failure::new(Code::Config, format!("opening {}: it is no server's folder", dir.display()))
        .with_remedy("name the folder that boot-server init has made"))
}

/// The same, and what is done to it can be noted in it: else nothing is done.
async fn must_take_notes(dir: &Path) -> Result<()> {
    must_be_a_server(dir)?;
    State::check(&state::path_in(dir)).await
}

/// Keys and tokens that are there are not replaced: they may be in use.
fn must_be_new(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::new(Code::Config, format!("writing {}: it is there already", path.display()))
        .with_remedy("name another file or folder: what is there may be in use, and is not replaced"))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().or_fail(Code::System, || "starting the runtime")
}

/// Runs what a verb does on threads of its own.
fn wait(work: impl Future<Output = Result<()>>) -> Result<()> {
    runtime()?.block_on(work)
}

/// Runs the verb.
///
/// # Errors
/// The verb's failure.
pub fn run(cli: Cli) -> Result<()> {
    match cli.verb {
        // The server gives up what it may while there is but one thread.
        Verb::Serve(args) => serve::run(&args),
        Verb::Init(args) => wait(init::run(args)),
        Verb::Ca(args) => wait(ca::run(args)),
        Verb::Certificate(args) => wait(certificate::run(&args)),
        Verb::Apply(args) => wait(admin::apply(args)),
        Verb::Get(args) => wait(admin::get(args)),
        Verb::Describe(args) => wait(admin::describe(args)),
        Verb::Logs(args) => wait(logs::run(args)),
        Verb::Approve(args) => wait(admin::approve(args)),
        Verb::Reject(args) => wait(reject::run(args)),
        Verb::Revoke(args) => wait(revoke::run(args)),
        Verb::Reinstall(args) => wait(admin::reinstall(args)),
        Verb::Closure(args) => wait(closure::run(args)),
        Verb::Cluster(args) => wait(cluster::run(args)),
        Verb::Power(args) => wait(power::run(args)),
        Verb::EnrolToken(args) => wait(enrol_token::run(args)),
        Verb::Audit(args) => wait(audit::run(args)),
        Verb::Secret(args) => wait(secret::run(args)),
        Verb::Token(args) => wait(token::run(args)),
        Verb::Wait(args) => wait(admin::wait(args)),
    }
}
