//! What an operator writes for a binary cache: where it is, and after the `?` how it is to be taken.

use crate::signature::PublicKey;
use data_encoding::BASE64;
use hyper::{Uri, header::HeaderValue};
use percent_encoding::percent_decode_str;
use protocol::{Code, Failure, failure::Result};
use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

/// A binary cache's URL, taken apart. A password in it is only in a header that does not print itself.
#[derive(Debug)]
pub struct CacheUrl {
    /// Where the files are.
    pub location: Location,
    /// `?priority=N`: over what the cache says of itself.
    pub priority: Option<u32>,
    /// `?trusted-key=NAME:BASE64`: the only keys that count for paths of this cache.
    pub keys: Vec<PublicKey>,
}

/// Where the files of a cache are.
#[derive(Debug)]
pub enum Location {
    /// `http:` or `https:`, without user information and final slashes, and what to send to this origin.
    Web(String, Option<HeaderValue>),
    /// `file:`, a folder.
    Folder(PathBuf),
}

impl CacheUrl {
    /// Reads a URL such as `https://user:password@host/path?priority=10&trusted-key=NAME:BASE64`.
    ///
    /// # Errors
    /// `E-CONFIG`, without the secrets in it.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| Failure::new(Code::Config, format!("binary cache {}: {why}", shown(text)));
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let location = match address.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Location::Folder(folder(path)),
            Some((scheme @ ("http" | "https"), rest)) => {
                web(scheme, rest).ok_or_else(|| refused("the host cannot be read"))?
            }
            _ => return Err(refused("not an http, https or file URL")),
        };
        let mut url = Self { location, priority: None, keys: Vec::new() };
        for setting in query.split('&') {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            match name {
                "priority" => url.priority = Some(value.parse().map_err(|_| refused("priority is not a number"))?),
                "trusted-key" => {
                    let value = percent_decode_str(value).decode_utf8_lossy();
                    url.keys.push(PublicKey::parse(&value).map_err(|failure| failure.context(shown(text)))?);
                }
                // Nix takes what such a cache says without a signature; a node does not.
                "trusted" if !matches!(value, "" | "0" | "false") => {
                    return Err(refused("trusted is not supported").with_remedy(
                        "name the key that signs the cache's paths: ?trusted-key=NAME:BASE64, or in the spec",
                    ));
                }
                "" => {}
                // Settings that Nix has for pushing are no harm here.
                _ => tracing::debug!("binary cache {}: the setting {name} means nothing here", shown(text)),
            }
        }
        Ok(url)
    }
}

/// A URL as it may be printed: without user information, which may be a password, and without what follows
/// the path, which may be a signature that lets in whoever has it.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// RFC 7617; the header does not print itself.
pub fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let text = format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn folder(path: &str) -> PathBuf {
    OsString::from_vec(percent_decode_str(path).collect()).into()
}

fn web(scheme: &str, rest: &str) -> Option<Location> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    // The zone of a link-local address (RFC 6874) would be looked up as a name.
    if host.contains('%') {
        return None;
    }
    let base = format!("{scheme}://{host}{}", path.trim_end_matches('/'));
    let uri: Uri = base.parse().ok()?;
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    let whole = uri.host().filter(|host| !host.is_empty()).is_some_and(|name| format!("{name}{port}") == host);
    // An @ in the path was meant to end a password with a slash in it.
    if !whole || path.contains('@') {
        return None;
    }
    let credentials = match user {
        Some(user) => {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            let decoded = |text| percent_decode_str(text).decode_utf8().ok();
            Some(basic(&decoded(user)?, &decoded(password)?)?)
        }
        None => None,
    };
    Some(Location::Web(base, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "k-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn priority_keys_and_credentials_are_no_part_of_the_address() {
        let text = format!("https://ann:p%40ss@host:8443/cache/?priority=7&trusted-key={KEY}&compression=xz");
        let url = CacheUrl::parse(&text).unwrap();
        let Location::Web(base, Some(credentials)) = &url.location else { panic!("{url:?}") };
        assert_eq!((base.as_str(), url.priority, url.keys.len()), ("https://host:8443/cache", Some(7), 1));
        assert_eq!(credentials, "Basic YW5uOnBAc3M=");
        assert!(!format!("{url:?}").contains("YW5u"), "{url:?}");
        let encoded = KEY.replace('=', "%3D").replace(':', "%3A");
        assert_eq!(CacheUrl::parse(&format!("http://h?trusted-key={encoded}")).unwrap().keys.len(), 1);
    }

    #[test]
    fn a_folder_is_a_path_and_an_address_may_be_a_literal() {
        let url = CacheUrl::parse("file:///srv/my%20cache?priority=1").unwrap();
        assert!(matches!(&url.location, Location::Folder(path) if path.to_str() == Some("/srv/my cache")));
        let url = CacheUrl::parse("http://[::1]:80/").unwrap();
        assert!(matches!(&url.location, Location::Web(base, None) if base == "http://[::1]:80"));
    }

    #[test]
    fn what_is_no_cache_is_refused_without_its_password() {
        for bad in [
            "ftp://ann:secret@host/",
            "http://ann:secret@/x",
            "https://ann:secret@host/?priority=high",
            "https://ann:secret@host/?trusted-key=x",
            "https://ann:sec/ret@host/",
            "https://ann:secret@ho st/",
            "http://",
            "http://[fe80::1%25eth0]/",
            "http://ann:secret@host/?trusted=1",
            "file://cache",
            "/srv/cache",
        ] {
            let failure = CacheUrl::parse(bad).unwrap_err();
            assert_eq!(failure.code, Code::Config, "{bad}");
            assert!(!failure.to_string().contains("sec"), "{failure}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        for (url, safe) in [
            ("https://ann:pass@host/x?sig=1#y", "https://host/x"),
            ("https://ann:pa/s?s@host/x", "https://host/x"),
            ("http://host", "http://host"),
        ] {
            assert_eq!(shown(url), safe);
        }
    }
}
