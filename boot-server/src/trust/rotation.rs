//! The root and the manifest key, changed for the next ones.
//!
//! What there is shows how far a rotation is: `next/` has the set to come, `old/` what went before. Each step can be repeated,
//! and whoever repeats the command goes on where it was interrupted.

use super::{
    ca::make::{self, Permit},
    folder::{self, ANCHORS, ISSUING, ISSUING_KEY, MANIFEST_KEY, NEXT, OLD, ROOT, ROOT_KEY, Set},
    generations::{Generation, anchors, generation, generations},
    manifest::ManifestKey,
};
use crate::state::{beliefs::Belief, nodes::Node};
use host::file;
use protocol::{
    Code, Failure, Timestamp,
    admin::NodeState,
    encoding::Sha256,
    failure::{OrFail, Result},
    image::ImageIndex,
    trust::TrustAnchors,
};
use std::path::Path;

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    Settled,
    /// Images and nodes learn the next root and manifest key beside the current ones.
    Begun,
    /// The next ones are the current ones; those before are believed still.
    Switched,
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settled => "none",
            Self::Begun => "begun",
            Self::Switched => "switched",
        }
    }
}

/// Nodes that the next step of a rotation would leave behind. `generations` has the current one first.
pub fn waits_for(stage: Stage, generations: &[Generation], nodes: &[Node], beliefs: &[Belief]) -> Vec<String> {
    let is_ready = |node: &Node| {
        let belief = beliefs.iter().find(|belief| belief.node == node.name && Some(belief.key) == node.key);
        belief.is_some_and(|Belief { believed, .. }| match stage {
            Stage::Settled => true,
            Stage::Begun => generations.iter().all(|one| {
                believed.ca_spki_sha256.contains(&one.spki) && believed.manifest_keys.contains(&one.manifest_key)
            }),
            Stage::Switched => believed.issued_under == generations.first().map(|one| one.spki),
        })
    };
    // A machine that is being installed learns with its installation, and one whose key is revoked learns nothing more.
    let lives =
        |node: &&Node| node.record.used && !matches!(node.record.state, NodeState::Retired | NodeState::Revoked);
    nodes.iter().filter(lives).filter(|node| !is_ready(node)).map(|node| node.name.to_string()).collect()
}

/// Whether machines that boot the image would find a server that has taken the next step.
pub fn is_learnt_by(stage: Stage, generations: &[Generation], image: &ImageIndex) -> bool {
    let pins = &image.ca_spki_sha256;
    match stage {
        // Nobody knows what an image of an earlier release pins.
        _ if pins.is_empty() => true,
        Stage::Settled => true,
        Stage::Begun => generations.iter().all(|one| pins.contains(&one.spki)),
        Stage::Switched => generations.first().is_none_or(|one| pins.contains(&one.spki)),
    }
}

/// How far the rotation of the folder is.
pub fn stage(dir: &Path) -> Stage {
    match (dir.join(NEXT).exists(), dir.join(OLD).exists()) {
        (true, _) => Stage::Begun,
        (false, true) => Stage::Switched,
        (false, false) => Stage::Settled,
    }
}

/// Makes the next set, or takes the one that is given, and has images learn it.
///
/// # Errors
/// `E-WRONG-STATE` where the rotation before it is not finished; `E-SYSTEM`, `E-INTERNAL`.
pub fn begin(dir: &Path, given: Option<Set>, permits: &[Permit], now: Timestamp) -> Result<()> {
    match stage(dir) {
        Stage::Begun if given.is_some() => return Err(wrong("a rotation has begun", "finish or cancel it first")),
        Stage::Begun => {}
        Stage::Switched => return Err(wrong("the one before it is not finished", "boot-server ca rotate --finish")),
        Stage::Settled => {
            let set = match given {
                Some(set) => set,
                None => own(permits, now)?,
            };
            let key = data_encoding::BASE64.encode(&ManifestKey::create()?) + "\n";
            set.with(MANIFEST_KEY, key).write(dir, NEXT)?;
        }
    }
    write_anchors(dir, None, now)
}

fn own(permits: &[Permit], now: Timestamp) -> Result<Set> {
    let (root, root_key) = make::root(now)?;
    let (issuing, issuing_key) = make::issuing(&root, &root_key, permits, now)?;
    let set = Set::default().with(ROOT, root).with(ROOT_KEY, root_key);
    Ok(set.with(ISSUING, issuing).with(ISSUING_KEY, issuing_key))
}

/// Drops what was to come; nothing has used it.
///
/// # Errors
/// `E-WRONG-STATE` where there is nothing to come, or it is the current one already; `E-SYSTEM`.
pub fn cancel(dir: &Path, now: Timestamp) -> Result<()> {
    match stage(dir) {
        Stage::Switched => {
            return Err(wrong(
                "the next root is the current one already",
                "go on: ca rotate --finish; another rotation goes back",
            ));
        }
        Stage::Begun => {
            // Of a switch that was interrupted before it counted.
            folder::remove(dir, OLD)?;
            folder::remove(dir, NEXT)?;
        }
        Stage::Settled => {
            // Images believe what is to come no more as the last step: one that was interrupted before it is done now.
            let before = anchors(dir)?;
            write_anchors(dir, None, now)?;
            if anchors(dir)? == before {
                return Err(wrong("there is none to cancel", "boot-server ca show says how far one is"));
            }
            return Ok(());
        }
    }
    write_anchors(dir, None, now)
}

/// Makes the next set the current one; the one before it is believed still.
///
/// # Errors
/// `E-WRONG-STATE` where there is none; `E-SYSTEM`.
pub fn switch(dir: &Path, now: Timestamp) -> Result<()> {
    if stage(dir) != Stage::Begun {
        return Err(wrong("there is no next root", "boot-server ca rotate makes it"));
    }
    let set = Set::read(&folder::current(dir))?;
    folder::remove(dir, OLD)?;
    set.retired().write(dir, OLD)?;
    folder::place(dir, NEXT)?;
    write_anchors(dir, None, now)
}

/// Whether a switch was interrupted behind the step that counts.
///
/// # Errors
/// `E-CONFIG`.
pub fn is_to_be_completed(dir: &Path) -> Result<bool> {
    let current = generation(&folder::current(dir))?.spki;
    Ok(anchors(dir)?.is_some_and(|anchors| anchors.ca_spki_sha256.first() != Some(&current)))
}

/// Stops believing what went before; it is remembered by its hash.
///
/// # Errors
/// `E-WRONG-STATE` where there is nothing; `E-SYSTEM`.
pub fn drop_old(dir: &Path, now: Timestamp) -> Result<()> {
    if stage(dir) != Stage::Switched {
        return Err(wrong("nothing that went before is believed any more", "boot-server ca show"));
    }
    let retired = generation(&dir.join(OLD))?.spki;
    write_anchors(dir, Some(retired), now)?;
    folder::remove(dir, OLD)?;
    write_anchors(dir, Some(retired), now)
}

/// Writes what images believe: it follows from what there is.
///
/// # Errors
/// `E-CONFIG`, `E-SYSTEM`.
pub fn write_anchors(dir: &Path, retired: Option<Sha256>, now: Timestamp) -> Result<()> {
    let before = anchors(dir)?;
    let generations = generations(dir)?;
    let mut earlier: Vec<Sha256> = before.iter().flat_map(|anchors| anchors.earlier_ca_spki_sha256.clone()).collect();
    earlier.extend(retired.filter(|spki| !earlier.contains(spki)));
    let anchors = TrustAnchors {
        ca_spki_sha256: generations.iter().map(|one| one.spki).collect(),
        manifest_keys: generations.iter().map(|one| one.manifest_key.clone()).collect(),
        earlier_ca_spki_sha256: earlier,
        // A floor for the clock of nodes that have none: no certificate of this server is older.
        build_time: before.map_or(Some(now), |before| before.build_time),
    };
    let text = serde_json::to_string_pretty(&anchors).or_fail(Code::Internal, || format!("writing {ANCHORS}"))? + "\n";
    file::write_atomically(&dir.join(ANCHORS), text.as_bytes(), 0o644)?;
    folder::give(dir, &dir.join(ANCHORS))
}

fn wrong(why: &str, remedy: &str) -> Failure {
    Failure::new(Code::WrongState, format!("rotating the root: {why}")).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::now_utc()
    }

    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let key = data_encoding::BASE64.encode(&ManifestKey::create().unwrap());
        let set = own(&[], now()).unwrap().with(MANIFEST_KEY, key);
        set.place(folder.path()).unwrap();
        write_anchors(folder.path(), None, now()).unwrap();
        folder
    }

    fn pins(dir: &Path) -> Vec<Sha256> {
        let anchors = anchors(dir).unwrap().unwrap();
        assert_eq!(anchors.ca_spki_sha256.len(), anchors.manifest_keys.len());
        anchors.ca_spki_sha256
    }

    #[test]
    fn a_rotation_goes_from_one_root_to_the_next_with_both_believed_in_between() {
        let folder = site();
        let dir = folder.path();
        let first = pins(dir);
        begin(dir, None, &[], now()).unwrap();
        let both = pins(dir);
        assert_eq!((both.len(), both[0], stage(dir)), (2, first[0], Stage::Begun));
        begin(dir, None, &[], now()).unwrap();
        assert_eq!(pins(dir), both, "said again, it is the same rotation");
        switch(dir, now()).unwrap();
        assert_eq!((pins(dir), stage(dir)), (vec![both[1], both[0]], Stage::Switched));
        assert_eq!(begin(dir, None, &[], now()).unwrap_err().code, Code::WrongState);
        assert_eq!(cancel(dir, now()).unwrap_err().code, Code::WrongState);
        drop_old(dir, now()).unwrap();
        assert_eq!((pins(dir), stage(dir)), (vec![both[1]], Stage::Settled));
        assert_eq!(anchors(dir).unwrap().unwrap().earlier_ca_spki_sha256, first);
        assert_eq!(Set::read(dir).unwrap().0.len(), 5);
        assert!(switch(dir, now()).is_err() && drop_old(dir, now()).is_err());
    }

    #[test]
    fn a_rotation_is_cancelled_until_it_is_switched() {
        let folder = site();
        let first = (pins(folder.path()), Set::read(folder.path()).unwrap().0);
        begin(folder.path(), None, &[], now()).unwrap();
        cancel(folder.path(), now()).unwrap();
        assert_eq!(cancel(folder.path(), now()).unwrap_err().code, Code::WrongState, "there is none any more");
        assert_eq!((pins(folder.path()), Set::read(folder.path()).unwrap().0), first);
        // Interrupted before its last step, it is said again.
        begin(folder.path(), None, &[], now()).unwrap();
        folder::remove(folder.path(), NEXT).unwrap();
        assert_eq!(pins(folder.path()).len(), 2);
        cancel(folder.path(), now()).unwrap();
        assert_eq!(pins(folder.path()), first.0);
    }

    #[test]
    fn a_rotation_that_was_interrupted_between_any_two_steps_goes_on_by_the_same_command() {
        // What is on the disk when the power goes, and the command that is said again.
        type Cut = fn(&Path);
        let cuts: [Cut; 4] = [
            |dir| std::fs::create_dir(dir.join("next.partial")).unwrap(),
            |dir| own(&[], now()).unwrap().with(MANIFEST_KEY, new_key()).write(dir, NEXT).unwrap(),
            |dir| {
                begin(dir, None, &[], now()).unwrap();
                Set::read(dir).unwrap().retired().write(dir, OLD).unwrap();
            },
            |dir| {
                begin(dir, None, &[], now()).unwrap();
                Set::read(dir).unwrap().retired().write(dir, OLD).unwrap();
                std::fs::rename(dir.join(NEXT), dir.join("placing")).unwrap();
            },
        ];
        for (number, cut) in cuts.into_iter().enumerate() {
            let folder = site();
            let dir = folder.path();
            let first = pins(dir)[0];
            cut(dir);
            drop(folder::lock(dir).unwrap());
            if stage(dir) != Stage::Switched {
                begin(dir, None, &[], now()).unwrap();
                switch(dir, now()).unwrap();
            }
            write_anchors(dir, None, now()).unwrap();
            let both = pins(dir);
            assert_eq!((both.len(), both[1], stage(dir)), (2, first, Stage::Switched), "cut {number}");
            drop_old(dir, now()).unwrap();
            assert_eq!((pins(dir), Set::read(dir).unwrap().0.len()), (vec![both[0]], 5), "cut {number}");
        }
    }

    fn new_key() -> String {
        data_encoding::BASE64.encode(&ManifestKey::create().unwrap())
    }
}
