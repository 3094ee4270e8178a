//! A real TPM's logic (swtpm) against the server's side, and what is tried against it.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that failed")]

use protocol::{Code, Timestamp, encoding::Sha256};
use qemu_tests::{
    child::Process,
    swtpm::{Chip, Vendor, measure},
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};
use tpm::{
    Identity, Tpm,
    certificate::Issuers,
    credential,
    public::{EndorsementKey, Key, QuotingKey},
    quote,
};

const SECRET: [u8; 32] = [7; 32];

struct World {
    _process: Process,
    stream: UnixStream,
    tpm: Tpm<UnixStream>,
    identity: Identity,
}

fn started(chip: &Chip) -> World {
    let (process, stream) = chip.start().unwrap();
    let mut tpm = Tpm::new(stream.try_clone().unwrap());
    let identity = tpm.identity().unwrap();
    World { _process: process, stream, tpm, identity }
}

fn blank(dir: &Path) -> World {
    started(&Chip::blank(dir).unwrap())
}

#[test]
fn only_the_tpm_of_the_endorsement_key_opens_the_challenge_and_only_for_its_own_signing_key() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (blank(&dir.path().join("one")), blank(&dir.path().join("other")));
    assert!(matches!(one.identity.endorsement.key, Key::Ecc(_)) && one.identity.certificate.is_none());
    assert_ne!(one.identity.endorsement.hash(), other.identity.endorsement.hash());
    let challenge = |ek: &World, ak: &World| {
        credential::make(&ek.identity.endorsement, &ak.identity.quoting.name(), &SECRET).unwrap()
    };
    assert_eq!(one.tpm.activate(&one.identity, &challenge(&one, &one)).unwrap(), SECRET);
    for (ek, ak) in [(&other, &other), (&other, &one), (&one, &other)] {
        let challenge = challenge(ek, ak);
        let failure = Tpm::new(one.stream.try_clone().unwrap()).activate(&one.identity, &challenge).unwrap_err();
        assert_eq!(failure.code, Code::Tpm, "{failure}");
    }
    let mut damaged = challenge(&one, &one);
    *damaged.blob.last_mut().unwrap() ^= 1;
    assert!(one.tpm.activate(&one.identity, &damaged).is_err());
    // Whatever was tried has left no session behind, and the keys are the same when they are made again.
    for _ in 0..4 {
        one.tpm.end(&one.identity).unwrap();
        let again = one.tpm.identity().unwrap();
        assert_eq!((again.endorsement.area(), again.quoting.area()), {
            (one.identity.endorsement.area(), one.identity.quoting.area())
        });
        one.identity = again;
        assert_eq!(one.tpm.activate(&one.identity, &challenge(&one, &one)).unwrap(), SECRET);
    }
    other.tpm.end(&other.identity).unwrap();
}

#[test]
fn a_quote_tells_a_changed_pcr_and_neither_a_replayed_nor_a_false_one_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = blank(dir.path());
    let key = QuotingKey::parse(world.identity.quoting.area()).unwrap();
    let over = [1; 32];
    let first = world.tpm.quote(&world.identity, &over).unwrap();
    let before = quote::verify(first.clone(), &key, &over).unwrap();
    assert_eq!(before.len(), 8);
    let refused = |quote: quote::Quote, over: &[u8; 32]| quote::verify(quote, &key, over).unwrap_err().cause;
    assert!(refused(first.clone(), &[2; 32]).contains("another request"));

    measure(&mut world.stream, 4).unwrap();
    let second = world.tpm.quote(&world.identity, &over).unwrap();
    let after = quote::verify(second.clone(), &key, &over).unwrap();
    let changed: Vec<u8> = before.keys().copied().filter(|index| before[index] != after[index]).collect();
    assert_eq!(changed, [4]);

    let mut claims_the_old = second.clone();
    claims_the_old.pcrs = before;
    assert!(refused(claims_the_old, &over).contains("not those that are signed"));
    let mut fewer = second.clone();
    fewer.pcrs.remove(&7);
    assert!(refused(fewer, &over).contains("PCRs 0 to 7"));
    let mut forged = second.clone();
    forged.attested[60] ^= 1;
    assert!(refused(forged, &over).contains("not signed"));
    let mut endless = second;
    endless.attested.resize(5000, 0);
    assert!(refused(endless, &over).contains("too long"));
    let foreign = blank(&dir.path().join("foreign"));
    let failure = quote::verify(first, &foreign.identity.quoting, &over).unwrap_err();
    assert!(failure.cause.contains("not signed"), "{failure}");
}

#[test]
fn the_vendor_s_certificate_is_read_from_the_tpm_and_believed_for_its_own_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::new(&dir.path().join("vendor")).unwrap();
    let mut world = started(&vendor.make(&dir.path().join("chip")).unwrap());
    let certificate = world.identity.certificate.clone().expect("the vendor has put one there");
    let endorsement = &world.identity.endorsement;
    assert!(matches!(endorsement.key, Key::Rsa(_)));

    let now = Timestamp::now_utc();
    let issuers = |vendor: &Vendor| {
        let mut issuers = Issuers::default();
        issuers.add(&std::fs::read(vendor.certificate()).unwrap()).unwrap();
        issuers
    };
    assert_eq!(issuers(&vendor).vouch(&certificate, endorsement, now).unwrap(), "CN=swtpm-localca");

    let other = Vendor::new(&dir.path().join("other vendor")).unwrap();
    let foreign = started(&other.make(&dir.path().join("foreign")).unwrap());
    let refused = |issuers: &Issuers, certificate: &[u8], key: &EndorsementKey, now| {
        issuers.vouch(certificate, key, now).unwrap_err().cause
    };
    // The names are the same; the key that signs is another one.
    assert!(refused(&issuers(&other), &certificate, endorsement, now).contains("no configured vendor"));
    assert!(refused(&issuers(&vendor), &certificate, &foreign.identity.endorsement, now).contains("another key"));
    assert!(refused(&issuers(&vendor), &certificate, endorsement, Timestamp::UNIX_EPOCH).contains("time"));
    let mut altered = certificate;
    *altered.last_mut().unwrap() ^= 1;
    assert!(refused(&issuers(&vendor), &altered, endorsement, now).contains("no configured vendor"));

    let challenge = credential::make(endorsement, &world.identity.quoting.name(), &SECRET).unwrap();
    assert_eq!(world.tpm.activate(&world.identity, &challenge).unwrap(), SECRET, "a challenge for an RSA key");
}

#[test]
fn a_signing_key_that_signs_what_others_say_is_refused_and_so_is_any_other_than_a_tpm_s_own() {
    let dir = tempfile::tempdir().unwrap();
    let world = blank(dir.path());
    let area = world.identity.quoting.area();
    for (byte, bit, why) in [
        (5, 1, "not restricted"),
        (5, 4, "does not sign"),
        (7, 0x02, "not fixedTPM"),
        (7, 0x10, "not fixedParent"),
        (7, 0x20, "not sensitiveDataOrigin"),
        (5, 2, "decrypts"),
        (0, 0xff, "not one of ECDSA"),
    ] {
        let mut changed = area.to_vec();
        changed[byte] ^= bit;
        let failure = QuotingKey::parse(&changed).unwrap_err();
        assert!(failure.cause.contains(why), "{why}: {failure}");
    }
    // One that could be used without a policy could be anything's key.
    let mut endorsement = world.identity.endorsement.area().to_vec();
    endorsement[7] ^= 0x40;
    assert!(EndorsementKey::parse(&endorsement).unwrap_err().cause.contains("default templates"));
    assert_eq!(world.identity.endorsement.hash(), Sha256::of(world.identity.endorsement.area()));
}

#[test]
fn a_challenge_for_a_point_off_the_curve_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = blank(dir.path());
    let mut area = world.identity.endorsement.area().to_vec();
    *area.last_mut().unwrap() ^= 1;
    let key = EndorsementKey::parse(&area).unwrap();
    let failure = credential::make(&key, &world.identity.quoting.name(), &SECRET).unwrap_err();
    assert!(failure.cause.contains("not on its curve"), "{failure}");
}

#[test]
fn a_tpm_that_answers_nonsense_or_nothing_is_a_failure_and_no_more() {
    for answer in [&[0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0][..], &[0x80, 0x01, 0, 0, 0, 10, 0, 0, 1, 0], &[0xff; 40], &[]]
    {
        let (ours, mut its) = UnixStream::pair().unwrap();
        let answer = answer.to_vec();
        let chip = std::thread::spawn(move || {
            let mut command = [0; 4096];
            while its.read(&mut command).is_ok_and(|read| read > 0) {
                if answer.is_empty() || its.write_all(&answer).is_err() {
                    break;
                }
            }
        });
        let failure = Tpm::new(ours).identity().unwrap_err();
        assert_eq!(failure.code, Code::Tpm);
        chip.join().unwrap();
    }
}
