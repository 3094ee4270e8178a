//! A Chainfire or FlareDB that does what it is told, over mTLS, with the API of the first-boot contract.

use super::site::{Credentials, Site};
use crate::lab::Lab;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls::{RootCertStore, ServerConfig, crypto::ring::default_provider, server::WebPkiClientVerifier};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;

/// What all members of the cluster share.
#[derive(Debug, Default)]
pub struct Cluster {
    pub members: Vec<Value>,
    pub keys: BTreeMap<String, Value>,
    pub leader: String,
    /// Who says with a 503 that it is unwell.
    pub unwell: Option<String>,
}

/// One member; it dies with its handle.
pub struct Peer(JoinHandle<()>);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Shared = State<(Arc<Mutex<Cluster>>, String)>;

/// Starts the member at its node's address.
pub async fn start(lab: &Lab, site: Site, n: u8, cluster: Arc<Mutex<Cluster>>) -> Peer {
    let credentials = Credentials::of(lab, n);
    let (chain, key) = credentials.identity();
    let mut roots = RootCertStore::empty();
    roots.add(chain[1].clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind((Site::ip(n), site.client)).await.unwrap();
    let routes = Router::new()
        .route("/health", get(health))
        .route("/admin/cluster/members", get(members))
        .route("/admin/member/{id}", axum::routing::delete(remove))
        .route("/v1/kv/{key}", get(read).put(write).delete(delete))
        .route("/v1/write", post(sample))
        .route("/v1/query", post(query))
        .with_state((cluster, format!("n{n}")));
    Peer(tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (acceptor, routes) = (acceptor.clone(), TowerToHyperService::new(routes.clone()));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), routes).await);
            });
        }
    }))
}

async fn health(State((cluster, own)): Shared) -> (StatusCode, Json<Value>) {
    let cluster = cluster.lock().unwrap();
    if cluster.unwell.as_ref() == Some(&own) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "degraded", "raft": "follower"})));
    }
    let raft = if cluster.leader == own { "leader" } else { "follower" };
    (StatusCode::OK, Json(json!({"status": "healthy", "raft": raft, "cluster_size": cluster.members.len()})))
}

async fn members(State((cluster, _)): Shared) -> Json<Value> {
    Json(json!({"members": cluster.lock().unwrap().members}))
}

async fn remove(State((cluster, _)): Shared, Path(id): Path<String>) -> StatusCode {
    let mut cluster = cluster.lock().unwrap();
    let before = cluster.members.len();
    cluster.members.retain(|member| member["id"] != json!(id));
    if cluster.members.len() < before { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

async fn read(State((cluster, _)): Shared, Path(key): Path<String>) -> Result<Json<Value>, StatusCode> {
    let value = cluster.lock().unwrap().keys.get(&key).cloned().ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({"key": key, "value": value["value"]})))
}

async fn write(State((cluster, _)): Shared, Path(key): Path<String>, Json(value): Json<Value>) -> StatusCode {
    cluster.lock().unwrap().keys.insert(key, value);
    StatusCode::OK
}

async fn delete(State((cluster, _)): Shared, Path(key): Path<String>) -> StatusCode {
    cluster.lock().unwrap().keys.remove(&key);
    StatusCode::NO_CONTENT
}

async fn sample(State((cluster, _)): Shared, Json(value): Json<Value>) -> StatusCode {
    cluster.lock().unwrap().keys.insert(value["metric"].as_str().unwrap_or("").to_owned(), value);
    StatusCode::OK
}

async fn query(State((cluster, _)): Shared, Json(query): Json<Value>) -> Json<Value> {
    Json(json!({"series": cluster.lock().unwrap().keys.get(query["query"].as_str().unwrap_or(""))}))
}
