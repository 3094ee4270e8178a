//! A server of its own for each test: the real binary, ports that are free, a folder that goes away.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

pub const BINARY: &str = env!("CARGO_BIN_EXE_boot-server");
pub const TOPLEVEL: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos";

/// A running server.
pub struct Lab {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// A certificate chain and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Lab {
    /// A server that admits whom a spec matches.
    pub fn open() -> Self {
        Self::start("open-lab")
    }

    /// A server as it is made: it takes tokens and codes.
    pub fn strict() -> Self {
        Self::start("")
    }

    /// A server whose CA may issue for these alone.
    pub fn permitting(permits: &[&str]) -> Self {
        let options: Vec<&str> = permits.iter().flat_map(|permit| ["--permit", *permit]).collect();
        let mut lab = Self::made("open-lab", &options);
        lab.serve();
        lab
    }

    fn start(admission: &str) -> Self {
        let mut lab = Self::made(admission, &[]);
        lab.serve();
        lab
    }

    /// One that does not run yet.
    pub fn made(admission: &str, options: &[&str]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap(), child: None };
        let mut init = Command::new(BINARY);
        let made = init.arg("init").arg(lab.dir()).args(["--address", "127.0.0.1"]).args(options).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        lab.configure(admission, "");
        lab
    }

    pub fn configure(&self, admission: &str, more: &str) {
        let enrol = if admission.is_empty() { String::new() } else { format!("[enrol]\nadmission = '{admission}'\n") };
        let config = format!(
            "address = '127.0.0.1'\n[http]\nlisten = '127.0.0.1:0'\n[https]\nlisten = '127.0.0.1:0'\n\
             [tftp]\nenabled = false\n{enrol}{more}"
        );
        std::fs::write(self.dir().join("config.toml"), config).unwrap();
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// Starts the server; it writes down its ports once it listens.
    pub fn serve(&mut self) {
        self.serve_by(&[]);
    }

    /// The same, started by these words before its own.
    pub fn serve_by(&mut self, before: &[String]) {
        let ports = self.dir().join("ports.json");
        let _ = std::fs::remove_file(&ports);
        let log = std::fs::File::options().create(true).append(true).open(self.dir().join("log")).unwrap();
        let mut words = before.iter().map(String::as_str).chain([BINARY]);
        let serve = Command::new(words.next().unwrap())
            .args(words)
            .args(["serve", "--config"])
            .arg(self.dir().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(serve.unwrap());
        let patience = Instant::now() + Duration::from_secs(60);
        while !ports.exists() {
            assert!(Instant::now() < patience, "the server does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of the server's process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Has the server look at its folder now.
    pub fn reload(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    }

    /// Whose keys are in the chain that the server shows to who goes by its address, its own first.
    pub async fn presented(&self) -> Vec<protocol::encoding::Sha256> {
        self.try_presented_to("127.0.0.1", &self.says(&["ca", "export"])).await.unwrap()
    }

    /// The same to who asks for a name, and trusts these, where it is taken.
    pub async fn try_presented_to(
        &self,
        name: &'static str,
        roots_pem: &str,
    ) -> Option<Vec<protocol::encoding::Sha256>> {
        let mut roots = RootCertStore::empty();
        let all = host::http::pem::decode(roots_pem).unwrap();
        all.into_iter().for_each(|root| roots.add(root).unwrap());
        let config = trusting(roots).with_no_client_auth();
        let stream = self.dial().await;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name.try_into().unwrap(), stream).await.ok()?;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        Some(chain.iter().map(|one| host::certificate::spki(one).unwrap()).collect())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; whether it ended well.
    pub fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        child.wait().unwrap().success()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    pub fn port(&self, name: &str) -> u64 {
        let text = std::fs::read(self.dir().join("ports.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()[name].as_u64().unwrap()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.dir().join("admin.token")).unwrap().trim().to_owned()
    }

    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.dir().join("ca.crt")).unwrap()
    }

    /// Somebody without certificate and token.
    pub fn nobody(&self) -> Caller {
        self.caller(None, None)
    }

    /// The admin.
    pub fn admin(&self) -> Caller {
        self.caller(None, Some(self.token()))
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port("https") as u16)).await.unwrap()
    }

    /// A connection after its handshake, by which this protocol is spoken.
    pub async fn connection(&self, protocol: &str, identity: Option<Identity>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem().as_bytes()).unwrap()).unwrap();
        let mut config = match identity {
            Some((chain, key)) => trusting(roots).with_client_auth_cert(chain, key).unwrap(),
            None => trusting(roots).with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.into()];
        let name = "127.0.0.1".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.dial().await).await.unwrap()
    }

    pub fn caller(&self, identity: Option<Identity>, token: Option<String>) -> Caller {
        Caller::new(self.port("https"), &self.ca_pem(), identity, token)
    }

    /// Runs an admin verb.
    pub fn verb(&self, words: &[&str]) -> Output {
        Command::new(BINARY).args(words).arg("--dir").arg(self.dir()).output().unwrap()
    }

    /// What an admin verb prints.
    pub fn says(&self, words: &[&str]) -> String {
        let output = self.verb(words);
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Applies a spec for a machine with this card.
    pub fn apply(&self, name: &str, mac: &str) {
        self.apply_spec(&spec(name, mac));
    }

    pub fn apply_spec(&self, spec: &Value) {
        let file = self.file("apply.json", &spec.to_string());
        self.says(&["apply", "-f", path(&file)]);
    }

    pub fn describe(&self, name: &str) -> Value {
        serde_json::from_str(&self.says(&["describe", "node", name, "-o", "json"])).unwrap()
    }

    pub fn state_of(&self, name: &str) -> String {
        self.describe(name)["summary"]["state"].as_str().unwrap().to_owned()
    }
}

fn trusting(roots: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots)
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// The serial number of the machine with this card.
pub fn serial_of(mac: &str) -> String {
    format!("S-{}", mac.replace(':', ""))
}

/// A spec that is complete.
pub fn spec(name: &str, mac: &str) -> Value {
    serde_json::json!({
        "name": name, "match": {"macs": [mac], "serial": serial_of(mac)},
        "system": {"toplevel": TOPLEVEL, "substituters": ["http://127.0.0.1/cache"],
            "trusted_public_keys": ["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},
        "disks": {"devices": {"disk": {"main": {"type": "disk", "device": "/dev/vda"}}}},
        "secrets": [{"path": "/etc/nixos/secrets/own", "mode": "0400", "content": format!("secret of {name}")}],
        "cluster": {"node_id": name, "node_role": "control-plane", "bootstrap": false, "cluster_name": "c",
            "leader_url": "https://10.0.0.1:2379", "raft_addr": "10.0.0.2:2380", "node_ip": "10.0.0.2"}
    })
}

/// An HTTPS client.
#[derive(Clone)]
pub struct Caller {
    client: Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub base: String,
    token: Option<String>,
}

impl Caller {
    fn new(port: u64, ca: &str, identity: Option<Identity>, token: Option<String>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let tls = trusting(roots);
        let tls = match identity {
            Some((chain, key)) => tls.with_client_auth_cert(chain, key).unwrap(),
            None => tls.with_no_client_auth(),
        };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
        let connector = connector.enable_all_versions().wrap_connector(tcp);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base: format!("https://127.0.0.1:{port}"),
            token,
        }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> hyper::Response<hyper::body::Incoming> {
        let request = self.request(method, path, headers, body);
        self.client.request(request).await.unwrap()
    }

    /// GET and the like without a body; none where there is no connection.
    pub async fn tries(&self, method: Method, path: &str) -> Option<hyper::Response<hyper::body::Incoming>> {
        self.client.request(self.request(method, path, &[], Bytes::new())).await.ok()
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(body)).unwrap()
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.send(Method::GET, path, &[], Bytes::new()).await).await
    }

    pub async fn post(&self, path: &str, body: &impl serde::Serialize) -> (StatusCode, Value) {
        let body = serde_json::to_vec(body).unwrap();
        read(self.send(Method::POST, path, &[("content-type", "application/json")], body.into()).await).await
    }

    /// POST that must succeed.
    pub async fn done<T: serde::de::DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> T {
        let (status, value) = self.post(path, body).await;
        assert!(status.is_success(), "{path}: {status} {value}");
        serde_json::from_value(value).unwrap()
    }
}

async fn read(answer: hyper::Response<hyper::body::Incoming>) -> (StatusCode, Value) {
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
