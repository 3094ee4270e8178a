//! Admins who log in at an OIDC provider: glewlwyd, and one of ours that does what no provider should.

mod attacks;
mod browser;
mod configuration;
mod flow;
mod glewlwyd;
mod hostile;
mod strangers;
mod tokens;

use super::{cluster::site::free_port, lab::Lab};
use browser::Browser;
use hostile::{Hostile, Login};
use hyper::StatusCode;
use serde_json::Value;
use std::path::Path;

/// What the provider knows the server by.
const CLIENT: &str = "centra";
const SECRET: &str = "the-secret-of-the-client";
/// Who may what in these tests.
const GRANTS: &str = "grants.look = 'view'\ngrants.ops = 'operate'\ngrants.root = 'admin'\n";

/// A server that does not run yet, and its page's origin. `issuer` and `ca` are the provider's.
fn configured(issuer: &str, ca: &Path, more: &str) -> (Lab, String) {
    let lab = Lab::made("", &[]);
    let origin = format!("https://127.0.0.1:{}", free_port());
    write(&lab, &origin, issuer, ca, more);
    (lab, origin)
}

/// Writes the configuration: `more` is the rest of `[oidc]`.
fn write(lab: &Lab, origin: &str, issuer: &str, ca: &Path, more: &str) {
    std::fs::write(lab.dir().join("oidc.secret"), SECRET).unwrap();
    let oidc = format!(
        "[oidc]\nissuer = '{issuer}'\nclient_id = '{CLIENT}'\nclient_secret_file = 'oidc.secret'\nname = 'Test & Co'\n\
         url = '{origin}'\nca = '{}'\n{more}",
        ca.display()
    );
    without(lab, origin, &oidc);
}

/// The same without a provider, where `more` has none.
fn without(lab: &Lab, origin: &str, more: &str) {
    let listen = origin.strip_prefix("https://").unwrap();
    let config = format!(
        "address = '127.0.0.1'\n[http]\nlisten = '127.0.0.1:0'\n[tftp]\nenabled = false\n[https]\nlisten = '{listen}'\n{more}"
    );
    std::fs::write(lab.dir().join("config.toml"), config).unwrap();
}

/// A server whose provider is ours.
struct Served {
    lab: Lab,
    origin: String,
    provider: Hostile,
}

impl Served {
    fn new() -> Self {
        let provider = Hostile::start();
        let (mut lab, origin) = configured(&provider.issuer(), &provider.ca(), GRANTS);
        lab.serve();
        Self { lab, origin, provider }
    }

    fn browser(&self) -> Browser {
        Browser::new(&[&self.lab.ca_pem(), &self.provider.ca_pem()])
    }

    /// A browser that has been led to the provider, and with what.
    async fn begun(&self) -> (Browser, Login) {
        let mut browser = self.browser();
        let answer = browser.get(&format!("{}/v1/login/oidc", self.origin)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let login = Login::read(&answer.location());
        (browser, login)
    }

    /// Comes back with this.
    async fn back(&self, browser: &mut Browser, query: &str) -> browser::Answer {
        browser.arrive(&format!("{}/v1/login/oidc/callback?{query}", self.origin)).await
    }

    /// The whole way, with the token that this makes.
    async fn logs_in(&self, token: impl FnOnce(&Login) -> String) -> (Browser, browser::Answer) {
        let (mut browser, login) = self.begun().await;
        let code = self.provider.gives(&login, token(&login));
        let answer = self.back(&mut browser, &format!("state={}&code={code}", login.state)).await;
        (browser, answer)
    }

    /// Somebody of these groups has logged in.
    async fn logged_in(&self, sub: &str, groups: &[&str]) -> Browser {
        let (browser, answer) = self.logs_in(|login| self.provider.token(&login.claims(sub, groups))).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        assert_eq!(answer.location(), "/");
        browser
    }

    /// What the page is answered when it asks for nodes.
    async fn looks(&self, browser: &mut Browser) -> StatusCode {
        browser.get(&format!("{}/v1/nodes", self.origin)).await.status
    }

    /// Entries of the audit of this kind.
    fn noted(&self, action: &str) -> Vec<Value> {
        noted(&self.lab, action)
    }
}

/// Entries of the audit of this kind.
fn noted(lab: &Lab, action: &str) -> Vec<Value> {
    let lines = lab.says(&["audit", "export"]);
    let entries = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    entries.filter(|entry: &Value| entry["action"] == action).collect()
}
