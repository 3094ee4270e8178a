//! A provider of our own, which gives what it is told to: for what no real one does.

use super::{CLIENT, browser::query};
use data_encoding::BASE64URL_NOPAD;
use protocol::{Timestamp, encoding::Sha256};
use qemu_tests::{
    certificates::Ca,
    cluster_peer::{Peer, Reply, Request},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

/// The provider.
pub struct Hostile {
    peer: Peer,
    ca: Ca,
    folder: tempfile::TempDir,
    says: Arc<Mutex<Says>>,
}

/// What it says.
#[derive(Default)]
struct Says {
    port: u16,
    /// In the place of the usual answer to a path.
    instead: HashMap<&'static str, Reply>,
    kid: String,
    /// By code: the challenge that it was given for, and the token.
    codes: HashMap<String, (String, String)>,
}

/// What a browser was led to the provider with.
#[derive(Debug, Clone)]
pub struct Login {
    pub state: String,
    pub nonce: String,
    pub challenge: String,
    issuer: String,
}

impl Login {
    pub fn read(location: &str) -> Self {
        let asked = query(location);
        let issuer = location.split_once("/authorize").unwrap().0.to_owned();
        let of = |name: &str| asked[name].clone();
        assert_eq!((of("code_challenge_method"), of("response_type")), ("S256".to_owned(), "code".to_owned()));
        Self { state: of("state"), nonce: of("nonce"), challenge: of("code_challenge"), issuer }
    }

    /// What a token of this login says.
    pub fn claims(&self, sub: &str, groups: &[&str]) -> Value {
        let now = Timestamp::now_utc().unix_timestamp();
        json!({"iss": self.issuer, "aud": CLIENT, "sub": sub, "nonce": self.nonce, "iat": now, "exp": now + 300,
            "preferred_username": format!("name-of-{sub}"), "groups": groups})
    }
}

/// One RSA key is enough for all of them, and takes its time.
fn key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output().unwrap();
        let key = PrivateKeyDer::from_pem_slice(&made.stdout).unwrap();
        RsaKeyPair::from_pkcs8(key.secret_der()).unwrap()
    })
}

fn public() -> RsaPublicKeyComponents<Vec<u8>> {
    key().public().into()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

impl Hostile {
    pub fn start() -> Self {
        let ca = Ca::new("the provider's");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &ca.pem).unwrap();
        let says = Arc::new(Mutex::new(Says { kid: "first".to_owned(), ..Says::default() }));
        let saying = says.clone();
        let peer = ca.peer_of_anyone(move |request| saying.lock().unwrap().answer(request));
        says.lock().unwrap().port = peer.port;
        Self { peer, ca, folder, says }
    }

    pub fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.peer.port)
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn ca_pem(&self) -> String {
        self.ca.pem.clone()
    }

    /// Answers a path so from now on.
    pub fn answers(&self, path: &'static str, reply: Reply) {
        self.says.lock().unwrap().instead.insert(path, reply);
    }

    /// Answers as a provider should again.
    pub fn answers_as_usual(&self, path: &str) {
        self.says.lock().unwrap().instead.remove(path);
    }

    /// Its document with another value.
    pub fn document_with(&self, name: &str, value: Value) -> Reply {
        let mut document = self.says.lock().unwrap().document();
        document[name] = value;
        Reply::Json(200, document)
    }

    /// Its key has another name.
    pub fn renames_its_key(&self, kid: &str) {
        kid.clone_into(&mut self.says.lock().unwrap().kid);
    }

    /// How often it was asked that.
    pub fn asked(&self, line: &str) -> usize {
        self.peer.requests(line).len()
    }

    /// A code that is worth this token, for who has begun the login.
    pub fn gives(&self, login: &Login, token: String) -> String {
        let mut says = self.says.lock().unwrap();
        let code = format!("code-{}", says.codes.len());
        says.codes.insert(code.clone(), (login.challenge.clone(), token));
        code
    }

    /// A token that its key has signed.
    pub fn token(&self, claims: &Value) -> String {
        let kid = self.says.lock().unwrap().kid.clone();
        Self::signed(&json!({"alg": "RS256", "kid": kid}), claims)
    }

    /// One with this head: signed by the key, or for HS256 with the public key as if it were a secret.
    pub fn signed(header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = match header["alg"].as_str().unwrap() {
            "RS256" => {
                let mut signature = vec![0; key().public().modulus_len()];
                key().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
                signature
            }
            "HS256" => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public().n), message.as_bytes()).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{message}.{}", encode(signature))
    }
}

impl Says {
    fn document(&self) -> Value {
        let issuer = format!("https://127.0.0.1:{}", self.port);
        json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys")})
    }

    fn answer(&mut self, request: &Request) -> Reply {
        if let Some(reply) = self.instead.get(request.path()) {
            return reply.clone();
        }
        match request.path() {
            "/.well-known/openid-configuration" => Reply::Json(200, self.document()),
            "/keys" => {
                let RsaPublicKeyComponents { n, e } = public();
                let (n, e) = (encode(n), encode(e));
                Reply::Json(200, json!({"keys": [{"kty": "RSA", "use": "sig", "kid": self.kid, "n": n, "e": e}]}))
            }
            "/token" => self.exchange(&request.text),
            _ => Reply::Json(404, json!({})),
        }
    }

    /// Each code once, and only for who knows of what the challenge is made.
    fn exchange(&mut self, form: &str) -> Reply {
        let form = query(&format!("?{form}"));
        let challenge = encode(Sha256::of(form["code_verifier"].as_bytes()).0);
        match self.codes.remove(&form["code"]) {
            Some((of, token)) if of == challenge => {
                Reply::Json(200, json!({"id_token": token, "token_type": "Bearer"}))
            }
            _ => Reply::Json(400, json!({"error": "invalid_grant", "error_description": "no such <b>code</b>"})),
        }
    }
}
