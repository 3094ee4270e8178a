//! Network interfaces by name: bridges, bonds and USB cards are taken away and made anew under the same name.

use nix::net::if_::if_nametoindex;
use std::time::Duration;
use tokio::time::sleep;

const LOOK: Duration = Duration::from_secs(2);

/// The kernel's number of the interface.
pub fn index(name: &str) -> Option<u32> {
    if_nametoindex(name).ok()
}

/// Ends when the interface with this number has the name no more: what is bound to it hears nothing any longer.
pub async fn is_gone(name: &str, number: u32) {
    while index(name) == Some(number) {
        sleep(LOOK).await;
    }
}

/// Ends when there is an interface of this name.
pub async fn appears(name: &str) {
    while index(name).is_none() {
        sleep(LOOK).await;
    }
}
