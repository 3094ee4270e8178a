//! `boot-server ca rotate`: begin, finish, cancel.

use super::{Dir, address, must_take_notes, note};
use crate::{
    base::{clock::now, health::Health},
    config::Config,
    netboot::http,
    state::{self, State},
    trust::{
        ca::{
            Authority,
            make::{self, Permit},
        },
        folder::{self, NEXT, ROOT_KEY},
        generations,
        rotation::{self, Stage},
    },
};
use protocol::{Code, Failure, failure::Result};
use std::path::Path;

/// Change the root and the manifest key for new ones, with both believed in between
///
/// Said once, it makes the next root, issuing certificate and manifest key beside the current ones: build and deploy images
/// with the new trust.json, and nodes learn the next root by themselves. --finish makes the next ones current when every node
/// has learnt them; said again, it drops what went before when every node has a certificate of the new root. A command that was
/// interrupted goes on when it is said again. Until the next ones are current, --cancel is the way back.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    #[command(flatten)]
    dir: Dir,
    /// Go on: make the next root current, or drop what went before
    #[arg(long, conflicts_with = "cancel")]
    finish: bool,
    /// Drop the next root; nothing has changed then
    #[arg(long)]
    cancel: bool,
    /// Make the next root current, though nodes have not learnt it: they have to be installed again
    #[arg(long, requires = "finish")]
    force: bool,
    /// Drop what went before, though nodes need it: they have to be installed again
    #[arg(long, requires = "finish", conflicts_with = "force")]
    force_drop: bool,
    /// What the next CA may issue for [default: what the current one may]; repeat for more
    #[arg(long, value_name = "NAME|NET", conflicts_with_all = ["finish", "cancel"])]
    permit: Vec<Permit>,
}

/// Runs the verb.
///
/// # Errors
/// `E-WRONG-STATE` with the nodes that are waited for; `E-CONFIG`, `E-SYSTEM`.
pub async fn run(args: Rotate) -> Result<()> {
    let dir = &args.dir.dir;
    must_take_notes(dir).await?;
    let _lock = folder::lock(dir)?;
    match (args.finish, args.cancel) {
        (true, _) => finish(dir, &args).await,
        (_, true) => {
            rotation::cancel(dir, now())?;
            note(dir, "has cancelled the rotation of the root").await?;
            host::say!("The current root stays the only one. Build and deploy images with trust.json as it is now.");
            Ok(())
        }
        (false, false) => {
            let permits = match args.permit.is_empty() {
                true => current_permits(dir)?,
                false => make::with_own(&args.permit, address(dir)?.into()),
            };
            rotation::begin(dir, None, &permits, now())?;
            note(dir, "has begun a rotation of the root and the manifest key").await?;
            tell_begun(dir);
            Ok(())
        }
    }
}

fn current_permits(dir: &Path) -> Result<Vec<Permit>> {
    let authority = Authority::read(&folder::current(dir))?;
    Ok(make::permits_of(&authority.certificates()[0]))
}

/// What is to be done while images and nodes learn.
pub fn tell_begun(dir: &Path) {
    // A company's CA keeps its own key.
    let has_key = dir.join(NEXT).join(ROOT_KEY).exists();
    let keep = if has_key { " Keep next/ca.key off this host, as the one before." } else { "" };
    let dir = dir.display();
    host::say!(
        "The next root and manifest key are made, and believed beside the current ones.\n\n\
         1. image-builder build --trust {dir}/trust.json ..., image-builder deploy --to {dir}/images\n\
         2. boot-server ca show --dir {dir}            (nodes learn them within an hour or two)\n\
         3. boot-server ca rotate --finish --dir {dir} (the next ones are the current ones)\n\
         4. the same again, later                      (what went before is dropped)\n\n\
         The way back until step 3: boot-server ca rotate --cancel.{keep}"
    );
}

async fn finish(dir: &Path, args: &Rotate) -> Result<()> {
    let stage = rotation::stage(dir);
    if stage == Stage::Switched && rotation::is_to_be_completed(dir)? {
        // A switch that was interrupted: said again, the command does not go on to the next step.
        rotation::write_anchors(dir, None, now())?;
        host::say!("The next root is the current one: what was interrupted is done.");
        return Ok(());
    }
    let waits = waits_for(dir, stage).await?;
    // Each step has a word of its own: one that is said again must not force the next step.
    let (forced, word) = match stage {
        Stage::Switched => (args.force_drop, "--force-drop"),
        Stage::Begun | Stage::Settled => (args.force, "--force"),
    };
    if !waits.is_empty() && !forced {
        let cause = format!("finishing the rotation: it waits for {}: {}", waits.len(), some(&waits));
        return Err(Failure::new(Code::WrongState, cause).with_remedy(format!(
            "power the nodes on and wait for their timer (initrd-agent renew on them does it at once); {word} leaves them behind, \
             to be installed again"
        )));
    }
    let now = now();
    match stage {
        Stage::Settled => {
            // What was interrupted when all of it was done but this.
            rotation::write_anchors(dir, None, now)?;
            Err(Failure::new(Code::WrongState, "finishing the rotation: there is none")
                .with_remedy("boot-server ca rotate begins one"))
        }
        Stage::Begun => {
            // As the server would read it.
            Authority::read(&dir.join(NEXT))?;
            rotation::switch(dir, now)?;
            note(dir, "has made the next root and manifest key the current ones").await?;
            host::say!(
                "The next root is the current one; the server takes it within a minute, and nodes get certificates of it by their \
                 timer.\nWhen boot-server ca show waits for none: the same command again, which drops what went before."
            );
            Ok(())
        }
        Stage::Switched => {
            rotation::drop_old(dir, now)?;
            note(dir, "has dropped the root and the manifest key that went before").await?;
            host::say!("What went before is believed no more. Build and deploy images with trust.json as it is now.");
            Ok(())
        }
    }
}

/// Nodes that would be lost by the next step.
///
/// # Errors
/// Those of the state.
pub async fn waits_for(dir: &Path, stage: Stage) -> Result<Vec<String>> {
    if stage == Stage::Settled {
        return Ok(Vec::new());
    }
    let generations = generations::generations(dir)?;
    let state = State::open(&state::path_in(dir), Health::default()).await?;
    let (nodes, beliefs) = (state.nodes().await, state.beliefs().await);
    state.close().await;
    let mut waits = rotation::waits_for(stage, &generations, &nodes?, &beliefs?);
    let images = http::indexes(&Config::load(&dir.join("config.toml"))?.images.dir);
    waits.extend(images.iter().filter(|image| !rotation::is_learnt_by(stage, &generations, image)).map(|image| {
        let profile = &image.profile;
        format!("the image {profile} (build and deploy it anew)")
    }));
    Ok(waits)
}

/// One line of what is to be done.
pub fn what_next(stage: Stage, waits: &[String]) -> String {
    let waiting = || format!("; it waits for {}: {}", waits.len(), some(waits));
    let ready = if waits.is_empty() { "; all nodes and images are ready".to_owned() } else { waiting() };
    match stage {
        Stage::Settled => "no rotation is under way".to_owned(),
        Stage::Begun => format!("a rotation has begun{ready}; then: boot-server ca rotate --finish (back: --cancel)"),
        Stage::Switched => {
            format!("the next root is current{ready}; then: boot-server ca rotate --finish drops the old one")
        }
    }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown} and {} more", names.len() - 10) } else { shown }
}
