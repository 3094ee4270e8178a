//! ID tokens, judged: pure (OpenID Connect Core 1.0, section 3.1.3.7).

use super::signature::PROVIDER;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use protocol::Timestamp;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Clocks may differ by so many seconds.
const LEEWAY: i64 = 60;
/// A token is made when it is asked for: one that was made longer ago was meant for something else.
const FRESH: i64 = 600;
/// What a provider calls somebody is no longer (section 2).
const MOST_SUB: usize = 255;

/// What a token is to say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whose word counts.
    pub issuer: &'a str,
    /// For whom it is.
    pub client: &'a str,
    /// For which login it is.
    pub nonce: &'a str,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The key that it names is not among these: the provider may have changed its keys.
    UnknownKey,
    /// It is not to be believed.
    Wrong(&'static str),
}

/// What a token says that is believed.
pub type Claims = Map<String, Value>;

/// What the token says, where one of these keys has signed it, for us, for this login, just now.
pub fn verify(token: &str, keys: &JwkSet, expected: Expected<'_>, now: Timestamp) -> Result<Claims, Refused> {
    // Only the first one in the process is taken, and there is no other.
    let _ = PROVIDER.install_default();
    let header = decode_header(token).map_err(|_| Refused::Wrong("it is no signed token"))?;
    let (key, algorithm) = key_of(keys, header.kid.as_deref(), header.alg)?;
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims = HashSet::new();
    validation.set_issuer(&[expected.issuer]);
    validation.set_audience(&[expected.client]);
    // Its clock is not ours to give: see `holds_now`.
    validation.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &validation).map_err(|error| Refused::Wrong(said(&error)))?.claims;
    is_ours(&claims, expected)?;
    holds_now(&claims, now.unix_timestamp())?;
    Ok(claims)
}

/// The key that the token names, and the one algorithm that it is for: what the token says of that is only compared.
fn key_of(keys: &JwkSet, kid: Option<&str>, claimed: Algorithm) -> Result<(DecodingKey, Algorithm), Refused> {
    if !matches!(claimed, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) {
        return Err(Refused::Wrong("it is signed by none of RS256, ES256 and EdDSA"));
    }
    let fits = |key: &&Jwk| algorithm_of(key) == Some(claimed);
    let mut named = keys.keys.iter().filter(|key| kid.is_none() || key.common.key_id.as_deref() == kid).filter(fits);
    let Some(key) = named.next() else { return Err(Refused::UnknownKey) };
    if kid.is_none() && named.next().is_some() {
        return Err(Refused::Wrong("it names none of the keys that may have signed it"));
    }
    let key = DecodingKey::from_jwk(key).map_err(|_| Refused::Wrong("the key that it names cannot be read"))?;
    Ok((key, claimed))
}

/// The algorithm that a key is for.
fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let algorithm = match &key.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    key.common.key_algorithm.is_none_or(|own| own == algorithm.into()).then_some(algorithm)
}

fn said(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => "its signature does not hold",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another client",
        _ => "it is malformed",
    }
}

fn is_ours(claims: &Claims, expected: Expected<'_>) -> Result<(), Refused> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refused::Wrong("it is of another issuer"));
    }
    let several = match claims.get("aud") {
        Some(Value::String(aud)) if aud == expected.client => false,
        Some(Value::Array(all)) if all.iter().any(|aud| aud == expected.client) => all.len() > 1,
        _ => return Err(Refused::Wrong("it is for another client")),
    };
    match claims.get("azp") {
        None if several => return Err(Refused::Wrong("it is for several clients, and does not say for which")),
        Some(azp) if azp != expected.client => return Err(Refused::Wrong("it was given to another client")),
        _ => {}
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(Refused::Wrong("it is for another login"));
    }
    match text("sub") {
        Some(sub) if !sub.is_empty() && sub.len() <= MOST_SUB && sub.bytes().all(|byte| (32..127).contains(&byte)) => {
            Ok(())
        }
        _ => Err(Refused::Wrong("it does not say for whom it is")),
    }
}

fn holds_now(claims: &Claims, now: i64) -> Result<(), Refused> {
    let time = |name: &str| {
        let time = claims.get(name)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "some providers write fractions; beyond i64 it is cut to its bound"
        )]
        time.as_i64().or_else(|| time.as_f64().filter(|time| time.is_finite()).map(|time| time as i64))
    };
    let (Some(exp), Some(iat)) = (time("exp"), time("iat")) else {
        return Err(Refused::Wrong("it does not say until when it holds"));
    };
    if exp <= now.saturating_sub(LEEWAY) {
        return Err(Refused::Wrong("it has ended: compare the clocks of provider and server"));
    }
    let made = now.saturating_sub(FRESH)..=now.saturating_add(LEEWAY);
    if !made.contains(&iat) || time("nbf").is_some_and(|nbf| nbf > now.saturating_add(LEEWAY)) {
        return Err(Refused::Wrong("it was not made just now: compare the clocks of provider and server"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
