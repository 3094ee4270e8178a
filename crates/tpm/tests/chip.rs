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
    credential, envelope,
    public::{EndorsementKey, Key, QuotingKey},
    quote::{self, Selection},
    seal::{MOST_SECRET, Sealed, policy},
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

/// One whose memory is free: without the kernel's resource manager it has room for three keys.
fn bare(dir: &Path) -> World {
    let mut world = blank(dir);
    world.tpm.end(&world.identity).unwrap();
    world
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
fn a_sealed_secret_opens_in_its_own_chip_while_its_pcrs_are_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = bare(dir.path());
    measure(&mut world.stream, 7).unwrap();
    let selections: [&[u8]; 4] = [&[], &[7], &[0, 7, 14], &[0, 1, 2, 3, 4, 5, 6, 7, 14, 23]];
    for pcrs in selections {
        let pcrs = Selection::of(pcrs.iter().copied()).unwrap();
        let sealed = world.tpm.seal(pcrs, &SECRET).unwrap();
        assert_eq!(sealed.policy(), policy(&world.tpm.pcrs(pcrs).unwrap()));
        let kept = Sealed::read(pcrs, &sealed.blob()).unwrap();
        assert_eq!((world.tpm.unseal(&kept).unwrap(), &kept), (SECRET.to_vec(), &sealed));
        assert!(!sealed.blob().windows(SECRET.len()).any(|window| window == SECRET));
    }
    let longest = world.tpm.seal(Selection::NONE, &[3; MOST_SECRET]).unwrap();
    assert_eq!(world.tpm.unseal(&longest).unwrap(), [3; MOST_SECRET]);
    for wrong in [&[][..], &[3; MOST_SECRET + 1]] {
        assert!(world.tpm.seal(Selection::NONE, wrong).unwrap_err().cause.contains("1 to 128 bytes"));
    }
}

#[test]
fn a_sealed_secret_stays_closed_once_something_else_was_measured_and_the_chip_itself_sees_to_that() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = bare(dir.path());
    let [seven, four] = [7, 4].map(|index| Selection::of([index]).unwrap());
    let sealed = world.tpm.seal(seven, &SECRET).unwrap();
    let untouched = world.tpm.seal(four, &SECRET).unwrap();
    measure(&mut world.stream, 7).unwrap();
    let failure = world.tpm.unseal(&sealed).unwrap_err();
    assert!(failure.code == Code::Tpm && failure.cause.contains("PCR 7 of this machine now"), "{failure}");
    assert_eq!(world.tpm.unseal(&untouched).unwrap(), SECRET);
    // Who asks by other PCRs, or by none, is refused by the chip: it goes by the policy in the blob.
    for pcrs in [four, Selection::NONE] {
        assert!(world.tpm.unseal(&Sealed::read(pcrs, &sealed.blob()).unwrap()).is_err());
    }
}

#[test]
fn what_another_chip_sealed_or_what_is_damaged_does_not_open_and_leaves_the_chip_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (bare(&dir.path().join("one")), bare(&dir.path().join("other")));
    let sealed = one.tpm.seal(Selection::NONE, &SECRET).unwrap();
    let failure = other.tpm.unseal(&sealed).unwrap_err();
    assert!(failure.code == Code::Tpm && failure.cause.contains("Load ended with"), "{failure}");
    let blob = sealed.blob();
    for at in 0..blob.len() {
        let mut damaged = blob.clone();
        damaged[at] ^= 1;
        let opened = Sealed::read(Selection::NONE, &damaged).and_then(|sealed| one.tpm.unseal(&sealed));
        assert_eq!(opened.map_err(|failure| failure.code), Err(Code::Tpm), "byte {at}");
    }
    for length in 0..blob.len() {
        assert!(Sealed::read(Selection::NONE, &blob[..length]).is_err(), "{length} bytes");
    }
    // Whatever was tried has left neither session nor key behind.
    assert_eq!(one.tpm.unseal(&sealed).unwrap(), SECRET);
}

#[test]
fn a_chip_whose_owner_has_set_a_password_seals_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = bare(dir.path());
    // TPM2_HierarchyChangeAuth of the owner, from nobody's password to "x".
    let mut command = vec![0x80, 0x02, 0, 0, 0, 30, 0, 0, 0x01, 0x29, 0x40, 0, 0, 0x01];
    command.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, b'x']);
    world.stream.write_all(&command).unwrap();
    let mut answer = [0; 64];
    let read = world.stream.read(&mut answer).unwrap();
    assert_eq!(answer[6..10], [0; 4], "{:?}", &answer[..read]);
    let failure = world.tpm.seal(Selection::NONE, &SECRET).unwrap_err();
    assert!(failure.code == Code::Tpm && failure.cause.contains("CreatePrimary ended with"), "{failure}");
}

/// Who listens between processor and chip, and who answers in its place.
struct Between {
    chip: UnixStream,
    heard: Vec<u8>,
    falsify: bool,
}

impl Read for Between {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.chip.read(into)?;
        self.heard.extend_from_slice(&into[..read]);
        // The first byte of an opened secret: behind header, both lengths.
        if self.falsify && read > 60 && into[10..16] == [0, 0, 0, 34, 0, 32] {
            into[16] ^= 1;
        }
        Ok(read)
    }
}

impl Write for Between {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.heard.extend_from_slice(bytes);
        self.chip.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.chip.flush()
    }
}

#[test]
fn who_listens_to_the_chip_hears_no_secret_and_who_changes_its_answer_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (_process, chip) = Chip::blank(dir.path()).unwrap().start().unwrap();
    let mut between = Between { chip, heard: Vec::new(), falsify: false };
    let sealed = Tpm::new(&mut between).seal(Selection::NONE, &SECRET).unwrap();
    assert_eq!(Tpm::new(&mut between).unseal(&sealed).unwrap(), SECRET);
    assert!(between.heard.len() > 1000);
    assert!(!between.heard.windows(8).any(|window| window == &SECRET[..8]));
    between.falsify = true;
    let failure = Tpm::new(&mut between).unseal(&sealed).unwrap_err();
    assert!(failure.cause.contains("not of the TPM that was asked"), "{failure}");
}

#[test]
fn a_closed_file_is_opened_by_its_own_chip_alone_and_by_nobody_where_it_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let chips = ["own", "other"].map(|name| Chip::blank(&dir.path().join(name)).unwrap().start().unwrap());
    let [mut own, other] = chips.map(|(process, stream)| (process, stream));
    let content = vec![5; 1000];
    let file = Tpm::new(own.1.try_clone().unwrap()).close(Selection::NONE, &content).unwrap();
    assert!(!file.windows(16).any(|window| window == &content[..16]));
    let mut tpm = Tpm::new(own.1.try_clone().unwrap());
    assert_eq!(tpm.reveal(&file).unwrap(), content);
    assert_eq!(Tpm::new(other.1).reveal(&file).unwrap_err().code, Code::Tpm, "the disk is in another machine");
    for at in [0, 20, 60, file.len() - 1] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert_eq!(tpm.reveal(&changed).unwrap_err().code, Code::Tpm, "byte {at}");
    }
    assert_eq!(tpm.reveal(&file[..file.len() - 1]).unwrap_err().code, Code::Tpm);
    // One that goes by PCR 7 opens while that is what it was, and the other one always.
    let bound = tpm.close(Selection::of([7]).unwrap(), &content).unwrap();
    assert_eq!(envelope::pcrs(&bound).unwrap(), Selection::of([7]).unwrap());
    assert_eq!(tpm.reveal(&bound).unwrap(), content);
    measure(&mut own.1, 7).unwrap();
    let failure = tpm.reveal(&bound).unwrap_err();
    assert!(failure.cause.contains("PCR 7"), "{failure}");
    assert_eq!(tpm.reveal(&file).unwrap(), content);
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
