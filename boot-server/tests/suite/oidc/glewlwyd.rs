//! A real provider: glewlwyd of Debian, with a folder, a database and a port of its own, set up by its REST API as its
//! administrator would, and ended by its process id.

use super::{CLIENT, SECRET, browser::Browser, free_port};
use hyper::Method;
use qemu_tests::certificates::{self, Ca};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Everybody's password here.
const PASSWORD: &str = "a password of nobody";
/// The database as the package makes it; its administrator has the password that its documentation says.
const DATABASE: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";

/// The provider, which ends with this.
pub struct Glewlwyd {
    folder: tempfile::TempDir,
    port: u16,
    ca: Ca,
    child: Child,
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Glewlwyd {
    /// One with a client, whose page is there, and with users and their groups.
    pub async fn start(origin: &str, users: &[(&str, &[&str])]) -> Self {
        let (folder, port, ca) = (tempfile::tempdir().unwrap(), free_port(), Ca::new("the provider's"));
        certificates::write(folder.path(), &ca.pem, &ca.leaf());
        let database = folder.path().join("db");
        let made = Command::new("sqlite3").arg(&database).arg(format!(".read {DATABASE}")).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let at = folder.path().display();
        let modules =
            ["user", "client", "plugin"].map(|kind| format!("{kind}_module_path=\"/usr/lib/glewlwyd/{kind}\"\n"));
        let config = format!(
            "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"https://127.0.0.1:{port}\"\nlogin_url=\"login.html\"\n\
             api_prefix=\"api\"\nlog_mode=\"console\"\nlog_level=\"WARNING\"\ncookie_secure=1\n\
             session_key=\"GLEWLWYD2_SESSION_ID\"\nadmin_scope=\"g_admin\"\nprofile_scope=\"g_profile\"\n\
             user_middleware_module_path=\"/usr/lib/glewlwyd/user\"\nuser_auth_scheme_module_path=\"/usr/lib/glewlwyd/scheme\"\n\
             {}use_secure_connection=true\nsecure_connection_key_file=\"{at}/node.key\"\n\
             secure_connection_pem_file=\"{at}/node.crt\"\nsecure_connection_ca_file=\"{at}/ca.crt\"\nhash_algorithm=\"SHA512\"\n\
             database={{type=\"sqlite3\" path=\"{at}/db\"}};\n",
            modules.concat()
        );
        std::fs::write(folder.path().join("conf"), config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("glewlwyd");
        command.arg(format!("--config-file={at}/conf")).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut provider = Self { folder, port, ca, child };
        provider.wait_until_it_listens();
        provider.set_up(origin, users).await;
        provider
    }

    /// It answers nobody any more.
    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn issuer(&self) -> String {
        self.api("/oidc")
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub fn ca_pem(&self) -> String {
        self.ca.pem.clone()
    }

    fn api(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/api{path}", self.port)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait_until_it_listens(&mut self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < patience, "glewlwyd does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What its administrator does.
    async fn set_up(&self, origin: &str, users: &[(&str, &[&str])]) {
        let mut admin = Browser::new(&[&self.ca.pem]);
        self.done(&mut admin, Method::POST, "/auth/", &json!({"username": "admin", "password": "password"})).await;
        let mut users_of: Value = admin.get(&self.api("/mod/user/database")).await.json();
        users_of["parameters"]["data-format"]["groups"] = json!({"multiple": true, "read": true, "write": true});
        self.done(&mut admin, Method::PUT, "/mod/user/database", &users_of).await;
        self.done(&mut admin, Method::PUT, "/mod/user/database/reset", &json!({})).await;
        self.done(&mut admin, Method::POST, "/mod/plugin", &self.plugin()).await;
        for (name, groups) in users {
            let user = json!({"username": name, "name": name, "email": format!("{name}@example.org"), "password": PASSWORD,
                "enabled": true, "scope": ["openid"], "groups": groups});
            self.done(&mut admin, Method::POST, "/user", &user).await;
        }
        let redirect = format!("{origin}/v1/login/oidc/callback");
        let client = json!({"client_id": CLIENT, "name": CLIENT, "confidential": true, "enabled": true, "client_secret": SECRET,
            "authorization_type": ["code"], "redirect_uri": [redirect], "scope": ["openid"],
            "token_endpoint_auth_method": ["client_secret_basic"]});
        self.done(&mut admin, Method::POST, "/client", &client).await;
    }

    /// OIDC with the code flow and PKCE alone, an RSA key, and the claims that the server wants in the ID token.
    fn plugin(&self) -> Value {
        let pem = |arguments: &[&str], input: &str| {
            let mut openssl = Command::new("openssl");
            let made = openssl.args(arguments).args(["-in", input]).output().unwrap();
            String::from_utf8(made.stdout).unwrap()
        };
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-out"])
            .arg(self.folder.path().join("rsa"))
            .output();
        assert!(made.unwrap().status.success());
        let file = self.folder.path().join("rsa").display().to_string();
        let (private, public) = (pem(&["pkey"], &file), pem(&["pkey", "-pubout"], &file));
        let claim = |name: &str, property: &str| json!({"name": name, "user-property": property, "type": "string", "mandatory": true});
        json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0, "parameters": {
            "iss": self.issuer(), "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
            "subject-type": "public", "access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600,
            "refresh-token-rolling": false, "allow-non-oidc": false, "auth-type-code-enabled": true,
            "auth-type-token-enabled": false, "auth-type-id-token-enabled": true, "auth-type-none-enabled": false,
            "auth-type-password-enabled": false, "auth-type-client-enabled": false, "auth-type-device-enabled": false,
            "auth-type-refresh-enabled": false, "jwks-show": true, "pkce-allowed": true, "pkce-required": true,
            "pkce-method-plain-allowed": false, "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "no",
            "session-management-allowed": false, "introspection-revocation-allowed": false,
            "register-client-allowed": false, "request-parameter-allow": false,
            "claims": [claim("preferred_username", "username"), claim("groups", "groups")]}})
    }

    async fn done(&self, browser: &mut Browser, method: Method, path: &str, body: &Value) {
        let answer = browser.send(method, &self.api(path), body).await;
        assert!(answer.status.is_success(), "{path}: {} {}\n{}", answer.status, answer.text, self.log());
    }

    /// What its login page does for a user who was led there: he says who he is, agrees, and is led back. To where.
    pub async fn log_in(&self, browser: &mut Browser, location: &str, user: &str) -> String {
        assert!(location.starts_with(&self.issuer()), "{location}");
        let asked = browser.arrive(location).await;
        assert!(asked.location().contains("/login.html"), "{asked:?}");
        self.done(browser, Method::POST, "/auth/", &json!({"username": user, "password": PASSWORD})).await;
        self.done(browser, Method::PUT, &format!("/auth/grant/{CLIENT}"), &json!({"scope": "openid"})).await;
        let back = browser.get(&format!("{location}&g_continue")).await;
        assert!(back.status.is_redirection(), "{back:?}\n{}", self.log());
        back.location()
    }
}
