//! Where a redirect leads: to http or https, never from https to http, and never to a file.

use hyper::{Response, StatusCode, Uri, header};

/// Where the answer to `from` leads; none where it is the answer itself.
///
/// # Errors
/// Why it is not followed, without the place, which may be a secret.
pub fn target<B>(from: &Uri, answer: &Response<B>) -> Result<Option<Uri>, &'static str> {
    let followed = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !followed.contains(&answer.status()) {
        return Ok(None);
    }
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let next = resolve(from, location.ok_or("a redirect without a Location")?);
    let next = next.ok_or("a redirect to something that is neither http nor https")?;
    if from.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
        return Err("a redirect from https to http");
    }
    Ok(Some(next))
}

/// RFC 3986, 5.2, for a base that is http or https.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let path = location.split('?').next()?;
    let text = if path.split('/').next()?.contains(':') {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if path.is_empty() {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let query = &location[path.len()..];
        format!("{scheme}://{authority}{}{query}", without_dots(&format!("{folder}/{path}")))
    };
    let next: Uri = text.parse().ok()?;
    let known = matches!(next.scheme_str(), Some("http" | "https"));
    next.host().filter(|host| known && !host.is_empty())?;
    Some(next)
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> Result<Option<String>, &'static str> {
        let answer = Response::builder().status(302).header(header::LOCATION, location).body(()).unwrap();
        Ok(target(&from.parse().unwrap(), &answer)?.map(|uri| uri.to_string()))
    }

    #[test]
    fn a_location_may_be_absolute_or_relative() {
        for (location, expected) in [
            ("https://b/y?z", "https://b/y?z"),
            ("//b:81/y", "http://b:81/y"),
            ("/y?z#w", "http://a:80/y?z"),
            ("y", "http://a:80/p/y"),
            ("../y/./z?w:v", "http://a:80/y/z?w:v"),
            ("../../../y", "http://a:80/y"),
            ("?z", "http://a:80/p/x?z"),
        ] {
            assert_eq!(follow("http://a:80/p/x", location), Ok(Some(expected.into())), "{location}");
        }
    }

    #[test]
    fn no_redirect_leads_to_a_file_or_away_from_tls() {
        for location in ["file:///etc/shadow", "ftp://b/", "http://", "javascript:x", "ht tp://b/"] {
            assert!(follow("http://a/x", location).is_err(), "{location}");
        }
        assert!(follow("https://a/x", "http://a/x").is_err());
        assert!(follow("https://a/x", "/y").is_ok());
        let bare = Response::builder().status(301).body(()).unwrap();
        assert!(target(&"http://a/".parse().unwrap(), &bare).is_err());
        let other = Response::builder().status(304).body(()).unwrap();
        assert_eq!(target(&"http://a/".parse().unwrap(), &other), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_location_is_followed_or_refused(location in "[a-z/:.?#@\\[\\]%]{0,40}") {
            let _ = follow("https://a/p/x", &location);
        }
    }
}
