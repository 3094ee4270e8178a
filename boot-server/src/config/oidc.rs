//! `[oidc]`: admins log in to the page at an OIDC provider.

use crate::base::credentials::credential;
use host::{file, http::pem};
use hyper::Uri;
use protocol::{
    Code, Failure,
    calls::{Call, LogInReturned},
    failure::Result,
    text::is_command,
    tokens::Scope,
};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, de::IgnoredAny};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The name of the secret's systemd credential.
const CREDENTIAL: &str = "oidc.secret";
/// No secret, address or name is longer.
const MOST_SECRET: usize = 4096;
const MOST_TEXT: usize = 512;
const MOST_NAME: usize = 64;

const SECRET_REMEDY: &str = "write the client's secret into a file of mode 0600 and name it: oidc.client_secret_file, or give the \
                             unit a systemd credential oidc.secret";

/// `[oidc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider, exactly as its discovery document calls itself.
    pub issuer: String,
    /// What the provider calls this server.
    pub client_id: String,
    /// The file with the client's secret; a systemd credential `oidc.secret` goes before it.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Refused without showing it: a secret does not stand here.
    #[serde(default)]
    client_secret: Option<IgnoredAny>,
    /// What the button of the page calls the provider.
    #[serde(default = "default_name")]
    pub name: String,
    /// What is asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that names the person.
    #[serde(default)]
    pub person: PersonClaim,
    /// The claim whose values are mapped: its name, or where it lies deeper a JSON pointer, such as `/realm_access/roles`.
    #[serde(default = "default_claim")]
    pub claim: String,
    /// What each value of it allows. Whoever has none of them is refused.
    pub grants: BTreeMap<String, Scope>,
    /// PEM file of the CAs that the provider's certificate may lead to, in the place of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Where browsers reach the page, where that is not by the first of `[https] names` or else `address`.
    #[serde(default)]
    pub url: Option<String>,
    /// Further hosts that the provider's endpoints may be on.
    #[serde(default)]
    pub hosts: BTreeSet<String>,
}

/// The claim that names a person. Who he is, is always the issuer with his `sub`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonClaim {
    /// As he logs in there.
    #[default]
    PreferredUsername,
    /// His address.
    Email,
    /// What the provider calls him.
    Sub,
}

impl PersonClaim {
    /// The claim's name.
    pub fn claim(self) -> &'static str {
        match self {
            PersonClaim::PreferredUsername => "preferred_username",
            PersonClaim::Email => "email",
            PersonClaim::Sub => "sub",
        }
    }
}

fn default_name() -> String {
    "single sign-on".to_owned()
}

fn default_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

fn default_claim() -> String {
    "groups".to_owned()
}

/// The client's secret. No `Debug`: it is secret.
#[derive(Clone)]
pub struct ClientSecret(pub String);

/// An absolute https URL without user, query and fragment.
pub fn https_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let plain = text.len() <= MOST_TEXT && !text.contains(['#', '?', '\\']) && !authority.contains('@');
    (plain && uri.scheme_str() == Some("https")).then_some(uri)
}

impl Oidc {
    /// What can be seen to be wrong without a look at a file.
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key in `what`.
    pub fn check(&self, what: &str) -> Result<()> {
        let wrong = |key: &str, why: &str, remedy: &str| {
            let cause = format!("reading {what} at oidc.{key}: {why}");
            Err(Failure::new(Code::Config, cause).with_remedy(remedy))
        };
        let word = |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.chars().any(is_command);
        if https_url(&self.issuer).is_none() {
            return wrong(
                "issuer",
                "it is no https URL without user, query and fragment",
                "copy \"issuer\" of ISSUER/.well-known/openid-configuration",
            );
        }
        if self.client_secret.is_some() {
            return wrong("client_secret", "a secret does not stand in this file", SECRET_REMEDY);
        }
        if !word(&self.client_id, MOST_TEXT) {
            return wrong("client_id", "it is empty, too long or no text", "copy the id of the client at the provider");
        }
        if !word(&self.name, MOST_NAME) {
            return wrong(
                "name",
                "it is empty, too long or no text",
                "write what the button is to say, such as Keycloak",
            );
        }
        let token = |text: &String| word(text, MOST_NAME) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.scopes.iter().all(token) {
            return wrong("scopes", "a scope is one word", "write a list, such as [\"profile\", \"groups\"]");
        }
        if !word(&self.claim, MOST_TEXT) {
            return wrong(
                "claim",
                "it is empty, too long or no text",
                "name the claim with a person's groups or roles",
            );
        }
        if self.grants.is_empty() {
            return wrong(
                "grants",
                "it is empty, so that nobody could log in",
                "map values of the claim: grants.\"VALUE\" = \"view\", \"approve\", \"operate\" or \"admin\"",
            );
        }
        if !self.grants.keys().all(|value| word(value, MOST_TEXT)) {
            return wrong("grants", "a value is empty, too long or no text", "write values as the provider sends them");
        }
        if !self.hosts.iter().all(|host| is_authority(host)) {
            return wrong(
                "hosts",
                "one of them is no host",
                "write hosts with their ports, such as \"keys.example.org\"",
            );
        }
        match &self.url {
            Some(url) if !https_url(url).is_some_and(|url| matches!(url.path(), "" | "/")) => wrong(
                "url",
                "it is no https URL of a host alone",
                "write where browsers reach the page, such as https://boot.example.org:8443",
            ),
            _ => Ok(()),
        }
    }

    /// Where the client's secret is.
    pub fn secret_path(&self) -> Option<PathBuf> {
        credential(CREDENTIAL).or_else(|| self.client_secret_file.clone())
    }

    /// The client's secret, of the systemd credential or the file.
    ///
    /// # Errors
    /// `E-CONFIG` where there is none.
    pub fn secret(&self) -> Result<ClientSecret> {
        let path = self.secret_path();
        let wrong = |why: String| {
            Failure::new(Code::Config, format!("reading the secret of the OIDC client: {why}"))
                .with_remedy(SECRET_REMEDY)
        };
        let Some(path) = path else { return Err(wrong("neither a file nor a credential is named".to_owned())) };
        let text = file::read_text(&path).map_err(|failure| wrong(failure.cause))?;
        let secret = text.trim();
        if secret.is_empty() || secret.len() > MOST_SECRET || secret.chars().any(is_command) {
            return Err(wrong(format!("{} is empty, too long or more than a line", path.display())));
        }
        Ok(ClientSecret(secret.to_owned()))
    }

    /// The CAs of the provider; none where they are the system's.
    ///
    /// # Errors
    /// `E-CONFIG` where the file holds none.
    pub fn roots(&self) -> Result<Option<Vec<CertificateDer<'static>>>> {
        let Some(path) = &self.ca else { return Ok(None) };
        let wrong = |failure: Failure| {
            Failure::new(Code::Config, format!("reading oidc.ca: {}", failure.cause)).with_remedy(
                "name a PEM file with the CA of the provider's certificate, or leave it out for the system's",
            )
        };
        pem::certificates(path).map(Some).map_err(wrong)
    }
}

/// A host with or without a port.
fn is_authority(text: &str) -> bool {
    let read = text.parse::<hyper::http::uri::Authority>();
    read.is_ok_and(|authority| authority.as_str() == text && !text.contains('@'))
}

/// Where a page of this origin has the provider send browsers back to.
pub fn redirect(origin: &str) -> String {
    format!("{}{}", origin.trim_end_matches('/'), LogInReturned::PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Oidc> {
        let oidc: Oidc = toml::from_str(text).unwrap();
        oidc.check("config.toml").map(|()| oidc)
    }

    const GOOD: &str = "issuer = 'https://id.example.org/realms/ops'\nclient_id = 'centra'\ngrants.ops = 'operate'\n";

    #[test]
    fn nobody_has_a_scope_who_is_not_written_down_and_the_usual_claims_are_the_default() {
        let oidc = parsed(GOOD).unwrap();
        assert_eq!((oidc.claim.as_str(), oidc.person.claim()), ("groups", "preferred_username"));
        assert_eq!(oidc.grants.into_iter().collect::<Vec<_>>(), [("ops".to_owned(), Scope::Operate)]);
    }

    #[test]
    fn what_could_not_work_or_would_be_unsafe_is_refused_with_the_key_and_a_remedy() {
        let of = |key: &str, line: &str| {
            let rest: String = GOOD.lines().filter(|one| !one.starts_with(key)).map(|one| format!("{one}\n")).collect();
            (key.to_owned(), parsed(&format!("{rest}{line}")))
        };
        let long = "x".repeat(600);
        for (key, refused) in [
            of("issuer", "issuer = 'http://id.example.org'"),
            of("issuer", "issuer = 'https://user@id.example.org'"),
            of("issuer", "issuer = 'https://id.example.org/#x'"),
            of("issuer", "issuer = 'https://id.example.org/?x'"),
            of("issuer", "issuer = 'id.example.org'"),
            of("issuer", &format!("issuer = 'https://{long}'")),
            of("client_id", "client_id = ''"),
            of("client_secret", "client_secret = 'x'"),
            of("grants", "grants = {}"),
            of("grants", "grants.'' = 'view'"),
            of("name", "name = \"a\\u0007\""),
            of("scopes", "scopes = ['a b']"),
            of("claim", "claim = ''"),
            of("hosts", "hosts = ['https://x/']"),
            of("url", "url = 'https://boot.example.org/page'"),
            of("url", "url = 'http://boot.example.org'"),
        ] {
            let failure = refused.unwrap_err();
            assert_eq!(failure.code, Code::Config);
            assert!(
                failure.cause.contains(&format!("oidc.{key}")) && failure.remedy != Code::Config.remedy(),
                "{failure}"
            );
        }
        for wrong in ["person = 'name'", "grants.x = 'root'"] {
            assert!(toml::from_str::<Oidc>(&format!("{GOOD}{wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_secret_is_one_line_of_a_file_and_shown_in_no_failure() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            let mut oidc = parsed(GOOD).unwrap();
            oidc.client_secret_file = Some(file.path().to_owned());
            oidc.secret().map(|secret| secret.0)
        };
        assert_eq!(with("  word\n").unwrap(), "word");
        for wrong in ["", "\n", "hidden\nlines", &"hidden".repeat(1000)] {
            let failure = with(wrong).unwrap_err();
            assert!(failure.code == Code::Config && !failure.to_string().contains("hidden"), "{failure}");
        }
        let failure = parsed(GOOD).unwrap().secret().err().unwrap();
        assert!(failure.remedy.contains("oidc.client_secret_file"), "{failure}");
    }
}
