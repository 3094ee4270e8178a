//! docs/cluster-config.schema.json and the types say the same.

use crate::{cluster::ClusterConfig, parse};
use proptest::prelude::*;
use regex::Regex;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cluster-config.schema.json");
const FOUNDER: &str = include_str!("../../../nixos/examples/bootstrap-cluster/cluster-config-bootstrap.json");
const JOINER: &str = include_str!("../../../nixos/examples/joining-node/cluster-config-join.json");
const ALONE: &str = include_str!("../../../nixos/examples/all-in-one/cluster-config-all-in-one.json");

fn generated() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    generator.into_root_schema_for::<ClusterConfig>().to_value()
}

fn published() -> Value {
    serde_json::from_str(&fs::read_to_string(FILE).unwrap()).unwrap()
}

fn accepted(value: &Value) -> bool {
    parse::json::<ClusterConfig>("config", value.to_string().as_bytes()).is_ok_and(|config| config.check().is_ok())
}

/// What draft-07 makes of a value, for the keywords that the schema has; another keyword is a failure of the test.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { return schema == &json!(true) };
    keywords.iter().all(|(keyword, argument)| keyword_fits(keyword, argument, keywords, root, value))
}

fn keyword_fits(keyword: &str, argument: &Value, schema: &Map<String, Value>, root: &Value, value: &Value) -> bool {
    let again = |schema: &Value, value: &Value| fits(schema, root, value);
    let all = |list: &Value, test: &dyn Fn(&Value) -> bool| list.as_array().unwrap().iter().all(test);
    let any = |list: &Value, test: &dyn Fn(&Value) -> bool| list.as_array().unwrap().iter().any(test);
    match keyword {
        "$schema" | "title" | "description" | "definitions" | "default" | "then" => true,
        "$ref" => again(root.pointer(argument.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value),
        "type" if argument.is_array() => any(argument, &|one| is_of(one.as_str().unwrap(), value)),
        "type" => is_of(argument.as_str().unwrap(), value),
        "const" => value == argument,
        "enum" => argument.as_array().unwrap().contains(value),
        "anyOf" => any(argument, &|one| again(one, value)),
        "oneOf" => argument.as_array().unwrap().iter().filter(|one| again(one, value)).count() == 1,
        "allOf" => all(argument, &|one| again(one, value)),
        "required" => {
            value.as_object().is_none_or(|object| all(argument, &|key| object.contains_key(key.as_str().unwrap())))
        }
        "properties" => argument
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, schema)| value.get(key).is_none_or(|one| again(schema, one))),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = schema.get("properties").and_then(Value::as_object);
            object
                .iter()
                .filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)))
                .all(|(_, one)| again(argument, one))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|one| again(argument, one))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= argument.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| Regex::new(argument.as_str().unwrap()).unwrap().is_match(text)),
        // An assertion that validators may leave out.
        "format" => true,
        "if" => !again(argument, value) || again(&schema["then"], value),
        other => panic!("the schema has the keyword {other}, which this test does not know"),
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the schema has the type {other}, which this test does not know"),
    }
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&generated()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &text).unwrap();
    }
    let found = fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    assert!(found == text, "run UPDATE_SCHEMA=1 cargo test -p protocol schema, and commit {FILE}");
}

#[test]
fn the_three_examples_fit_schema_and_types() {
    for example in [FOUNDER, JOINER, ALONE] {
        let value: Value = serde_json::from_str(example).unwrap();
        assert!(fits(&published(), &published(), &value) && accepted(&value), "{example}");
    }
}

#[test]
fn what_the_types_refuse_the_schema_refuses() {
    type Change = fn(&mut Value);
    let cases: [Change; 12] = [
        |value| drop(value.as_object_mut().unwrap().remove("cluster_name")),
        |value| drop(value.as_object_mut().unwrap().remove("initial_peers")),
        |value| value["initial_peers"] = json!([]),
        |value| value["initial_peers"] = json!(["a"]),
        |value| value["node_role"] = json!("boss"),
        |value| value["node_id"] = json!("a b"),
        |value| value["bootstrap"] = json!("yes"),
        |value| value["leader_url"] = json!("http://a:1"),
        |value| value["raft_addr"] = json!("node01:2380"),
        |value| value["network"] = json!({"cluster": 5}),
        |value| value["leader"] = json!("x"),
        |value| {
            value["tls"] = json!({"enabled": false, "ca_cert_path": "a", "node_cert_path": "b", "node_key_path": "c"});
        },
    ];
    for (index, change) in cases.iter().enumerate() {
        let mut value: Value = serde_json::from_str(FOUNDER).unwrap();
        change(&mut value);
        assert!(!accepted(&value) && !fits(&published(), &published(), &value), "case {index}: {value}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[a-z0-9.:\\[\\]-]{1,20}",
        "https://[a-z0-9.:\\[\\]]{1,12}/?",
        "10\\.0\\.0\\.[0-9]{1,3}(:[0-9]{1,5})?",
        Just("worker".to_owned()),
        "\\[fd00::[0-9a-f]{1,4}\\]:[0-9]{1,5}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from);
        prop_oneof![list, proptest::collection::btree_map("[a-z]{1,6}", inner, 0..3).prop_map(|map| json!(map))]
    })
}

proptest! {
    #[test]
    fn the_schema_refuses_nothing_that_the_types_accept(founder: bool, index in 0usize..18, change in any_value()) {
        let mut value: Value = serde_json::from_str(if founder { FOUNDER } else { JOINER }).unwrap();
        let schema = published();
        let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        value[keys[index % keys.len()]] = change;
        prop_assert!(!accepted(&value) || fits(&schema, &schema, &value), "{}", value);
    }
}
