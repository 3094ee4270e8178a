//! etcd 3.4 and later: founders start a new cluster, the others come in as learners and are promoted.
//!
//! etcd needs to know before its first start whether it founds or joins, so `etcd.service` waits for the
//! `etcd.env` that is written here.

mod entering;
mod environment;
mod leave;
mod plan;
mod restore;

use super::driver::{self, Call, Driver, Holding, Membership, Node, Way};
use super::holding::{gone, still_holds};
use cluster::etcd;
use environment::Identity;
use host::command;
use host::file::{self, write_atomically};
use host::retry::Attempt;
use plan::Data;
use protocol::{Code, Failure, failure::OrFail, failure::Result, report::JoinOutcome};
pub use restore::is_restored_as;
use std::path::{Path, PathBuf};
use std::{io::ErrorKind, pin::Pin};

/// This node and its etcd.
pub struct Etcd<'a> {
    node: &'a Node,
    us: Identity,
}

impl<'a> Etcd<'a> {
    /// Works out who the node is: a member is who it has started as.
    ///
    /// # Errors
    /// `E-CONFIG` where the configuration does not say.
    pub fn new(node: &'a Node) -> Result<Self> {
        let started_as = || environment::identity(&std::fs::read_to_string(env_file(node)).ok()?);
        let known = if node.entered { started_as() } else { None };
        let us = known.map_or_else(|| plan::identity(&node.config, node.way), Ok)?;
        let token = node.token.clone().unwrap_or_else(|| us.token.clone());
        Ok(Self { node, us: Identity { token, ..us } })
    }

    fn local(&self) -> etcd::Etcd<'a> {
        etcd::Etcd::new(&self.node.local, self.node.local_url())
    }

    fn member(&self, base: &impl ToString) -> etcd::Etcd<'a> {
        etcd::Etcd::new(&self.node.client, base.to_string())
    }

    fn data(&self) -> Result<Data> {
        let folder = self.node.settings.data_dir.join("member");
        if !folder.try_exists().or_fail(Code::System, || format!("looking for {}", folder.display()))? {
            return Ok(Data::None);
        }
        Ok(match (self.is_ours(), has_log(&self.node.settings.data_dir)?) {
            (true, true) => Data::Ours,
            // An etcd that could not start leaves folders and nothing that it would go on with.
            (true, false) => Data::None,
            (false, _) => Data::Foreign,
        })
    }

    fn is_ours(&self) -> bool {
        let written = std::fs::read_to_string(env_file(self.node));
        written.is_ok_and(|text| environment::is_of(&text, &self.us)) || restore::is_restored(self.node)
    }

    /// Whether etcd.env has it as a member that had come in: it does not found anything a second time.
    fn had_settled(&self) -> bool {
        let written = std::fs::read_to_string(env_file(self.node));
        written.is_ok_and(|text| environment::is_of(&text, &self.us) && environment::is_settled(&text))
    }

    fn kept(&self) -> Result<Holding> {
        let data_dir = &self.node.settings.data_dir;
        if has_log(data_dir)? {
            return Ok(Holding::Kept);
        }
        Ok(Holding::Lost(format!("{} has no data of a member", data_dir.display())))
    }

    /// A founder starts on nothing, on what the cluster held before it was lost, or on what an earlier attempt of its own
    /// left.
    fn found(&self) -> Result<()> {
        let begun = self.begin();
        // It is a copy of all that the cluster holds.
        self.node.snapshot.as_ref().map_or(Ok(()), |snapshot| file::remove(snapshot))?;
        begun
    }

    fn begin(&self) -> Result<()> {
        let founders = plan::founders(&self.node.config.initial_peers);
        let leftover = |why: &str| Err(plan::leftover(&self.node.settings.data_dir, why));
        match (self.data()?, &self.node.snapshot) {
            (Data::Foreign, _) => return leftover("etcd.env does not say that it is this founder's"),
            (Data::Ours, Some(_)) if !restore::is_restored_as(self.node, &self.us.token) => {
                return leftover("it was founded before the snapshot that the cluster begins with now");
            }
            (Data::None, Some(_)) if self.node.settings.data_dir.join("member").exists() => {
                return leftover("what an etcd left that could not start");
            }
            (Data::None, Some(snapshot)) => restore::restore(self.node, &self.us, &founders, snapshot)?,
            (Data::None, None) if self.had_settled() => {
                let what = format!("{} says that this node had founded the cluster", env_file(self.node).display());
                let found = format!("{} is empty", self.node.settings.data_dir.display());
                return Err(gone(self.node, &what, &found));
            }
            (Data::None, None) | (Data::Ours, _) => {}
        }
        self.write_env(Way::Bootstrap, &founders)
    }

    fn write_env(&self, way: Way, initial_cluster: &str) -> Result<()> {
        tracing::info!(initial_cluster, "writing {}", env_file(self.node).display());
        let text = environment::render(self.node, &self.us, way, initial_cluster)?;
        write_atomically(&env_file(self.node), text.as_bytes(), 0o644)
    }

    fn start(&self) -> Result<()> {
        let Some((program, arguments)) = self.node.settings.start_command.split_first() else {
            return Ok(());
        };
        command::run(program, arguments).map(drop)
    }
}

impl Driver for Etcd<'_> {
    fn holding(&self) -> Call<'_, Holding> {
        Box::pin(async { self.kept() })
    }

    fn local_health(&self) -> Call<'_, ()> {
        Box::pin(async { self.local().health().await })
    }

    fn prepare(&self) -> Call<'_, ()> {
        Box::pin(async {
            match self.node.way {
                Way::Bootstrap => self.found()?,
                Way::Join => self.announce().await?,
            }
            self.start()
        })
    }

    fn join(&self) -> Call<'_, JoinOutcome> {
        Box::pin(async {
            if self.node.way == Way::Bootstrap {
                return Ok(JoinOutcome::Bootstrapped);
            }
            self.promoted().await
        })
    }

    fn withdraw(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(self.take_back())
    }

    fn verify(&self) -> Call<'_, Membership> {
        self.check()
    }

    /// `existing`: on an emptied folder etcd would found the cluster anew, under the same ids.
    fn settle(&self) -> Result<()> {
        let founders = plan::founders(&self.node.config.initial_peers);
        if self.node.way == Way::Bootstrap { self.write_env(Way::Join, &founders) } else { Ok(()) }
    }

    /// The local member answers `/health` by a read of the whole cluster, which is its quorum.
    fn check(&self) -> Call<'_, Membership> {
        Box::pin(async {
            if self.node.entered {
                still_holds(self.node, self.kept()?)?;
            }
            let local = self.local();
            local.health().await?;
            plan::membership(&local.members().await?, &self.us, &local.status().await?)
        })
    }

    fn members(&self) -> Call<'_, Vec<driver::Member>> {
        Box::pin(self.shown())
    }

    fn leave(&self) -> Call<'_, bool> {
        Box::pin(self.left())
    }
}

/// Whether an etcd has begun there, which goes by its log as etcd itself does.
fn has_log(data_dir: &Path) -> Result<bool> {
    let folder = data_dir.join("member/wal");
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        entries => entries.or_fail(Code::System, || format!("reading {}", folder.display()))?,
    };
    let mut names = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(names.any(|path| path.extension().is_some_and(|suffix| suffix == "wal")))
}

fn env_file(node: &Node) -> PathBuf {
    node.settings.state_dir.join(environment::FILE)
}

/// What is unreachable may come back; a verdict on the list stays.
fn look_failed<T>(failure: Failure) -> Attempt<T> {
    if failure.code == Code::ClusterUnreachable { Attempt::Again(failure) } else { Attempt::Never(failure) }
}
