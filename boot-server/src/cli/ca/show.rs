//! `boot-server ca show`: every certificate and key, what images believe, how far a rotation is.

use super::{super::output, must_be_a_server, rotate};
use crate::{
    base::clock::now,
    trust::{
        ca::make,
        folder::{self, ISSUING, ISSUING_KEY, NEXT, OLD, ROOT, ROOT_KEY},
        generations, ipxe, rotation,
    },
};
use host::{certificate::Certificate, http::pem};
use protocol::{Timestamp, encoding::Sha256, failure::Result};
use serde::Serialize;
use std::path::Path;

/// What is shown of a certificate.
#[derive(Serialize)]
struct Shown {
    /// current, next, old, ipxe
    generation: &'static str,
    /// root, issuing, between
    is: &'static str,
    subject: String,
    /// Of its key.
    spki_sha256: Sha256,
    serial: String,
    #[serde(with = "time::serde::rfc3339")]
    from: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    until: Timestamp,
    days_left: i64,
    /// Whether its key is in the folder.
    key_is_here: bool,
    /// What it may issue for, where that is limited.
    permits: Vec<String>,
}

/// All of it.
#[derive(Serialize)]
struct Site {
    certificates: Vec<Shown>,
    /// What trust.json has, and so images that are built from now on.
    images_pin: Vec<Sha256>,
    manifest_keys: Vec<String>,
    rotation: &'static str,
    /// Nodes that a rotation waits for.
    waits_for: Vec<String>,
}

/// Prints it.
///
/// # Errors
/// `E-CONFIG` where the folder is none or is damaged.
pub async fn run(dir: &Path, json: bool) -> Result<()> {
    must_be_a_server(dir)?;
    let stage = rotation::stage(dir);
    let mut certificates = of_folder(&folder::current(dir), "current")?;
    for name in [NEXT, OLD] {
        if dir.join(name).exists() {
            certificates.extend(of_folder(&dir.join(name), name)?);
        }
    }
    if dir.join(ipxe::FOLDER).exists() {
        certificates.extend(of_folder(&dir.join(ipxe::FOLDER), "ipxe")?);
    }
    let anchors = generations::anchors(dir)?;
    let site = Site {
        certificates,
        images_pin: anchors.iter().flat_map(|anchors| anchors.ca_spki_sha256.clone()).collect(),
        manifest_keys: anchors
            .iter()
            .flat_map(|anchors| anchors.manifest_keys.iter().map(|key| data_encoding::BASE64.encode(&key.0)))
            .collect(),
        rotation: stage.name(),
        waits_for: rotate::waits_for(dir, stage).await?,
    };
    if json {
        host::show!("{}", output::json(&site)?);
    } else {
        host::show!("{}", text(&site));
        host::say!("{}", rotate::what_next(stage, &site.waits_for));
    }
    Ok(())
}

fn of_folder(dir: &Path, generation: &'static str) -> Result<Vec<Shown>> {
    let mut shown = Vec::new();
    if dir.join(ISSUING).exists() {
        for (place, one) in pem::certificates(&dir.join(ISSUING))?.iter().enumerate() {
            let is = if place == 0 { "issuing" } else { "between" };
            shown.push(of(generation, is, &Certificate::read(one)?, place == 0 && dir.join(ISSUING_KEY).exists()));
        }
    }
    let root = pem::certificates(&dir.join(ROOT))?.remove(0);
    shown.push(of(generation, "root", &Certificate::read(&root)?, dir.join(ROOT_KEY).exists()));
    Ok(shown)
}

fn of(generation: &'static str, is: &'static str, read: &Certificate, key_is_here: bool) -> Shown {
    Shown {
        generation,
        is,
        subject: read.subject.clone(),
        spki_sha256: read.spki,
        serial: read.serial.clone(),
        from: read.from,
        until: read.until,
        days_left: (read.until - now()).whole_days(),
        key_is_here,
        permits: make::permits_of(read).iter().map(ToString::to_string).collect(),
    }
}

fn text(site: &Site) -> String {
    let rows: Vec<[String; 8]> = site
        .certificates
        .iter()
        .map(|one| {
            [
                one.generation.to_owned(),
                one.is.to_owned(),
                output::printable(&one.subject),
                one.spki_sha256.hex()[..16].to_owned(),
                one.serial[..one.serial.len().min(16)].to_owned(),
                one.until.date().to_string(),
                one.days_left.to_string(),
                if one.key_is_here { "here" } else { "elsewhere" }.to_owned(),
            ]
        })
        .collect();
    let mut table = vec![vec!["", "IS", "SUBJECT", "KEY SHA-256", "SERIAL", "UNTIL", "DAYS", "ITS KEY"]];
    table.extend(rows.iter().map(|row| row.iter().map(String::as_str).collect()));
    let mut text = output::align(&table);
    for one in site.certificates.iter().filter(|one| !one.permits.is_empty()) {
        text += &format!("{} issues for {} alone\n", output::printable(&one.subject), one.permits.join(", "));
    }
    let pins: Vec<String> = site.images_pin.iter().map(|pin| pin.hex()[..16].to_owned()).collect();
    text += &format!("images that are built now pin {}\n", pins.join(", "));
    text += &format!("manifests are signed by one of {}\n", site.manifest_keys.join(", "));
    text
}
