//! How values are read whose form depends on another key, with the path of what does not fit in the error.

use crate::fault::Fault;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

/// What is wrong with a layout that does not read.
pub fn fault(error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let (below, why) = apart(error);
    Fault::at(&format!("{}{below}", error.path()), &why)
}

/// serde knows the path only down to the next value that is read by hand; from there on it stands in the text,
/// behind a mark that no text of an operator begins with.
const MARK: char = '\u{1}';

fn apart(error: &serde_path_to_error::Error<serde_json::Error>) -> (String, String) {
    let text = error.inner().to_string();
    match text.strip_prefix(MARK).and_then(|text| text.split_once(MARK)) {
        Some(("", why)) => (String::new(), why.to_owned()),
        Some((path, why)) => (format!(".{path}"), why.to_owned()),
        None => (String::new(), text),
    }
}

/// Reads a value; the path of what does not fit goes into the error.
pub fn read<T: DeserializeOwned, E: Error>(value: Value) -> Result<T, E> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (below, why) = apart(&error);
        // An empty path is shown as a dot.
        let path = format!("{}{below}", error.path());
        E::custom(format!("{MARK}{}{MARK}{why}", path.trim_start_matches('.')))
    })
}

/// An error at a key of the value that is read.
pub fn misfit<E: Error>(key: &str, why: &str) -> E {
    E::custom(format!("{MARK}{key}{MARK}{why}"))
}

/// The value without its `type`, and the type.
pub fn tagged<E: Error>(mut value: Value) -> Result<(String, Value), E> {
    let kind = value.as_object_mut().and_then(|object| object.remove("type"));
    match kind {
        Some(Value::String(kind)) => Ok((kind, value)),
        _ => Err(misfit("type", "a `type` and the keys that disko documents for it are needed")),
    }
}

/// One, several or none.
pub fn one_or_many<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        one @ Value::Object(_) => Ok(vec![read(one)?]),
        many => read(many),
    }
}

/// `null` is as if it were not there.
pub fn null_is_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
