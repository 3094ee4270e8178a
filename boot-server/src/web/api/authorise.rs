//! Who may make a call: the one place that decides it, by the list of calls.

use super::{
    answer::Refused,
    request::{Admin, Identity, Machine, bearer, cookie},
};
use crate::{
    base::requests::Cost,
    server::Services,
    state::{nodes::Node, tokens::Token},
    web::peer::Peer,
};
use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use data_encoding::BASE64;
use protocol::{
    Code, Failure,
    admin::NodeState,
    calls::Who,
    encoding::Sha256,
    failure::Result,
    tokens::{Kind, Scope},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};

/// Lets through who may, and puts beside the request who it is.
pub async fn authorise(
    State((services, who)): State<(Arc<Services>, Who)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let from = address(request.extensions());
    match who {
        Who::Anyone => hears(&services, &request, from)?,
        Who::FormerNode => drop(shown(key(&request))?),
        Who::Node => {
            let node = node(&services, shown(key(&request))?, from).await?;
            request.extensions_mut().insert(node);
        }
        Who::Machine => {
            let node = match key(&request) {
                Some(key) => Some(node(&services, key, from).await?),
                None => {
                    hears(&services, &request, from)?;
                    None
                }
            };
            request.extensions_mut().insert(Machine(node));
        }
        Who::Viewer | Who::Approver | Who::Operator | Who::Admin => {}
    }
    if let Some(needed) = who.scope() {
        let token = admin(&services, request.method(), request.headers(), request.extensions()).await?;
        allows(&services, &token, needed, from).await?;
        // An admin's connection is not among those of strangers from here on.
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.seat.is_known();
        }
        request.extensions_mut().insert(Admin(token.actor(from)));
        request.extensions_mut().insert(token);
    }
    Ok(next.run(request).await)
}

/// What strangers may call they may call so often. Whoever shows a certificate has places of his own.
fn hears(services: &Services, request: &Request, from: IpAddr) -> Result<(), Refused> {
    if key(request).is_some() {
        return Ok(());
    }
    services.requests.hears(from, Cost::Call, Instant::now()).map_err(Refused::later)
}

fn key(request: &Request) -> Option<Sha256> {
    request.extensions().get::<Peer>().and_then(|peer| peer.key)
}

fn shown(key: Option<Sha256>) -> Result<Sha256> {
    key.ok_or_else(|| Failure::new(Code::Forbidden, "reading the request: it needs a node's certificate"))
}

/// The node that has this key and has not been sent away: looked up in the state at every request, so that a key that has
/// lost its node can do nothing more, however long its certificate lasts.
pub async fn node(services: &Services, key: Sha256, from: IpAddr) -> Result<Identity> {
    let unknown = || no_node(services, &key);
    let node: Node = match services.state.node_by_key(&key).await? {
        Some(node) => node,
        None => services.certificates.confirm(&key, from).await?.ok_or_else(unknown)?,
    };
    if matches!(node.record.state, NodeState::Revoked | NodeState::Retired | NodeState::Rejected) {
        let cause = format!("reading the request: node {} is {}", node.name, node.record.state);
        return Err(Failure::new(Code::Forbidden, cause));
    }
    Ok(Identity { name: node.name, key, from })
}

/// The refusal of a key that is no node's. One that was revoked since the connection was looked at hears that.
pub fn no_node(services: &Services, key: &Sha256) -> Failure {
    if services.state.memory.revoked.holds(key) {
        return Failure::new(Code::Forbidden, "looking for the node of this certificate: its key was revoked");
    }
    Failure::new(Code::EnrolUnknown, "looking for the node of this certificate: it has none")
}

/// Where a request comes from.
fn address(extensions: &Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address)
}

/// Whether the token's scope is enough; that it is not, is noted.
async fn allows(services: &Services, token: &Token, needed: Scope, from: IpAddr) -> Result<()> {
    if token.scope >= needed {
        return Ok(());
    }
    services.tokens.note_refused(token, from, needed).await;
    let Token { kind, name, scope, .. } = token;
    let (who, remedy) = match kind {
        Kind::Token | Kind::Certificate => {
            let remedy = "pass a token that allows it: boot-server token create NAME --scope SCOPE";
            (format!("{} {name} allows to {scope}", kind.name()), remedy)
        }
        Kind::Oidc => {
            let remedy = "have the provider put the account into a group that is granted more, and log in again";
            (format!("{name} may {scope}"), remedy)
        }
    };
    let cause = format!("reading the request: {who}, and this needs {needed}");
    Err(Failure::new(Code::Forbidden, cause).with_remedy(remedy))
}

/// A bearer token, the page's cookie, or an admin's certificate. A node's certificate is worth nothing here.
async fn admin(services: &Services, method: &Method, headers: &HeaderMap, extensions: &Extensions) -> Result<Token> {
    if let Some(token) = bearer(headers) {
        let found = services.tokens.by_token(token, address(extensions)).await?;
        return found.ok_or_else(|| {
            Failure::new(Code::Forbidden, "reading the request: its token is none of this server's, or has ended")
                .with_remedy("pass the token of this server: --token-file DIR/admin.token of the folder that it serves")
        });
    }
    if let Some(cookie) = cookie(headers)
        && (*method == Method::GET || from_our_page(headers))
        && let Some(token) = services.tokens.by_session(cookie).await?
    {
        return Ok(token);
    }
    if let Some(token) = by_certificate(services, method, headers, extensions).await? {
        return Ok(token);
    }
    Err(Failure::new(Code::Forbidden, "reading the request: it needs an admin's token or certificate")
        .with_remedy("pass --dir DIR of the init folder, or --token-file DIR/admin.token"))
}

/// Whose certificate the connection shows. A browser shows it with a request of any page, so that what changes something has
/// to come from ours, as with the cookie.
async fn by_certificate(
    services: &Services,
    method: &Method,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Token>> {
    let Some(key) = extensions.get::<Peer>().and_then(|peer| peer.admin) else { return Ok(None) };
    if *method != Method::GET && !from_our_page(headers) {
        return Ok(None);
    }
    let ended = || {
        Failure::new(Code::Forbidden, "reading the request: its certificate is no admin's any more")
            .with_remedy("have another one taken: boot-server token create NAME --client-certificate FILE")
    };
    services.tokens.by_certificate(&key).await?.ok_or_else(ended).map(Some)
}

/// Who may put files into the binary cache: an operator by his certificate, or by a token, which Nix sends as the password of
/// HTTP Basic, whatever the login. Only there: a browser that knows such a password would send it along with a request of any page.
pub async fn pusher(services: &Services, headers: &HeaderMap, extensions: &Extensions) -> Result<Option<Admin>> {
    let password = password(headers);
    let from = address(extensions);
    let found = match bearer(headers).or(password.as_deref()) {
        Some(token) => services.tokens.by_token(token, from).await?,
        None => by_certificate(services, &Method::PUT, headers, extensions).await?,
    };
    let Some(token) = found else { return Ok(None) };
    allows(services, &token, Scope::Operate, from).await?;
    Ok(Some(Admin(token.actor(from))))
}

pub(super) fn password(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64.decode(text.trim().as_bytes()).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// The cookie is SameSite=Strict already; a browser also says where a request comes from.
fn from_our_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_may_hold_colons_and_the_login_does_not_matter() {
        let read = |text: &str| {
            let headers = [(header::AUTHORIZATION, text.parse().unwrap())].into_iter().collect();
            password(&headers)
        };
        let basic = |pair: &str| read(&format!("Basic {}", BASE64.encode(pair.as_bytes())));
        assert_eq!(basic("admin:a:b").as_deref(), Some("a:b"));
        assert_eq!(basic(":t").as_deref(), Some("t"));
        assert_eq!(basic("no-colon"), None);
        assert_eq!(read("Basic ###"), None);
    }
}
