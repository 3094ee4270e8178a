//! One-time tokens that machines show.

use protocol::{Timestamp, claims::Claims, enrol_token::Bound};

/// What a machine has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Shown {
    /// No token.
    #[default]
    Nothing,
    /// One that this server has not made, or has forgotten.
    Unknown,
    /// One that this server has made.
    Known(OneTime),
}

/// A one-time token as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTime {
    /// What admins call it.
    pub id: String,
    /// Which machine it is for.
    pub bound: Bound,
    /// When it ends.
    pub expires: Timestamp,
    /// It has admitted a machine.
    pub used: bool,
}

impl Shown {
    /// The token, where it admits a machine with these claims now.
    ///
    /// # Errors
    /// Why it does not, to follow `the one that it shows`; `None` where it shows none.
    pub fn good(&self, claims: &Claims, now: Timestamp) -> Result<&OneTime, Option<String>> {
        let token = match self {
            Shown::Nothing => return Err(None),
            Shown::Unknown => return Err(Some("is none of this server's, or was revoked".to_owned())),
            Shown::Known(token) => token,
        };
        let OneTime { id, bound, expires, used } = token;
        let why = if *used {
            format!("({id}) is used up")
        } else if *expires <= now {
            format!("({id}) ended {}", protocol::to_the_second(*expires))
        } else if !bound.holds(claims) {
            format!("({id}) is for {bound}")
        } else {
            return Ok(token);
        };
        Err(Some(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    #[test]
    fn a_token_is_good_once_until_it_ends_for_the_machine_it_is_for() {
        let now = Timestamp::UNIX_EPOCH;
        let mac: protocol::names::Mac = "52:54:00:00:00:01".parse().unwrap();
        let claims = Claims { serial: Some("S1".into()), macs: vec![mac.clone()], uuid: None };
        let token = |bound| OneTime { id: "4f1c".into(), bound, expires: now + Duration::SECOND, used: false };
        for bound in [Bound::Any, Bound::Serial("S1".into()), Bound::Mac(mac)] {
            assert_eq!(Shown::Known(token(bound.clone())).good(&claims, now), Ok(&token(bound)));
        }
        let used = OneTime { used: true, ..token(Bound::Any) };
        let ended = OneTime { expires: now, ..token(Bound::Any) };
        let wrong = [
            (Shown::Unknown, "none of this server's"),
            (Shown::Known(used), "used up"),
            (Shown::Known(ended), "ended 1970-01-01"),
            (Shown::Known(token(Bound::Serial("S2".into()))), "is for serial S2"),
            (Shown::Known(token(Bound::Mac("52:54:00:00:00:02".parse().unwrap()))), "is for the card 52:54"),
        ];
        for (shown, why) in wrong {
            assert!(shown.good(&claims, now).unwrap_err().unwrap().contains(why), "{why}");
        }
        assert_eq!(Shown::Nothing.good(&claims, now), Err(None));
    }
}
