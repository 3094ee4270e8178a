//! The certificate that a peer is shown: the server's own, the operator's for the page by the name that is asked for, or one of RSA
//! for who reads nothing else.

use crate::config::Config;
use host::{certificate::Certificate, http::pem};
use protocol::{Code, Failure, Timestamp, failure::Result};
use rustls::{
    CipherSuite, SignatureScheme,
    crypto::ring::default_provider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::Arc;
use time::Duration;

/// One that ends so soon is told of at every start.
const EARLY: Duration = Duration::days(14);

/// The operator's certificate for the page.
#[derive(Debug)]
pub struct Page {
    /// DNS names in it, lower case; a label may be `*`.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
    /// When it ends.
    pub ends: Timestamp,
}

impl Page {
    /// The one of `[https] certificate` and `key`, where there is one.
    ///
    /// # Errors
    /// `E-CONFIG` where it cannot be read, names nobody, or names what agents and the command line reach this server by: they
    /// must meet the server's own.
    pub fn load(config: &Config) -> Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&config.https.certificate, &config.https.key) else { return Ok(None) };
        let wrong = |why: String| {
            Failure::new(Code::Config, format!("reading [https] certificate {}: {why}", certificate.display()))
        };
        let identity = pem::identity(certificate, key).map_err(|failure| wrong(failure.cause))?;
        let read = Certificate::read(&identity.chain[0]).map_err(|failure| wrong(failure.cause))?;
        let names: Vec<String> = read.dns_names.iter().map(|name| name.to_ascii_lowercase()).collect();
        if names.is_empty() {
            return Err(wrong("there is no DNS name in it".to_owned()).with_remedy("the page needs a name of its own"));
        }
        if let Some(own) = config.server_names().iter().find(|own| names.iter().any(|name| is_for(name, own))) {
            return Err(wrong(format!("it is for {own}, by which agents and the command line reach this server"))
                .with_remedy("use a name for the page that is not in [https] names, and no certificate for *"));
        }
        let key = CertifiedKey::from_der(identity.chain, identity.key, &default_provider());
        Ok(Some(Self { names, key: Arc::new(key.map_err(|error| wrong(error.to_string()))?), ends: read.until }))
    }

    /// Whether it is another one than that.
    pub fn is_other(&self, than: Option<&Self>) -> bool {
        than.is_none_or(|than| than.key.cert != self.key.cert)
    }

    /// What is to be said of its end.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        (now >= self.ends - EARLY).then(|| format!("the page's certificate ([https] certificate) ends {}", self.ends))
    }
}

/// Whether a name of a certificate is for this one: `*` stands for one label.
fn is_for(name: &str, wanted: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(rest) => wanted.split_once('.').is_some_and(|(label, of)| !label.is_empty() && of == rest),
        None => name == wanted,
    }
}

/// All of them.
#[derive(Debug)]
pub struct Shown {
    /// The server's own.
    pub own: Arc<CertifiedKey>,
    /// The page's.
    pub page: Option<Arc<Page>>,
    /// For who cannot take the server's own: an iPXE that reads RSA alone.
    pub rsa: Option<Arc<CertifiedKey>>,
}

impl Shown {
    fn to(&self, asked: Option<&str>) -> Arc<CertifiedKey> {
        let page = self
            .page
            .as_ref()
            .filter(|page| asked.is_some_and(|asked| page.names.iter().any(|name| is_for(name, asked))));
        page.map_or_else(|| self.own.clone(), |page| page.key.clone())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.rsa {
            Some(rsa) if reads_rsa_alone(hello.signature_schemes(), hello.cipher_suites()) => Some(rsa.clone()),
            _ => Some(self.to(hello.server_name())),
        }
    }
}

/// Whether a peer that offers these cannot take what the server's own key signs.
fn reads_rsa_alone(schemes: &[SignatureScheme], suites: &[CipherSuite]) -> bool {
    use CipherSuite as Suite;
    const FIT_ANY_KEY: [Suite; 6] = [
        Suite::TLS13_AES_256_GCM_SHA384,
        Suite::TLS13_AES_128_GCM_SHA256,
        Suite::TLS13_CHACHA20_POLY1305_SHA256,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let takes_ours = schemes.contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
        && suites.iter().any(|suite| FIT_ANY_KEY.contains(suite));
    !takes_ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::{fs, path::Path};

    fn write(dir: &Path, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        fs::write(dir.join("page.crt"), CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem())
            .unwrap();
        fs::write(dir.join("page.key"), key.serialize_pem()).unwrap();
    }

    fn config(dir: &Path, more: &str) -> Config {
        let text = format!("address = '10.77.0.1'\n[https]\nnames = ['boot.example', '10.77.0.9']\n{more}");
        fs::write(dir.join("config.toml"), text).unwrap();
        Config::load(&dir.join("config.toml")).unwrap()
    }

    const BOTH: &str = "certificate = 'page.crt'\nkey = 'page.key'\n";

    #[test]
    fn the_page_s_certificate_is_shown_to_who_asks_for_its_names_and_the_server_s_own_to_all_others() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["page.example", "*.wild.example", "10.77.0.1"]);
        let page = Arc::new(Page::load(&config(folder.path(), BOTH)).unwrap().unwrap());
        let other = tempfile::tempdir().unwrap();
        write(other.path(), &["own.example"]);
        let own = Page::load(&config(other.path(), BOTH)).unwrap().unwrap().key;
        let shown = Shown { own: own.clone(), page: Some(page.clone()), rsa: None };
        for name in ["page.example", "PAGE.example", "a.wild.example"] {
            assert!(Arc::ptr_eq(&shown.to(Some(name)), &page.key), "{name}");
        }
        for name in ["boot.example", "wild.example", "a.b.wild.example", ".wild.example", "10.77.0.1", "", "localhost"]
        {
            assert!(Arc::ptr_eq(&shown.to(Some(name)), &own), "{name}");
        }
        assert!(Arc::ptr_eq(&shown.to(None), &own), "agents go by an address, and name nothing");
        assert!(page.warning(page.ends - Duration::days(15)).is_none() && page.warning(page.ends).is_some());
    }

    #[test]
    fn a_certificate_that_would_be_shown_to_agents_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for names in
            [&["page.example", "boot.example"][..], &["BOOT.example"], &["*.example"], &["localhost"], &["10.1.1.1"]]
        {
            write(folder.path(), names);
            let failure = Page::load(&config(folder.path(), BOTH)).unwrap_err();
            assert_eq!(failure.code, Code::Config, "{names:?}");
        }
        assert!(Page::load(&config(folder.path(), "")).unwrap().is_none());
        write(folder.path(), &["page.example"]);
        fs::write(folder.path().join("page.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(Page::load(&config(folder.path(), BOTH)).is_err(), "another's key");
    }
}
