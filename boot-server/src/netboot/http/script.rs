//! `/boot/ipxe/boot.ipxe`: who asks, and the script for it.

use super::images::Images;
use crate::{
    base::pace::Pace,
    netboot::{context::Context, ipxe},
};
use protocol::claims::Claims;
use serde::Deserialize;
use std::time::Instant;

/// What iPXE says of the machine. Everything is a label and may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    mac: Option<String>,
    uuid: Option<String>,
    serial: Option<String>,
    platform: Option<String>,
}

/// A rack that is powered on is told; a stranger who asks all the time is not.
static TOLD: Pace = Pace::new(50);

/// Longest label that is passed on.
const MAX_LABEL: usize = 128;

impl Query {
    /// Whether the machine has said who it is, or is still to be asked.
    fn is_bare(&self) -> bool {
        self.mac.is_none() && self.uuid.is_none() && self.serial.is_none()
    }

    fn claims(&self) -> Claims {
        let label = |text: &Option<String>| text.clone().filter(|text| text.len() <= MAX_LABEL);
        let macs = self.mac.iter().filter_map(|mac| mac.parse().ok()).collect();
        Claims { uuid: label(&self.uuid), serial: label(&self.serial), macs }.cleaned()
    }
}

/// The script for whoever asks.
pub async fn script(query: &Query, images: &Images, context: &Context) -> String {
    if query.is_bare() {
        return ipxe::ask(&context.site);
    }
    let claims = query.claims();
    let boot = context.policy.boot(&claims).await;
    if let Some(not_told) = TOLD.allows(Instant::now()) {
        tracing::info!(?claims, ?boot, not_told, "boot script");
    }
    let machine = ipxe::Machine {
        bios: query.platform.as_deref().is_none_or(|platform| platform == "pcbios"),
        mac: claims.macs.into_iter().next(),
    };
    ipxe::render(&boot, &machine, &context.site, &|profile| images.image_of(profile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cleaned_and_bounded() {
        let query = Query {
            mac: Some("52-54-00-AB-CD-EF".into()),
            uuid: Some("4C4C4544-0000-1111-2222-333344445555".into()),
            serial: Some("x".repeat(MAX_LABEL + 1)),
            platform: None,
        };
        let claims = query.claims();
        assert_eq!(claims.macs[0].as_str(), "52:54:00:ab:cd:ef");
        assert_eq!(claims.uuid.as_deref(), Some("4c4c4544-0000-1111-2222-333344445555"));
        assert_eq!(claims.serial, None);
        assert!(Query::default().is_bare() && !query.is_bare());
    }
}
