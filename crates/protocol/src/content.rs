//! What is in a file: any bytes. In JSON they are a text where they are one, as they have always been, and else
//! `{"base64": "..."}`.

use crate::encoding::base64;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// The bytes. No `Debug` that shows them: they may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    #[serde(with = "base64")]
    base64: Vec<u8>,
}

impl Content {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, where they are one.
    pub fn as_text(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_text() {
            Some(text) => serializer.serialize_str(text),
            None => Encoded { base64: self.0.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Content;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, or {\"base64\": \"...\"}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
                Ok(text.into())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Content, M::Error> {
                Encoded::deserialize(MapAccessDeserializer::new(map)).map(|encoded| Content(encoded.base64))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> String {
        serde_json::to_string(&Content::from(bytes.to_vec())).unwrap()
    }

    #[test]
    fn text_is_text_as_it_has_always_been_and_other_bytes_are_base64() {
        assert_eq!(json(b"hunter2\n"), r#""hunter2\n""#);
        assert_eq!(json(&[0xff, 0, 1]), r#"{"base64":"/wAB"}"#);
        assert_eq!(json(&[0]), r#""\u0000""#);
        let read = |text: &str| serde_json::from_str::<Content>(text);
        assert_eq!(read(r#"{"base64": "aHVudGVyMg=="}"#).unwrap(), "hunter2".into(), "text may come so as well");
        for wrong in ["1", "null", "[255]", r#"{}"#, r#"{"base64": "x"}"#, r#"{"base64": "/wAB", "more": 1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", Content::from("hunter2")), "7 bytes");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_as_they_were(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let read: Content = serde_json::from_str(&json(&bytes)).unwrap();
            prop_assert_eq!(read.as_bytes(), &bytes[..]);
        }
    }
}
