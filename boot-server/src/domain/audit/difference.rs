//! What changed between two values, and no more of it.

use protocol::spec::NodeSpec;
use serde_json::{Map, Value, json};

/// Nobody reads more than this of a change; the spec itself is in the state.
const MOST: usize = 16 << 10;

/// Of each what the other has not, or has otherwise. Lists are compared whole.
pub fn difference(before: &Value, after: &Value) -> (Option<Value>, Option<Value>) {
    match (before, after) {
        _ if before == after => (None, None),
        (Value::Object(before), Value::Object(after)) => {
            let (mut was, mut is) = (Map::new(), Map::new());
            for (key, old) in before {
                let (old, new) = match after.get(key) {
                    Some(new) => difference(old, new),
                    None => (Some(old.clone()), None),
                };
                was.extend(old.map(|old| (key.clone(), old)));
                is.extend(new.map(|new| (key.clone(), new)));
            }
            let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
            is.extend(added.map(|(key, new)| (key.clone(), new.clone())));
            (some(was), some(is))
        }
        _ => (Some(before.clone()), Some(after.clone())),
    }
}

fn some(object: Map<String, Value>) -> Option<Value> {
    (!object.is_empty()).then_some(Value::Object(object))
}

/// What an applied spec changes. Of a secret there is its path, and whether it changed: not even a hash of it, for a short
/// one could be found by that.
pub fn specs(before: Option<&NodeSpec>, after: &NodeSpec) -> (Option<Value>, Option<Value>) {
    let was = before.map_or(json!({}), |before| shown(before, None));
    let (was, is) = difference(&was, &shown(after, before));
    (was.map(within), is.map(within))
}

fn within(value: Value) -> Value {
    let bytes = value.to_string().len();
    if bytes <= MOST { value } else { json!({ "left out": format!("{bytes} bytes") }) }
}

/// The spec with its secrets by path, each with whether it is as in the one before.
fn shown(spec: &NodeSpec, before: Option<&NodeSpec>) -> Value {
    let Ok(Value::Object(mut shown)) = serde_json::to_value(spec) else { return Value::Null };
    let secrets: Map<String, Value> = spec
        .secrets
        .iter()
        .map(|file| {
            let known = before.and_then(|before| before.secrets.iter().find(|old| old.path == file.path));
            let changed = known.is_some_and(|old| old.content != file.content);
            let content = if changed { "(another secret)" } else { "(secret)" };
            (file.path.clone(), json!({ "mode": file.mode, "content": content }))
        })
        .collect();
    shown.remove("secrets");
    if !secrets.is_empty() {
        shown.insert("secrets".to_owned(), Value::Object(secrets));
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(toplevel: &str, secrets: &Value) -> NodeSpec {
        let spec = json!({"name": "n1", "match": {"serial": "S1"},
            "system": {"toplevel": format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{toplevel}"),
                "substituters": [], "trusted_public_keys": []},
            "disks": {"devices": {}}, "secrets": secrets});
        protocol::parse::json("spec", spec.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_what_changed_of_a_spec_is_told_and_nothing_of_a_secret_but_that_it_did() {
        let file = |content: &str| json!({"path": "/etc/nixos/secrets/x", "mode": "0400", "content": content});
        let (old, new) = (spec("old", &json!([file("hunter2")])), spec("new", &json!([file("correct horse")])));
        let (before, after) = specs(Some(&old), &new);
        let (before, after) = (before.unwrap(), after.unwrap());
        assert_eq!(before["system"]["toplevel"], "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-old");
        assert_eq!(after["system"]["toplevel"], "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-new");
        assert_eq!(after["secrets"]["/etc/nixos/secrets/x"], json!({"content": "(another secret)"}));
        assert!(after.get("match").is_none() && after["system"].get("substituters").is_none());
        let (before, first) = specs(None, &old);
        let first = first.unwrap();
        assert_eq!((before, first["match"]["serial"].as_str()), (None, Some("S1")));
        let all = format!("{before:?} {after} {first}", before = specs(Some(&new), &old));
        assert!(!all.contains("hunter2") && !all.contains("correct horse"), "{all}");
        assert_eq!(specs(Some(&old), &old), (None, None));
    }

    #[test]
    fn what_nobody_could_read_is_left_out() {
        let mut long = spec("long", &json!([]));
        long.disks.devices = json!({ "disk": "x".repeat(MOST) });
        let (_, after) = specs(None, &long);
        assert!(after.unwrap()["left out"].as_str().unwrap().ends_with("bytes"));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3i64).prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_difference_is_there_where_there_is_one_and_says_the_same_backwards(one in value(), other in value()) {
            let (was, is) = difference(&one, &other);
            prop_assert_eq!(was.is_none() && is.is_none(), one == other);
            prop_assert_eq!(difference(&other, &one), (is, was));
        }
    }
}
