//! Another issuing certificate: by the root's key, or by a company's CA that was asked with a signing request.

use super::{
    authority::Authority,
    make::{self, Permit},
};
use crate::trust::folder::{self, ISSUING, ISSUING_KEY, ROOT, ROOT_KEY, Set};
use host::{certificate::Certificate, file, http::pem};
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls::pki_types::CertificateDer;
use std::path::Path;

/// The key of a signing request that has not been answered.
pub const REQUEST_KEY: &str = "request.key";
/// No chain is longer.
const MOST: usize = 8;

/// What may be issued for from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limits {
    /// What it was.
    Same,
    /// These alone.
    Only(Vec<Permit>),
    /// Anything.
    None,
}

/// What an imported certificate is.
pub enum Imported {
    /// Another issuing certificate under the root that there is: it counts now.
    Renewed(Box<Certificate>),
    /// One under another root, which images and nodes have to learn first: root, issuing certificates and the key.
    UnderAnotherRoot(Set),
}

/// The root's key: a file, or the one of the folder.
///
/// # Errors
/// `E-CONFIG` where there is none, or it is not the root's.
pub fn root_key(dir: &Path, given: Option<&Path>) -> Result<String> {
    let path = given.map_or_else(|| folder::current(dir).join(ROOT_KEY), Path::to_owned);
    if !path.exists() {
        let cause = format!("looking for the root's key: {} is not there", path.display());
        return Err(Failure::new(Code::Config, cause)
            .with_remedy("fetch it from where it is kept, and pass it: --root-key FILE (it is read and not kept); where a company's CA issues: \
                 boot-server ca csr, then ca import"));
    }
    let text = file::read_text(&path)?;
    let key = KeyPair::from_pem(&text).or_fail(Code::Config, || format!("reading {}", path.display()))?;
    let root = pem::certificates(&folder::current(dir).join(ROOT))?;
    if host::certificate::spki(&root[0]) != Some(Sha256::of(&key.subject_public_key_info())) {
        let cause = format!("reading {}: it is not the key of the root in {}", path.display(), dir.display());
        return Err(Failure::new(Code::Config, cause).with_remedy("boot-server ca show has the root's key by its hash"));
    }
    Ok(text)
}

/// A new issuing certificate under the root; it counts at once, and the running server takes it within a minute.
///
/// # Errors
/// `E-WRONG-STATE` where the root itself issues; `E-CONFIG`, `E-SYSTEM`.
pub fn renew(dir: &Path, root_key: &str, limits: Limits, now: Timestamp) -> Result<Certificate> {
    let set = Set::read(&folder::current(dir))?;
    let (Some(root), Some(issuing)) = (set.0.get(ROOT), set.0.get(ISSUING)) else {
        let cause = "renewing the issuing certificate: there is none, the root itself issues";
        return Err(Failure::new(Code::WrongState, cause)
            .with_remedy("go over to a root with an issuing certificate under it: boot-server ca rotate"));
    };
    let permits = match limits {
        Limits::Only(permits) => permits,
        Limits::None => Vec::new(),
        Limits::Same => make::permits_of(&Certificate::read(&pem::decode(issuing)?[0])?),
    };
    let (certificate, key) = make::issuing(root, root_key, &permits, now)?;
    let chain = [pem::decode(&certificate)?, pem::decode(root)?].concat();
    let pair = KeyPair::from_pem(&key).or_fail(Code::Internal, || "reading the new key")?;
    let made = Authority::of(chain, pair)?.certificates()[0].clone();
    set.with(ISSUING, certificate).with(ISSUING_KEY, key).place(dir)?;
    Ok(made)
}

/// A signing request for an issuing certificate, PEM. Its key waits in the folder; asked again, it is the same.
///
/// # Errors
/// `E-SYSTEM`, `E-INTERNAL`.
pub fn request(dir: &Path) -> Result<String> {
    let path = dir.join(REQUEST_KEY);
    if !path.exists() {
        file::write_atomically(&path, make::key()?.serialize_pem().as_bytes(), 0o600)?;
    }
    let key =
        KeyPair::from_pem(&file::read_text(&path)?).or_fail(Code::Config, || format!("reading {}", path.display()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let mark = &Sha256::of(&key.subject_public_key_info()).hex()[..8];
    params.distinguished_name.push(DnType::CommonName, format!("centra issuing {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let making = |error| make::internal("making the signing request", &error);
    params.serialize_request(&key).and_then(|request| request.pem()).map_err(making)
}

/// Takes the answer to [`request`]: the issuing certificate with all that leads to its root, and the root, in any order.
///
/// # Errors
/// `E-INPUT` where something is missing or does not fit; nothing has changed then.
pub fn import(dir: &Path, text: &str, now: Timestamp) -> Result<Imported> {
    let refused = |why: &str, remedy: &str| {
        Failure::new(Code::Input, format!("importing an issuing certificate: {why}")).with_remedy(remedy)
    };
    let path = dir.join(REQUEST_KEY);
    if !path.exists() {
        return Err(refused("nobody was asked for one", "boot-server ca csr first: its key waits here for the answer"));
    }
    let key_text = file::read_text(&path)?;
    let key = KeyPair::from_pem(&key_text).or_fail(Code::Config, || format!("reading {}", path.display()))?;
    let given = pem::decode(text).map_err(|failure| refused(&failure.cause, "give a PEM file"))?;
    let chain = ordered(&given, Sha256::of(&key.subject_public_key_info()))?;
    let judged = Authority::of(chain.clone(), key);
    let authority = judged.map_err(|failure| {
        refused(
            &failure.cause,
            "ask for a CA certificate (CA:TRUE, keyCertSign, a path length of 0) of this request's key",
        )
    })?;
    authority.revocation_list(&[], now).map_err(|failure| refused(&failure.cause, "ask for cRLSign as well"))?;
    if let Some(ended) = authority.certificates().iter().find(|one| now >= one.until || now < one.from) {
        let cause = format!("{} is good from {} until {}", ended.subject, ended.from.date(), ended.until.date());
        return Err(refused(&cause, "have it issued again, or set the clock"));
    }
    let set = Set::read(&folder::current(dir))?;
    let (issuers, root) = chain.split_at(chain.len() - 1);
    let imported = set.with(ISSUING, pem::encode(issuers)).with(ISSUING_KEY, key_text);
    if same_root(dir, &root[0])? {
        imported.place(dir)?;
        file::remove(&path)?;
        return Ok(Imported::Renewed(Box::new(authority.certificates()[0].clone())));
    }
    Ok(Imported::UnderAnotherRoot(imported.with(ROOT, pem::encode(root)).without(ROOT_KEY)))
}

fn same_root(dir: &Path, root: &CertificateDer<'_>) -> Result<bool> {
    let own = pem::certificates(&folder::current(dir).join(ROOT))?;
    Ok(host::certificate::spki(&own[0]) == host::certificate::spki(root))
}

/// From the certificate of the key to the root.
fn ordered(given: &[CertificateDer<'static>], key: Sha256) -> Result<Vec<CertificateDer<'static>>> {
    let refused = |why: String| {
        Failure::new(Code::Input, format!("importing an issuing certificate: {why}"))
            .with_remedy("the file is to have the issuing certificate, every one between it and the root, and the root")
    };
    let read = given.iter().map(|one| Ok((Certificate::read(one)?, one))).collect::<Result<Vec<_>>>();
    let read = read.map_err(|failure| refused(failure.cause))?;
    let first = read.iter().find(|(one, _)| one.spki == key);
    let mut next = first.ok_or_else(|| refused("none of the file is for the key of ca csr".to_owned()))?;
    let mut chain = Vec::new();
    loop {
        chain.push(next.1.clone());
        if next.0.is_self_issued() {
            break;
        }
        let issuer = &next.0.issuer;
        let found = read.iter().find(|(one, _)| one.subject == *issuer).filter(|_| chain.len() < MOST);
        next = found.ok_or_else(|| refused(format!("{issuer} is missing")))?;
    }
    if chain.len() < 2 {
        return Err(refused("it is its own root".to_owned()));
    }
    Ok(chain)
}
