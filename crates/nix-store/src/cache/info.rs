//! `nix-cache-info`: what a cache says of itself.

use crate::fault::Fault;
use protocol::{Code, Failure, names::StorePath};

/// It is never larger, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// Nix's own for a cache that names none.
pub const USUAL_PRIORITY: u32 = 50;

/// What this engine takes from it; other lines, such as `WantMassQuery`, are nothing to it.
#[derive(Debug, PartialEq, Eq)]
pub struct CacheInfo {
    /// Lower is asked first.
    pub priority: u32,
    /// The path on the cache's origin below which the narinfos of a whole closure can be had in one request.
    pub closure_index: Option<String>,
}

/// Reads it.
///
/// # Errors
/// `E-CONFIG` where it is of another store than `/nix/store`.
pub fn parse(text: &str) -> Result<CacheInfo, Fault> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    match field("StoreDir") {
        Some(StorePath::DIR) => {}
        None => {
            let cause = "it says nothing of a binary cache: StoreDir is missing";
            return Err(Failure::new(Code::Config, cause).with_remedy("check the cache's URL, its path too").into());
        }
        Some(other) => {
            let cause = format!("StoreDir is {other:?}, not {}", StorePath::DIR);
            let remedy = "use a cache whose paths are of /nix/store";
            return Err(Failure::new(Code::Config, cause).with_remedy(remedy).into());
        }
    }
    let priority = field("Priority").and_then(|value| value.parse().ok()).unwrap_or(USUAL_PRIORITY);
    Ok(CacheInfo { priority, closure_index: field("ClosureIndex").filter(|path| is_plain(path)).map(str::to_owned) })
}

/// An absolute path and nothing that would lead to another origin.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let parts = |path: &str| path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    path.starts_with('/') && path.len() <= 1024 && path.bytes().all(plain) && parts(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nix_and_the_boot_server_write() {
        let text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\nClosureIndex: /v1/closure\n";
        let expected = CacheInfo { priority: 30, closure_index: Some("/v1/closure".into()) };
        assert_eq!(parse(text).unwrap(), expected);
        let expected = CacheInfo { priority: USUAL_PRIORITY, closure_index: None };
        assert_eq!(parse("StoreDir: /nix/store\nPriority: soon\n").unwrap(), expected);
    }

    #[test]
    fn another_store_is_refused_and_an_index_elsewhere_is_not_taken() {
        for text in ["", "StoreDir: /gnu/store\n", "Priority: 1\n"] {
            assert_eq!(parse(text).unwrap_err().failure.code, Code::Config, "{text}");
        }
        for path in ["http://other/v1", "//other/v1", "v1", "/v1/../../x", "/v1?x", "/v1 x", "/", ""] {
            let info = parse(&format!("StoreDir: /nix/store\nClosureIndex: {path}\n")).unwrap();
            assert_eq!(info.closure_index, None, "{path}");
        }
    }
}
