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

impl Query {
    fn machine(&self, claims: Claims) -> ipxe::Machine {
        ipxe::Machine {
            bios: self.platform.as_deref().is_none_or(|platform| platform == "pcbios"),
            mac: claims.macs.into_iter().next(),
        }
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
    let machine = query.machine(claims);
    ipxe::render(&boot, &machine, &context.site, &|profile| images.image_of(profile))
}

/// Of a script nothing is the stranger's but the address of his card, whatever he asks: for [`crate::netboot::properties`].
#[cfg(any(test, fuzzing))]
pub fn read(asked: &axum::http::Uri) {
    use crate::{
        domain::boot::Boot,
        netboot::site::{Boots, Site},
    };
    use axum::extract::Query as Asked;
    use protocol::names::{Mac, NodeName};

    let query = Asked::<Query>::try_from_uri(asked).map(|Asked(query)| query).unwrap_or_default();
    let claims = query.claims();
    assert!(claims.macs.len() <= 1 && claims.serial.iter().chain(&claims.uuid).all(|label| label.len() <= MAX_LABEL));
    let reason: String =
        [&query.serial, &query.uuid, &query.platform].into_iter().flatten().map(String::as_str).collect();
    let Ok(name) = "vm".parse::<NodeName>() else { return };
    let site = Site { address: [10, 77, 0, 1].into(), http_port: 8080, https_port: 8443, boots: Boots::Plainly };
    let machine = query.machine(claims);
    let of_nobody = ipxe::Machine { mac: None, bios: machine.bios };
    let text = |boot: &Boot, machine| ipxe::render(boot, machine, &site, &NodeName::clone);
    for boot in [
        Boot::Install { profile: name.clone(), hostname: None },
        Boot::LocalDisk,
        Boot::Menu { default_profile: name, timeout_seconds: 9 },
    ] {
        let card = machine.mac.as_ref().map_or("${netX/mac}", Mac::as_str);
        assert!(
            machine.mac.is_none()
                || (card.len() == 17 && card.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'))
        );
        let expected = text(&boot, &of_nobody).replace("bootif=${netX/mac}", &format!("bootif={card}"));
        assert_eq!(text(&boot, &machine), expected);
    }
    let waits = |reason: &str| text(&Boot::Wait { reason: reason.to_owned() }, &machine);
    let (said, nothing) = (waits(&reason), waits(""));
    assert_eq!(said.lines().count(), nothing.lines().count());
    for (line, without) in said.lines().zip(nothing.lines()).filter(|(line, without)| line != without) {
        let words = line.strip_prefix(without).unwrap_or(line);
        assert!(
            !words.contains(['$', '{', '|', '&', ';', '#', '\\', '"', '\'']) && !words.contains(char::is_control),
            "{line}"
        );
    }
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
