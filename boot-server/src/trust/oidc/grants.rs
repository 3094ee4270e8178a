//! Who somebody is and how far he may go, by what the provider says of him: pure.

use crate::{
    config::oidc::Oidc,
    state::persons::{Granted, Person},
};
use protocol::{
    text::{cut, one_line},
    tokens::{Scope, Subject},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A name is shown so long.
const MOST_NAME: usize = 64;

/// Whom the claims are about, and what he may: none where nothing that is written down is said of him.
pub fn person(claims: &Map<String, Value>, config: &Oidc) -> Result<Person, Nobody> {
    let (subject, name) = (subject(claims, config), name(claims, config));
    let values: Vec<String> = values(claims, &config.claim)
        .into_iter()
        .filter(|value| config.grants.contains_key(*value))
        .map(str::to_owned)
        .collect();
    match scope(&values, &config.grants) {
        Some(scope) => Ok(Person { subject, name, scope, granted: Granted { claim: config.claim.clone(), values } }),
        None => Err(Nobody { subject, name }),
    }
}

/// Somebody who may nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nobody {
    /// Who he is there.
    pub subject: Subject,
    /// What he is called.
    pub name: String,
}

/// What somebody may who was granted something at his login, by what is written down now.
pub fn still(subject: &Subject, granted: &Granted, config: Option<&Oidc>) -> Option<Scope> {
    let config = config.filter(|config| config.issuer == subject.issuer && config.claim == granted.claim)?;
    scope(&granted.values, &config.grants)
}

/// The widest that one of the values allows.
fn scope(values: &[String], grants: &BTreeMap<String, Scope>) -> Option<Scope> {
    values.iter().filter_map(|value| grants.get(value)).max().copied()
}

/// The values of a claim: a text or a list of texts. An address counts only where the provider has verified it.
fn values<'a>(claims: &'a Map<String, Value>, claim: &str) -> Vec<&'a str> {
    let found = match claim.strip_prefix('/') {
        Some(path) => deeper(claims, path),
        None => claims.get(claim),
    };
    if claim.trim_start_matches('/') == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    match found {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a JSON pointer leads to.
fn deeper<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let found = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    rest.map_or(Some(found), |rest| found.pointer(&format!("/{rest}")))
}

fn subject(claims: &Map<String, Value>, config: &Oidc) -> Subject {
    let sub = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    Subject { issuer: config.issuer.clone(), sub: sub.to_owned() }
}

fn name(claims: &Map<String, Value>, config: &Oidc) -> String {
    let named = [config.person.claim(), "sub"].into_iter().filter_map(|claim| claims.get(claim)?.as_str());
    let named = named.map(str::trim).find(|name| !name.is_empty()).unwrap_or_default();
    cut(one_line(named), MOST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn config(more: &str, grants: &[(&str, &str)]) -> Oidc {
        let grants: String = grants.iter().map(|(value, scope)| format!("{value:?} = {scope:?}\n")).collect();
        toml::from_str(&format!("issuer = 'https://i'\nclient_id = 'c'\n{more}\n[grants]\n{grants}")).unwrap()
    }

    fn of(claims: &Value, config: &Oidc) -> Option<Scope> {
        person(claims.as_object().unwrap(), config).ok().map(|person| person.scope)
    }

    #[test]
    fn the_widest_scope_of_a_person_s_values_counts_and_without_any_there_is_none() {
        let config = config("", &[("look", "view"), ("ops", "operate"), ("root", "admin")]);
        for (groups, scope) in [
            (json!(["look", "ops", "else"]), Some(Scope::Operate)),
            (json!(["look"]), Some(Scope::View)),
            (json!("root"), Some(Scope::Admin)),
            (json!(["ROOT", "root ", "roo", ""]), None),
            (json!([{"root": "root"}, 5, null, ["root"]]), None),
            (json!({"root": true}), None),
            (json!("look root"), None),
            (json!([]), None),
            (Value::Null, None),
        ] {
            assert_eq!(of(&json!({"sub": "s", "groups": groups}), &config), scope, "{groups}");
        }
        assert_eq!(of(&json!({"sub": "s"}), &config), None);
    }

    #[test]
    fn a_claim_may_lie_deeper_and_a_name_with_dots_and_slashes_is_a_name() {
        let deep = config("claim = '/realm_access/roles'", &[("ops", "view")]);
        assert_eq!(of(&json!({"sub": "s", "realm_access": {"roles": ["ops"]}}), &deep), Some(Scope::View));
        assert_eq!(of(&json!({"sub": "s", "realm_access": ["ops"]}), &deep), None);
        let url = config("claim = 'https://example.org/roles'", &[("ops", "view")]);
        assert_eq!(of(&json!({"sub": "s", "https://example.org/roles": "ops"}), &url), Some(Scope::View));
    }

    #[test]
    fn an_address_that_the_provider_has_not_verified_gives_no_scope() {
        for claim in ["email", "/email"] {
            let config = config(&format!("claim = '{claim}'"), &[("a@example.org", "admin")]);
            assert_eq!(of(&json!({"sub": "s", "email": "a@example.org"}), &config), None);
            assert_eq!(of(&json!({"sub": "s", "email": "a@example.org", "email_verified": "true"}), &config), None);
            assert_eq!(
                of(&json!({"sub": "s", "email": "a@example.org", "email_verified": true}), &config),
                Some(Scope::Admin)
            );
        }
    }

    #[test]
    fn a_name_commands_no_terminal_and_is_cut_and_who_has_none_is_called_by_his_subject() {
        let config = config("", &[("g", "view")]);
        let named = |name: Value| {
            let claims = json!({"sub": "0815", "groups": ["g"], "preferred_username": name});
            person(claims.as_object().unwrap(), &config).unwrap().name
        };
        assert_eq!(named(json!("alice")), "alice");
        assert_eq!(named(json!("a\u{1b}[2J\u{202e}b")), "a\u{fffd}[2J\u{fffd}b");
        assert!(named(json!("ä".repeat(500))).len() <= MOST_NAME);
        for none in [json!(" "), json!(5), Value::Null] {
            assert_eq!(named(none), "0815");
        }
    }

    #[test]
    fn what_is_taken_out_of_the_configuration_is_granted_no_more_and_what_is_changed_is_changed() {
        let subject = Subject { issuer: "https://i".to_owned(), sub: "s".to_owned() };
        let granted = Granted { claim: "groups".to_owned(), values: vec!["ops".to_owned(), "look".to_owned()] };
        let now = |config: Option<&Oidc>| still(&subject, &granted, config);
        assert_eq!(now(Some(&config("", &[("ops", "operate"), ("look", "view")]))), Some(Scope::Operate));
        assert_eq!(now(Some(&config("", &[("ops", "approve")]))), Some(Scope::Approve));
        assert_eq!(now(Some(&config("", &[("other", "admin")]))), None);
        assert_eq!(now(Some(&config("claim = 'roles'", &[("ops", "operate")]))), None);
        assert_eq!(now(None), None);
        let other = Subject { issuer: "https://other".to_owned(), ..subject.clone() };
        assert_eq!(still(&other, &granted, Some(&config("", &[("ops", "operate")]))), None);
    }

    proptest! {
        #[test]
        fn nobody_has_more_than_one_of_his_values_allows(
            groups in prop::collection::vec("[a-e]{1,2}", 0..8),
            grants in prop::collection::btree_map("[a-e]{1,2}", 0_usize..4, 1..6),
        ) {
            let written: Vec<(&str, &str)> =
                grants.iter().map(|(value, scope)| (value.as_str(), Scope::ALL[*scope].name())).collect();
            let scope = of(&json!({"sub": "s", "groups": groups}), &config("", &written));
            let widest = groups.iter().filter_map(|group| grants.get(group)).max().map(|scope| Scope::ALL[*scope]);
            prop_assert_eq!(scope, widest);
        }
    }
}
