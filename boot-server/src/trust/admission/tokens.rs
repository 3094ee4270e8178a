//! One-time tokens for machines: made, listed, revoked by admins.

use super::Admission;
use crate::{
    base::random,
    domain::audit::{Action, Actor},
    state::enrol_tokens,
    trust::tokens::expiry,
};
use protocol::{
    Code, Failure,
    enrol_token::{Bound, EnrolToken, EnrolTokenMade, EnrolTokenRequest, EnrolTokenSummary},
    failure::Result,
};
use serde_json::json;

impl Admission {
    /// Makes a token. Only its hash is kept.
    ///
    /// # Errors
    /// `E-INPUT` for a life that no calendar has or that is over at once, and for a blank serial number; `E-WRONG-STATE` where there are too many.
    pub async fn make_token(&self, request: &EnrolTokenRequest, actor: &Actor) -> Result<EnrolTokenMade> {
        if matches!(&request.bound, Bound::Serial(serial) if serial.trim().is_empty()) {
            let cause = "making a one-time token at bound.serial: it is blank, and no machine has such a serial number";
            return Err(Failure::new(Code::Input, cause)
                .with_remedy("give the serial number of the machine, its card (--mac), or --any"));
        }
        let mut unit = self.state.begin().await?;
        let expires = expiry("a one-time token", request.life_seconds, unit.now())?;
        let token = EnrolToken::new(&random::bytes::<16>()?);
        let id = enrol_tokens::id(&token.hash());
        if !unit.add_enrol_token(&token.hash(), &request.bound, &actor.name, expires).await? {
            let cause = format!("making a one-time token: there are {} already", enrol_tokens::MOST);
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("revoke those that nobody needs: boot-server enrol-token list, revoke"));
        }
        let deed = Action::EnrolTokenMade.says(format!("made the one-time token {id} for {}", request.bound));
        let is = json!({ "id": id, "bound": request.bound, "expires": protocol::to_the_second(expires) });
        unit.note(actor, None, deed.changing(None, is)).await?;
        unit.commit().await?;
        Ok(EnrolTokenMade { id, token, expires })
    }

    /// Every token, used ones included.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn tokens(&self) -> Result<Vec<EnrolTokenSummary>> {
        self.state.enrol_tokens().await
    }

    /// Revokes a token that is not used up.
    ///
    /// # Errors
    /// `E-NOT-FOUND`.
    pub async fn revoke_token(&self, id: &str, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        if unit.remove_enrol_token(id).await? == 0 {
            let cause = format!("revoking the one-time token {id:?}: there is none, or it is used up");
            return Err(Failure::new(Code::NotFound, cause).with_remedy(
                "list them: boot-server enrol-token list; a machine that was admitted goes by boot-server cluster replace or decommission",
            ));
        }
        let deed = Action::EnrolTokenRevoked.says(format!("revoked the one-time token {id}"));
        unit.note(actor, None, deed.changing(json!({ "id": id }), None)).await?;
        unit.commit().await
    }
}
