//! Who may make a call: the one place that decides it, by the list of calls.

use super::{
    answer::Refused,
    request::{Admin, Identity, Machine, bearer, cookie},
};
use crate::{base::clock, server::Services, state::nodes::Node, web::peer::Peer};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use data_encoding::BASE64;
use protocol::{Code, Failure, admin::NodeState, calls::Who, encoding::Sha256, failure::Result};
use std::sync::Arc;

/// Lets through who may, and puts beside the request who it is.
pub async fn authorise(
    State((services, who)): State<(Arc<Services>, Who)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    match who {
        Who::Anyone => {}
        Who::FormerNode => drop(shown(key(&request))?),
        Who::Node => {
            let node = node(&services, shown(key(&request))?).await?;
            request.extensions_mut().insert(node);
        }
        Who::Machine => {
            let node = match key(&request) {
                Some(key) => Some(node(&services, key).await?),
                None => None,
            };
            request.extensions_mut().insert(Machine(node));
        }
        Who::Admin => {
            let admin = admin(&services, request.method(), request.headers()).await?;
            // An admin's connection is not among those of strangers from here on.
            if let Some(peer) = request.extensions().get::<Peer>() {
                peer.seat.is_known();
            }
            request.extensions_mut().insert(admin);
        }
    }
    Ok(next.run(request).await)
}

fn key(request: &Request) -> Option<Sha256> {
    request.extensions().get::<Peer>().and_then(|peer| peer.key)
}

fn shown(key: Option<Sha256>) -> Result<Sha256> {
    key.ok_or_else(|| Failure::new(Code::Forbidden, "reading the request: it needs a node's certificate"))
}

/// The node that has this key and has not been sent away: looked up in the state at every request, so that a key that has
/// lost its node can do nothing more, however long its certificate lasts.
pub async fn node(services: &Services, key: Sha256) -> Result<Identity> {
    let unknown = || Failure::new(Code::EnrolUnknown, "looking for the node of this certificate: it has none");
    let node: Node = match services.state.node_by_key(&key).await? {
        Some(node) => node,
        None => services.certificates.confirm(&key).await?.ok_or_else(unknown)?,
    };
    if matches!(node.record.state, NodeState::Revoked | NodeState::Retired | NodeState::Rejected) {
        let cause = format!("reading the request: node {} is {}", node.name, node.record.state);
        return Err(Failure::new(Code::Forbidden, cause));
    }
    Ok(Identity { name: node.name, key })
}

/// A bearer token, or the page's cookie. A node's certificate is worth nothing here.
async fn admin(services: &Services, method: &Method, headers: &HeaderMap) -> Result<Admin> {
    if let Some(admin) = by_token(services, bearer(headers)).await? {
        return Ok(admin);
    }
    if let Some(cookie) = cookie(headers)
        && services.admins.holds(cookie, clock::now())
        && (*method == Method::GET || from_our_page(headers))
    {
        return Ok(Admin("admin".to_owned()));
    }
    if bearer(headers).is_some() {
        return Err(Failure::new(Code::Forbidden, "reading the request: its token is no admin's of this server")
            .with_remedy("pass the token of this server: --token-file DIR/admin.token of the folder that it serves"));
    }
    Err(Failure::new(Code::Forbidden, "reading the request: it needs an admin's token")
        .with_remedy("pass --dir DIR of the init folder, or --token-file DIR/admin.token"))
}

async fn by_token(services: &Services, token: Option<&str>) -> Result<Option<Admin>> {
    match token {
        Some(token) => Ok(services.state.token_name(token).await?.map(Admin)),
        None => Ok(None),
    }
}

/// Who may put files into the binary cache: an admin by a token, which Nix sends as the password of HTTP Basic, whatever
/// the login. Only there: a browser that knows such a password would send it along with a request of any page.
pub async fn pusher(services: &Services, headers: &HeaderMap) -> Result<Option<Admin>> {
    let password = password(headers);
    by_token(services, bearer(headers).or(password.as_deref())).await
}

fn password(headers: &HeaderMap) -> Option<String> {
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
