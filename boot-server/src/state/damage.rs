//! A database that SQLite cannot read: how that shows, and what brings it back.

use protocol::{Code, Failure};
use std::error::Error;

/// Result codes of SQLite, without what it adds to them: the file is malformed, or is no database.
const DAMAGED: [u32; 2] = [11, 26];
/// What brings it back.
pub(super) const REMEDY: &str = "the file is damaged: stop the server, then boot-server cluster restore --from BACKUP --dir DIR \
     --force, which keeps the damaged file aside";

/// The failure that an error of the database is, by whatever it was found.
pub(super) fn failure(activity: &str, error: &(dyn Error + 'static)) -> Failure {
    let failure = Failure::from_error(Code::System, activity, error);
    let mut next = Some(error);
    while let Some(error) = next {
        if is_damage(error) {
            return failure.with_remedy(REMEDY);
        }
        next = error.source();
    }
    failure
}

fn is_damage(error: &(dyn Error + 'static)) -> bool {
    let database = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    let code = database.and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| DAMAGED.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::health::Health,
        state::{State, path_in},
    };
    use std::path::{Path, PathBuf};

    async fn made() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = path_in(dir.path());
        State::create(&path, Health::default()).await.unwrap().close().await;
        (dir, path)
    }

    async fn opening(path: &Path) -> Failure {
        State::open(path, Health::default()).await.expect_err("it is damaged")
    }

    #[tokio::test]
    async fn a_file_that_is_overwritten_cut_off_or_emptied_is_told_to_be_damaged_and_what_brings_it_back() {
        type Damage = fn(Vec<u8>) -> Vec<u8>;
        let damages: [Damage; 4] = [
            |_| b"garbage".to_vec(),
            |whole| whole[..whole.len() / 2].to_vec(),
            |mut whole| {
                whole[4096..].fill(0xff);
                whole
            },
            |_| Vec::new(),
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let (_dir, path) = made().await;
            let damaged = damage(std::fs::read(&path).unwrap());
            std::fs::write(&path, &damaged).unwrap();
            let failure = opening(&path).await;
            assert_eq!((failure.code, &*failure.remedy), (Code::System, REMEDY), "{number}: {failure}");
            assert!(failure.cause.contains("state.db"), "{number}: {failure}");
            assert_eq!(std::fs::read(&path).unwrap(), damaged, "{number}: it is left as it is");
        }
    }

    #[tokio::test]
    async fn damage_that_shows_while_the_server_runs_is_told_by_whatever_meets_it() {
        let (_dir, path) = made().await;
        let state = State::open(&path, Health::default()).await.unwrap();
        std::fs::write(&path, vec![0xff; 64 << 10]).unwrap();
        let failure = state.note("server", None, "a note").await.expect_err("it is damaged");
        assert_eq!((failure.code, &*failure.remedy), (Code::System, REMEDY), "{failure}");
    }

    #[tokio::test]
    async fn what_is_no_damage_keeps_its_own_remedy() {
        let (_dir, path) = made().await;
        let state = State::open(&path, Health::default()).await.unwrap();
        let error = sqlx::query("SELECT 1 FROM nowhere").execute(&state.writer).await.unwrap_err();
        assert_ne!(failure("looking", &error).remedy, REMEDY);
    }
}
