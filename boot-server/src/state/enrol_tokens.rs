//! One-time tokens that admit a machine, of which only hashes are kept.

use super::{Doing, State, Unit, column, millis, plain, time_of, to_column};
use crate::domain::enrolment::{OneTime, Shown};
use protocol::{
    Timestamp,
    encoding::Sha256,
    enrol_token::{Bound, EnrolTokenSummary},
    failure::Result,
    names::NodeName,
};

/// Tokens that are kept, used ones included.
pub const MOST: i64 = 10_000;

/// What admins call a token: the beginning of its hash.
pub fn id(token: &Sha256) -> String {
    token.hex()[..8].to_owned()
}

/// What is known of the token with this hash, as JSON: of an enrolment's row, that which the machine has shown.
macro_rules! shown_token {
    () => {
        shown_token!("token_sha256")
    };
    ($hash:literal) => {
        concat!(
            "(SELECT json_object('bound', json(bound), 'expires', expires, 'used', used) \
             FROM enrol_tokens WHERE sha256 = ",
            $hash,
            ")"
        )
    };
}
pub(super) use shown_token;

/// Reads [`shown_token`].
pub(super) fn shown(hash: Option<&Sha256>, known: Option<&str>) -> Result<Shown> {
    #[derive(serde::Deserialize)]
    struct Known {
        bound: Bound,
        expires: i64,
        used: Option<i64>,
    }
    let Some(hash) = hash else { return Ok(Shown::Nothing) };
    let Some(known) = known else { return Ok(Shown::Unknown) };
    let Known { bound, expires, used } = column("a one-time token", known)?;
    Ok(Shown::Known(OneTime { id: id(hash), bound, expires: time_of(expires), used: used.is_some() }))
}

#[derive(sqlx::FromRow)]
struct Row {
    sha256: String,
    bound: String,
    made_by: String,
    created: i64,
    expires: i64,
    used: Option<i64>,
    node: Option<String>,
}

impl Row {
    fn summary(self) -> Result<EnrolTokenSummary> {
        Ok(EnrolTokenSummary {
            id: id(&plain("a one-time token", &self.sha256)?),
            bound: column("a one-time token", &self.bound)?,
            made_by: self.made_by,
            created: time_of(self.created),
            expires: time_of(self.expires),
            used: self.used.map(time_of),
            node: self.node.map(|node| plain("a one-time token", &node)).transpose()?,
        })
    }
}

impl State {
    /// What is known of a token that a machine shows.
    pub async fn enrol_token(&self, token: &Sha256) -> Result<Shown> {
        let known: Option<String> = sqlx::query_scalar(concat!("SELECT ", shown_token!("?")))
            .bind(token.hex())
            .fetch_one(&self.readers)
            .await
            .doing("reading a one-time token")?;
        shown(Some(token), known.as_deref())
    }

    /// Every token, the newest first.
    pub async fn enrol_tokens(&self) -> Result<Vec<EnrolTokenSummary>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sha256, bound, made_by, created, expires, used, node FROM enrol_tokens ORDER BY created DESC, sha256",
        )
        .fetch_all(&self.readers)
        .await
        .doing("reading one-time tokens")?;
        rows.into_iter().map(Row::summary).collect()
    }
}

impl Unit {
    /// Keeps a token's hash; `false` where there are too many already.
    pub async fn add_enrol_token(
        &mut self,
        token: &Sha256,
        bound: &Bound,
        made_by: &str,
        expires: Timestamp,
    ) -> Result<bool> {
        let added = sqlx::query(
            "INSERT INTO enrol_tokens (sha256, bound, made_by, created, expires) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE (SELECT count(*) FROM enrol_tokens) < ?6",
        )
        .bind(token.hex())
        .bind(to_column("a one-time token", bound)?)
        .bind(made_by)
        .bind(millis(self.now))
        .bind(millis(expires))
        .bind(MOST)
        .execute(&mut *self.connection)
        .await
        .doing("adding a one-time token")?;
        Ok(added.rows_affected() > 0)
    }

    /// Uses a token up for the node; `false` where somebody else has been faster, or it has ended or was revoked meanwhile.
    pub async fn use_enrol_token(&mut self, token: &Sha256, node: &NodeName) -> Result<bool> {
        let used = sqlx::query(
            "UPDATE enrol_tokens SET used = ?2, node = ?3 WHERE sha256 = ?1 AND used IS NULL AND expires > ?2",
        )
        .bind(token.hex())
        .bind(millis(self.now))
        .bind(node.as_str())
        .execute(&mut *self.connection)
        .await
        .doing("using a one-time token")?;
        Ok(used.rows_affected() > 0)
    }

    /// Forgets the tokens with this id that are not used; how many there were.
    pub async fn remove_enrol_token(&mut self, id: &str) -> Result<u64> {
        self.after.changed = true;
        let removed = sqlx::query("DELETE FROM enrol_tokens WHERE substr(sha256, 1, 8) = ? AND used IS NULL");
        let removed = removed.bind(id).execute(&mut *self.connection).await.doing("revoking a one-time token")?;
        Ok(removed.rows_affected())
    }

    /// What the machine of this enrolment has shown, as it is known now.
    pub async fn shown(&mut self, enrolment: i64) -> Result<Shown> {
        let (token, known): (Option<String>, Option<String>) =
            sqlx::query_as(concat!("SELECT token_sha256, ", shown_token!(), " FROM enrolments WHERE id = ?"))
                .bind(enrolment)
                .fetch_one(&mut *self.connection)
                .await
                .doing("reading a one-time token")?;
        let token = token.map(|token| plain("a one-time token", &token)).transpose()?;
        shown(token.as_ref(), known.as_deref())
    }

    /// The machine has shown another token than in its request.
    pub async fn show_token(&mut self, enrolment: i64, token: &Sha256) -> Result<()> {
        self.after.changed = true;
        self.after.memory.enrolments.push(enrolment);
        sqlx::query("UPDATE enrolments SET token_sha256 = ? WHERE id = ?")
            .bind(token.hex())
            .bind(enrolment)
            .execute(&mut *self.connection)
            .await
            .doing("noting the token of a machine")?;
        Ok(())
    }
}
