//! IAM: no members to join, but an administrator to be created once for the whole cluster.
//!
//! Every founder tries; whoever comes first creates the user, the others hear that it exists. What IAM answers is
//! never shown, since it may repeat what it was sent.

use super::driver::{Call, Driver, Holding, Member, Membership, Node};
use cluster::{
    client::{call_failed, is_passing},
    iam::{Administrator, Iam},
};
use host::file::write_atomically;
use host::retry::{Attempt, retry};
use hyper::StatusCode;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    parse,
    report::JoinOutcome,
};
use serde::Deserialize;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    pin::Pin,
};

/// In the secrets folder: who the administrator is.
const CREDENTIALS: &str = "iam-admin.json";
/// In the secrets folder: the administrator's initial token on this node.
const TOKEN: &str = "iam-token";
/// No file of credentials is larger.
const MAX_CREDENTIALS: u64 = 64 << 10;

/// This node and its IAM.
pub struct SetUp<'a> {
    node: &'a Node,
}

impl<'a> SetUp<'a> {
    /// This node's.
    pub fn new(node: &'a Node) -> Self {
        Self { node }
    }

    fn iam(&self) -> Iam<'a> {
        Iam::new(&self.node.local, self.node.local_url())
    }

    async fn set_up(&self) -> Result<JoinOutcome> {
        let path = self.node.settings.secrets_dir.join(CREDENTIALS);
        let Some(administrator) = credentials(&path)? else {
            // The set-up belongs to those who found the cluster.
            return if self.node.config.bootstrap { Err(missing(&path)) } else { Ok(JoinOutcome::AlreadyMember) };
        };
        let attempts = self.node.settings.attempts();
        let outcome =
            retry(attempts, "creating the administrator", async || self.create_user(&administrator).await).await?;
        retry(attempts, "making the initial token", async || self.create_token(&administrator).await).await?;
        Ok(outcome)
    }

    async fn create_user(&self, administrator: &Administrator) -> Attempt<JoinOutcome> {
        match self.iam().create_user(administrator).await {
            Ok(StatusCode::OK | StatusCode::CREATED) => Attempt::Done(JoinOutcome::Bootstrapped),
            Ok(StatusCode::CONFLICT) => Attempt::Done(JoinOutcome::AlreadyMember),
            Ok(status) => refused("POST /api/users", status),
            Err(failure) => call_failed(failure),
        }
    }

    /// The token is named after the node; it is made once, and kept where only root reads it.
    async fn create_token(&self, administrator: &Administrator) -> Attempt<()> {
        #[derive(Deserialize)]
        struct Made {
            token: String,
        }
        let path = self.node.settings.secrets_dir.join(TOKEN);
        if path.exists() {
            return Attempt::Done(());
        }
        match self.iam().create_token(administrator, &self.node.config.node_id).await {
            Ok((StatusCode::OK | StatusCode::CREATED, body)) => match serde_json::from_slice::<Made>(&body) {
                Ok(Made { token }) => keep_token(&path, &token),
                // Nothing of the error either: it quotes.
                Err(_) => Attempt::Never(Failure::new(Code::Protocol, "POST /api/tokens: the answer has no token")),
            },
            Ok((StatusCode::CONFLICT, _)) => {
                tracing::warn!("a token by the name of this node exists already, and is not in {}", path.display());
                Attempt::Done(())
            }
            Ok((status, _)) => refused("POST /api/tokens", status),
            Err(failure) => call_failed(failure),
        }
    }
}

impl Driver for SetUp<'_> {
    /// What was set up is in IAM's database, which is elsewhere.
    fn holding(&self) -> Call<'_, Holding> {
        Box::pin(async { Ok(Holding::Unknown) })
    }

    fn local_health(&self) -> Call<'_, ()> {
        Box::pin(async { self.iam().health().await.map(drop) })
    }

    /// It starts by itself.
    fn prepare(&self) -> Call<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Nothing was begun.
    fn withdraw(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
    }

    fn join(&self) -> Call<'_, JoinOutcome> {
        Box::pin(self.set_up())
    }

    fn verify(&self) -> Call<'_, Membership> {
        self.check()
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self) -> Call<'_, Membership> {
        Box::pin(async { Ok(Membership { version: self.iam().health().await?.version, ..Membership::default() }) })
    }

    fn members(&self) -> Call<'_, Vec<Member>> {
        Box::pin(async {
            let remedy = "ask for the members of etcd, chainfire or flaredb";
            Err(Failure::new(Code::Config, "listing the members: iam has none").with_remedy(remedy))
        })
    }

    /// There is nothing to be removed from.
    fn leave(&self) -> Call<'_, bool> {
        Box::pin(async { Ok(false) })
    }
}

fn keep_token(path: &Path, token: &str) -> Attempt<()> {
    match write_atomically(path, format!("{token}\n").as_bytes(), 0o600) {
        Ok(()) => {
            tracing::info!("the initial token is in {}", path.display());
            Attempt::Done(())
        }
        Err(failure) => Attempt::Never(failure),
    }
}

fn refused<T>(activity: &str, status: StatusCode) -> Attempt<T> {
    let failure = Failure::new(Code::ClusterJoin, format!("{activity}: {status}"))
        .with_remedy(format!("read IAM's journal; the credentials are in {CREDENTIALS} of the secrets folder"));
    if is_passing(status) { Attempt::Again(failure) } else { Attempt::Never(failure) }
}

/// Reads the file, where it is there.
fn credentials(path: &Path) -> Result<Option<Administrator>> {
    let reading = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.or_fail(Code::Config, reading)?,
    };
    let refused = |why: String, remedy: &str| {
        Err(Failure::new(Code::Config, format!("{}: {why}", reading())).with_remedy(remedy))
    };
    let mode = file.metadata().or_fail(Code::Config, reading)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return refused(format!("its mode is {mode:04o}, others than its owner can read it"), "chmod 0600 the file");
    }
    let mut bytes = Vec::new();
    file.take(MAX_CREDENTIALS + 1).read_to_end(&mut bytes).or_fail(Code::Config, reading)?;
    if bytes.len() as u64 > MAX_CREDENTIALS {
        return refused("it is larger than 64 KiB".to_owned(), "put username and password there, and nothing else");
    }
    // The error may quote what it found: the path of the key is all that is shown.
    let parsed: Result<Administrator> = parse::json("credentials", &bytes);
    match parsed {
        Ok(administrator) if administrator.username.is_empty() || administrator.password.is_empty() => {
            refused("username or password is empty".to_owned(), "fill in both")
        }
        Ok(administrator) => Ok(Some(administrator)),
        Err(_) => refused(
            "it is not an object of username and password".to_owned(),
            r#"write {"username": "...", "password": "..."}, and "email" or "token" where wanted"#,
        ),
    }
}

fn missing(path: &Path) -> Failure {
    Failure::new(Code::Config, format!("reading {}: a founder sets up IAM by it, and it is not there", path.display()))
        .with_remedy("put it among the secrets of the node's spec, mode 0600")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn credentials_are_read_from_a_private_file_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CREDENTIALS);
        assert!(credentials(&path).unwrap().is_none());
        let good = r#"{"username": "root", "password": "hunter2"}"#;
        for (content, mode, part) in [
            (good, 0o640, "0640"),
            (r#"{"username": "root", "password": "hunter2", "more": 1}"#, 0o600, "not an object"),
            (r#"{"username": "root", "password": ["hunter2"]}"#, 0o600, "not an object"),
            (r#"{"username": "", "password": "hunter2"}"#, 0o600, "empty"),
            (&" ".repeat(70_000), 0o600, "64 KiB"),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let failure = credentials(&path).err().unwrap();
            assert_eq!(failure.code, Code::Config);
            assert!(failure.cause.contains(part) && !failure.cause.contains("hunter2"), "{failure}");
        }
        fs::write(&path, good).unwrap();
        assert_eq!(credentials(&path).unwrap().unwrap().username, "root");
    }
}
