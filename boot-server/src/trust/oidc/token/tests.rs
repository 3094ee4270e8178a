use super::*;
use crate::base::random;
use data_encoding::BASE64URL_NOPAD;
use proptest::{prelude::*, sample::Index};
use ring::{
    hmac,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use std::sync::LazyLock;

const NOW: i64 = 1_800_000_000;
const EXPECTED: Expected<'_> = Expected { issuer: "https://i", client: "centra", nonce: "n-1" };

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// A provider with a key of each kind but RSA, which ring makes none of: `suite::oidc` has those.
struct Keys {
    edwards: Ed25519KeyPair,
    ecdsa: EcdsaKeyPair,
    set: JwkSet,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let random = ring::rand::SystemRandom::new();
    let edwards = Ed25519KeyPair::from_seed_unchecked(&random::bytes::<32>().unwrap()).unwrap();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let point = ecdsa.public_key().as_ref();
    let set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": encode(edwards.public_key())},
        {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": encode(&point[1..33]), "y": encode(&point[33..])},
        {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": encode(edwards.public_key())},
        {"kty": "EC", "crv": "P-256", "kid": "other-alg", "alg": "ES384", "x": encode(&point[1..33]), "y": encode(&point[33..])},
        {"kty": "oct", "kid": "oct", "k": encode("secret")},
        {"kty": "future", "kid": "future"},
    ]});
    let set = serde_json::from_value(set).unwrap();
    Keys { edwards, ecdsa, set }
});

fn claims() -> Value {
    json!({"iss": "https://i", "aud": "centra", "sub": "0815", "nonce": "n-1", "iat": NOW, "exp": NOW + 300})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = match header["alg"].as_str() {
        Some("EdDSA") => KEYS.edwards.sign(message.as_bytes()).as_ref().to_vec(),
        Some("ES256") => {
            let signed = KEYS.ecdsa.sign(&ring::rand::SystemRandom::new(), message.as_bytes());
            signed.unwrap().as_ref().to_vec()
        }
        // The public key as if it were a secret.
        Some("HS256") => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, KEYS.edwards.public_key().as_ref());
            hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
        }
        _ => Vec::new(),
    };
    format!("{message}.{}", encode(signature))
}

fn judged(header: &Value, claims: &Value) -> Result<Claims, Refused> {
    verify(&signed(header, claims), &KEYS.set, EXPECTED, Timestamp::from_unix_timestamp(NOW).unwrap())
}

fn ed() -> Value {
    json!({"alg": "EdDSA", "kid": "ed"})
}

#[test]
fn a_token_that_a_key_of_the_provider_has_signed_for_this_login_is_believed() {
    for header in
        [ed(), json!({"alg": "ES256", "kid": "ec"}), json!({"alg": "ES256", "typ": "JWT"}), json!({"alg": "EdDSA"})]
    {
        assert_eq!(judged(&header, &claims()).unwrap()["sub"], "0815", "{header}");
    }
    for several in [json!(["centra"]), json!("centra")] {
        assert!(judged(&ed(), &with("aud", several)).is_ok());
    }
    let mut several = with("aud", json!(["other", "centra"]));
    several["azp"] = json!("centra");
    assert!(judged(&ed(), &several).is_ok());
    assert!(judged(&ed(), &with("exp", json!(NOW as f64 + 300.5))).is_ok());
}

#[test]
fn a_signature_of_no_key_or_by_another_algorithm_is_refused() {
    let unknown = [
        json!({"alg": "EdDSA", "kid": "gone"}),
        json!({"alg": "EdDSA", "kid": "ec"}),
        json!({"alg": "ES256", "kid": "ed"}),
    ];
    // The right keys, and not for this: for encryption, for another algorithm, a secret.
    let unfit = [
        json!({"alg": "EdDSA", "kid": "enc"}),
        json!({"alg": "ES256", "kid": "other-alg"}),
        json!({"alg": "ES256", "kid": "oct"}),
    ];
    for header in unknown.into_iter().chain(unfit) {
        assert_eq!(judged(&header, &claims()), Err(Refused::UnknownKey), "{header}");
    }
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "RS512", "PS256", "ES384", "RSA"] {
        for kid in [json!("ed"), json!("oct"), Value::Null] {
            let refused = judged(&json!({"alg": alg, "kid": kid}), &claims());
            assert!(matches!(refused, Err(Refused::Wrong(_))), "{alg} {kid}: {refused:?}");
        }
    }
    assert!(matches!(judged(&json!({"kid": "ed"}), &claims()), Err(Refused::Wrong(_))));
    let critical = json!({"alg": "EdDSA", "kid": "ed", "crit": ["exp"], "exp": 0});
    assert!(matches!(judged(&critical, &claims()), Err(Refused::Wrong(_))));
    let own_key = json!({"alg": "EdDSA", "kid": "mine", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode([1; 32])}, "jku": "https://evil"});
    assert_eq!(judged(&own_key, &claims()), Err(Refused::UnknownKey), "what a token brings along is no key");
}

#[test]
fn a_token_of_another_issuer_client_login_or_time_is_refused() {
    for (name, value, why) in [
        ("iss", json!("https://i/"), "another issuer"),
        ("iss", json!(["https://i", "https://evil"]), "another issuer"),
        ("iss", Value::Null, "another issuer"),
        ("aud", json!("other"), "another client"),
        ("aud", json!([]), "another client"),
        ("aud", json!([{"x": "centra"}]), ""),
        ("aud", Value::Null, "another client"),
        ("aud", json!(["centra", "other"]), "several clients"),
        ("azp", json!("other"), "given to another client"),
        ("azp", json!(7), "given to another client"),
        ("nonce", json!("n-2"), "another login"),
        ("nonce", Value::Null, "another login"),
        ("sub", json!(""), "for whom"),
        ("sub", json!(5), "for whom"),
        ("sub", json!("ä"), "for whom"),
        ("sub", json!("a\u{0}b"), "for whom"),
        ("sub", json!("x".repeat(256)), "for whom"),
        ("exp", json!(NOW - 60), "has ended"),
        ("exp", json!(-1), "has ended"),
        ("exp", json!("2030"), "until when"),
        ("exp", Value::Null, "until when"),
        ("iat", json!(NOW - 601), "just now"),
        ("iat", json!(NOW + 61), "just now"),
        ("iat", json!(i64::MAX), "just now"),
        ("iat", json!(-1.0e300), "just now"),
        ("iat", Value::Null, "until when"),
        ("nbf", json!(NOW + 61), "just now"),
    ] {
        match judged(&ed(), &with(name, value.clone())) {
            Err(Refused::Wrong(said)) => assert!(said.contains(why), "{name} {value}: {said}"),
            other => panic!("{name} {value}: {other:?}"),
        }
    }
    for (name, value) in [("exp", NOW - 59), ("iat", NOW - 600), ("iat", NOW + 60), ("nbf", NOW + 60)] {
        assert!(judged(&ed(), &with(name, json!(value))).is_ok(), "clocks differ a little: {name} {value}");
    }
}

#[test]
fn a_token_that_names_no_key_is_refused_where_several_may_have_signed_it() {
    let mut two = KEYS.set.clone();
    two.keys.push(two.keys[0].clone());
    let refused = verify(
        &signed(&json!({"alg": "EdDSA"}), &claims()),
        &two,
        EXPECTED,
        Timestamp::from_unix_timestamp(NOW).unwrap(),
    );
    assert!(matches!(refused, Err(Refused::Wrong(why)) if why.contains("names none")), "{refused:?}");
    assert!(verify(&signed(&ed(), &claims()), &JwkSet { keys: vec![] }, EXPECTED, Timestamp::UNIX_EPOCH).is_err());
}

proptest! {
    #[test]
    fn any_text_is_judged_and_none_is_believed(text in "\\PC{0,200}") {
        prop_assert!(verify(&text, &KEYS.set, EXPECTED, Timestamp::from_unix_timestamp(NOW).unwrap()).is_err());
    }

    #[test]
    fn a_token_of_which_one_character_is_another_is_not_believed(at: Index, by in "[A-Za-z0-9_.-]") {
        let token = signed(&ed(), &claims());
        let at = at.index(token.len());
        let mut other = token.clone();
        other.replace_range(at..=at, &by);
        prop_assume!(other != token);
        prop_assert!(verify(&other, &KEYS.set, EXPECTED, Timestamp::from_unix_timestamp(NOW).unwrap()).is_err());
    }
}
