//! Names with a grammar, checked when they are read.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName(String);

impl BadName {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadName {}

macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                $check(&text).map(Self)
            }
        }
        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                $check(text).map(Self)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_string!(
    /// The name of a node or profile: an RFC 1123 label, at most 63 of `a-z 0-9 -`.
    NodeName, check_label
);
checked_string!(
    /// A hardware address, lower case with colons: `52:54:00:12:34:56`.
    Mac, check_mac
);
checked_string!(
    /// A store path such as `/nix/store/HASH-name`.
    StorePath, check_store_path
);
checked_string!(
    /// The id of one run: 1 to 64 of `a-z 0-9 -`.
    RunId, check_run
);

fn check_label(text: &str) -> Result<String, BadName> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits =
        (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if fits {
        return Ok(text.to_owned());
    }
    Err(BadName(format!("{text:?} is not a name of 1 to 63 characters a-z, 0-9 and - (not at its ends)")))
}

fn check_run(text: &str) -> Result<String, BadName> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Ok(text.to_owned()) } else { Err(BadName(format!("{text:?} is not a run id"))) }
}

fn check_mac(text: &str) -> Result<String, BadName> {
    let lower = text.to_ascii_lowercase().replace('-', ":");
    let parts: Vec<&str> = lower.split(':').collect();
    let fits = parts.len() == 6
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if fits {
        return Ok(lower);
    }
    Err(BadName(format!("{text:?} is not a MAC address such as 52:54:00:12:34:56")))
}

/// Nix: 32 characters of its base32, `-`, then 1 to 211 of `a-z A-Z 0-9 + - . _ ? =`.
fn check_store_path(text: &str) -> Result<String, BadName> {
    let refused = || BadName(format!("{text:?} is not a store path such as /nix/store/HASH-name"));
    let base = text.strip_prefix("/nix/store/").ok_or_else(refused)?;
    let (hash, name) = base.split_once('-').ok_or_else(refused)?;
    let hash_fits = hash.len() == 32 && hash.bytes().all(|byte| crate::encoding::NIX_BASE32.contains(&byte));
    let name_fits = (1..=211).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte))
        && !is_dots(name);
    if hash_fits && name_fits { Ok(text.to_owned()) } else { Err(refused()) }
}

/// `.` and `..`, alone or before a dash, are no names to Nix (2.21 and later); other names may begin with a dot.
fn is_dots(name: &str) -> bool {
    matches!(name.split('-').next(), Some("." | ".."))
}

impl StorePath {
    /// The store directory of every Nix that shares caches.
    pub const DIR: &'static str = "/nix/store";

    /// `HASH-name`.
    pub fn base(&self) -> &str {
        &self.0[Self::DIR.len() + 1..]
    }

    /// The 32 characters that a cache looks the path up by.
    pub fn hash_part(&self) -> &str {
        &self.base()[..32]
    }

    /// The path of a base name, as narinfo's References has them.
    ///
    /// # Errors
    /// [`BadName`] where the base name does not fit.
    pub fn from_base(base: &str) -> Result<Self, BadName> {
        check_store_path(&format!("{}/{base}", Self::DIR)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_name_is_a_dns_label() {
        for good in ["a", "node-01", "0"] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mac_is_brought_to_one_form() {
        assert_eq!("52-54-00-AB-cd-EF".parse::<Mac>().unwrap().as_str(), "52:54:00:ab:cd:ef");
        for bad in ["", "52:54:00:12:34", "52:54:00:12:34:5g", "525400123456"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_path_cannot_leave_the_store() {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        for good in ["hello-1.0", ".zshrc", "...", "..a", ".a-.", "a-..", "-", "a?b=c+d_e"] {
            assert!(format!("/nix/store/{hash}-{good}").parse::<StorePath>().is_ok(), "{good}");
        }
        for bad in [
            format!("/nix/store/{hash}-"),
            format!("/nix/store/{hash}-a/b"),
            format!("/nix/store/{hash}-."),
            format!("/nix/store/{hash}-.."),
            format!("/nix/store/{hash}-.-a"),
            format!("/nix/store/{hash}-..-a"),
            format!("/tmp/{hash}-a"),
            "/nix/store/e-a".to_owned(),
            format!("/nix/store/{hash}-{}", "a".repeat(212)),
        ] {
            assert!(bad.parse::<StorePath>().is_err(), "{bad}");
        }
    }
}
