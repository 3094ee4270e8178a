//! Plays Chainfire, FlareDB or IAM on a node of a machine test: the documented API over mutual TLS, a cluster of one.

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// No request is larger.
const LARGEST: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Play a service of the cluster.
#[derive(Parser)]
struct Args {
    service: Service,
    /// Its clients' port.
    #[arg(long)]
    port: u16,
    /// Where cluster-config.json and the node's certificate are.
    #[arg(long, default_value = "/etc/nixos/secrets")]
    secrets: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Service {
    Chainfire,
    Flaredb,
    Iam,
}

/// What the service remembers; nothing outlives its process.
#[derive(Default)]
struct Memory {
    members: Vec<Value>,
    users: Vec<String>,
    tokens: Vec<String>,
    keys: BTreeMap<String, Value>,
}

struct Request {
    method: String,
    path: String,
    body: Value,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let config = args.secrets.join("cluster-config.json");
    let config: Value =
        serde_json::from_slice(&std::fs::read(&config).with_context(|| format!("reading {}", config.display()))?)?;
    let member =
        json!({ "id": config["node_id"], "raft_addr": config["raft_addr"], "status": "healthy", "role": "leader" });
    let memory = Arc::new(Mutex::new(Memory { members: vec![member], ..Memory::default() }));
    let tls = tls(&args.secrets)?;
    let listener = TcpListener::bind(("0.0.0.0", args.port)).with_context(|| format!("listening on {}", args.port))?;
    for stream in listener.incoming() {
        let (tls, memory) = (tls.clone(), memory.clone());
        std::thread::spawn(move || {
            if let Err(error) = stream.map_err(Into::into).and_then(|stream| serve(stream, tls, args.service, &memory))
            {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn tls(secrets: &Path) -> Result<Arc<ServerConfig>> {
    let pem = |name: &str| secrets.join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem("ca.crt")).context("reading ca.crt")?)?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
    let chain =
        CertificateDer::pem_file_iter(pem("node.crt")).context("reading node.crt")?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(pem("node.key")).context("reading node.key")?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(chain, key)?))
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, service: Service, memory: &Mutex<Memory>) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(tls)?, stream));
    while let Some(request) = read(&mut stream)? {
        let (status, body) = answer(service, &request, &mut memory.lock().unwrap_or_else(PoisonError::into_inner));
        let body = body.to_string();
        write!(stream.get_mut(), "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn read(stream: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = String::new();
    if stream.by_ref().take(LARGEST).read_line(&mut line).unwrap_or(0) == 0 {
        return Ok(None);
    }
    let (method, rest) = line.split_once(' ').context("a request line has a method")?;
    let path = rest.split(' ').next().unwrap_or_default();
    let mut length = 0;
    loop {
        let mut header = String::new();
        match stream.by_ref().take(LARGEST).read_line(&mut header)? {
            0 => bail!("the request ends in its head"),
            1 | 2 => break,
            _ => {}
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().context("reading a length")?;
        }
    }
    ensure!(length <= LARGEST, "a request of {length} bytes");
    let mut body = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), body }))
}

/// The documented answers: 200, 201, 404, 409.
fn answer(service: Service, request: &Request, memory: &mut Memory) -> (u16, Value) {
    let Request { method, path, body } = request;
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match (service, method.as_str(), path.as_str()) {
        (Service::Iam, "GET", "/health") => {
            (200, json!({ "status": "healthy", "database": "connected", "version": "1.0.0" }))
        }
        (Service::Iam, "POST", "/api/users") => {
            made(&mut memory.users, text("username"), json!({ "role": body["role"] }))
        }
        (Service::Iam, "POST", "/api/tokens") => {
            let token = format!("token-{}", memory.tokens.len());
            made(&mut memory.tokens, text("name"), json!({ "token": token }))
        }
        (Service::Iam, ..) => (404, json!({})),
        (_, "GET", "/health") => {
            (200, json!({ "status": "healthy", "raft": "leader", "cluster_size": memory.members.len() }))
        }
        (_, "GET", "/admin/cluster/members") => (200, json!({ "members": memory.members })),
        (_, "GET", "/admin/cluster/leader") => (200, memory.members.first().cloned().unwrap_or_default()),
        (_, "POST", "/admin/member/add") if memory.members.iter().any(|member| member["id"] == body["id"]) => {
            (409, json!({ "error": "already a member" }))
        }
        (_, "POST", "/admin/member/add") => {
            memory.members.push(json!({
                "id": body["id"], "raft_addr": body["raft_addr"], "status": "healthy", "role": "follower",
            }));
            (201, json!({}))
        }
        (_, "DELETE", path) if path.starts_with("/admin/member/") => {
            let before = memory.members.len();
            memory.members.retain(|member| path.strip_prefix("/admin/member/") != member["id"].as_str());
            (if memory.members.len() < before { 200 } else { 404 }, json!({}))
        }
        (Service::Chainfire, "PUT", path) if path.starts_with("/v1/kv/") => {
            memory.keys.insert(path.to_owned(), body["value"].clone());
            (200, json!({}))
        }
        (Service::Chainfire, "GET", path) => match memory.keys.get(path) {
            Some(value) => (200, json!({ "value": value })),
            None => (404, json!({})),
        },
        (Service::Chainfire, "DELETE", path) => (if memory.keys.remove(path).is_some() { 200 } else { 404 }, json!({})),
        _ => (404, json!({})),
    }
}

/// 201, or 409 for a name that is there.
fn made(names: &mut Vec<String>, name: String, answer: Value) -> (u16, Value) {
    if names.contains(&name) {
        return (409, json!({ "error": "it exists" }));
    }
    names.push(name);
    (201, answer)
}
