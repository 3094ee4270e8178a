//! What a browser does, as far as a login needs it: cookies of a host whatever its port, Strict ones kept back where another
//! site has led here.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};

/// The browser.
#[derive(Clone)]
pub struct Browser {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// By host and name, with their attributes.
    cookies: HashMap<(String, String), (String, String)>,
}

/// What it was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn location(&self) -> String {
        self.headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// What it sets the cookie of this name to, with its attributes.
    pub fn sets(&self, name: &str) -> Option<String> {
        let set = self.headers.get_all(header::SET_COOKIE).into_iter().map(|value| value.to_str().unwrap().to_owned());
        set.into_iter().find(|set| set.starts_with(&format!("{name}=")))
    }
}

impl Browser {
    /// One that trusts these CAs.
    pub fn new(roots_pem: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        let all = roots_pem.iter().flat_map(|pem| host::http::pem::decode(pem).unwrap());
        all.for_each(|root| roots.add(root).unwrap());
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions().build();
        // A server that is started anew has closed its connections.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, cookies: HashMap::new() }
    }

    /// Goes there from the address bar, or the page asks.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.ask(Method::GET, url, None, false).await
    }

    /// Is led there by another site.
    pub async fn arrive(&mut self, url: &str) -> Answer {
        self.ask(Method::GET, url, None, true).await
    }

    /// The page asks for something that needs a body.
    pub async fn send(&mut self, method: Method, url: &str, body: &Value) -> Answer {
        self.ask(method, url, Some(body), false).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, url: &str, name: &str) -> Option<&str> {
        self.cookies.get(&(host_of(url), name.to_owned())).map(|(value, _)| value.as_str())
    }

    /// As if it had been set.
    pub fn set_cookie(&mut self, url: &str, name: &str, value: &str) {
        self.cookies.insert((host_of(url), name.to_owned()), (value.to_owned(), String::new()));
    }

    async fn ask(&mut self, method: Method, url: &str, body: Option<&Value>, from_elsewhere: bool) -> Answer {
        let host = host_of(url);
        let sent = self.cookies.iter().filter(|((of, _), (_, attributes))| {
            *of == host && !(from_elsewhere && attributes.contains("SameSite=Strict"))
        });
        let sent: Vec<String> = sent.map(|((_, name), (value, _))| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(url);
        if !sent.is_empty() {
            request = request.header(header::COOKIE, sent.join("; "));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let site = if from_elsewhere { "cross-site" } else { "same-origin" };
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.header("sec-fetch-site", site).body(Full::new(body)).unwrap();
        let answer = self.client.request(request).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let (head, body) = answer.into_parts();
        for set in head.headers.get_all(header::SET_COOKIE) {
            let (pair, attributes) = set.to_str().unwrap().split_once(';').unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            match attributes.contains("Max-Age=0") {
                true => drop(self.cookies.remove(&key)),
                false => drop(self.cookies.insert(key, (value.to_owned(), attributes.to_owned()))),
            }
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

fn host_of(url: &str) -> String {
    url.parse::<Uri>().unwrap().host().unwrap().to_owned()
}

/// The pairs of an address's query, decoded.
pub fn query(url: &str) -> HashMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        match (first, more) {
            (b'%', [high, low, behind @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = behind;
            }
            (b'+', behind) => {
                bytes.push(b' ');
                rest = behind;
            }
            (byte, behind) => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
