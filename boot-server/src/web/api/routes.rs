//! Routes from the list of calls.

use super::authorise::authorise;
use crate::server::Services;
use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, on},
};
use protocol::calls::{Call, Method};
use std::sync::Arc;

/// Calls with what answers them.
pub struct Routes {
    services: Arc<Services>,
    router: Router<Arc<Services>>,
}

impl Routes {
    /// None yet.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services, router: Router::new() }
    }

    /// Has a call answered, for those who may make it.
    pub fn call<C: Call, T: 'static>(self, handler: impl Handler<T, Arc<Services>>) -> Self {
        let method = match C::METHOD {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        let guard = from_fn_with_state((self.services.clone(), C::WHO), authorise);
        let router = self.router.route(C::PATH, on(method, handler).route_layer(guard));
        Self { router, ..self }
    }

    /// The router of all of them.
    pub fn router(self) -> Router<Arc<Services>> {
        self.router
    }
}
