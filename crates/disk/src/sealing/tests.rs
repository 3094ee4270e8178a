//! A LUKS header in a file, cryptsetup and systemd's own tools, and TPMs made of swtpm.

use super::*;
use host::command;
use qemu_tests::{
    child::Process,
    swtpm::{Chip, measure},
};
use serde_json::Value;
use std::{fs, os::unix::net::UnixStream, path::PathBuf};
use tpm::seal::Sealed;

const KEY: &str = "the operator's way back";

struct World {
    dir: tempfile::TempDir,
    _process: Process,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), KEY).unwrap();
    let process = Chip::blank(&dir.path().join("chip")).unwrap().listen(&dir.path().join("chip/socket")).unwrap();
    fs::File::create(dir.path().join("luks")).unwrap().set_len(20 << 20).unwrap();
    let world = World { dir, _process: process };
    world.measure(7);
    world.cryptsetup("luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 LUKS KEY");
    world
}

fn cryptsetup(arguments: &[String], input: Option<&[u8]>) -> Result<String> {
    assert!(arguments.iter().all(|word| !word.contains(KEY)), "a key in an argument: {arguments:?}");
    Ok(command::run_command(command::prepare("cryptsetup", arguments), input)?.stdout)
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The chip has one place, for whoever speaks with it.
    fn tpm(&self) -> Tpm<UnixStream> {
        Tpm::new(UnixStream::connect(self.path("chip/socket")).unwrap())
    }

    fn measure(&self, pcr: u8) {
        measure(&mut UnixStream::connect(self.path("chip/socket")).unwrap(), pcr).unwrap();
    }

    fn try_cryptsetup(&self, line: &str, input: Option<&[u8]>) -> Result<String> {
        let place = |word: &str| match word {
            "LUKS" => self.path("luks").display().to_string(),
            "KEY" => self.path("key").display().to_string(),
            word => word.to_owned(),
        };
        let words: Vec<String> = std::iter::once("-q").chain(line.split(' ')).map(place).collect();
        cryptsetup(&words, input)
    }

    fn cryptsetup(&self, line: &str) -> String {
        self.try_cryptsetup(line, None).unwrap()
    }

    fn seal(&self, pcrs: &[u8]) -> Result<()> {
        let (at, key) = (self.path("luks").display().to_string(), self.path("key").display().to_string());
        let key = ["--key-file".to_owned(), key];
        let volume = Volume { at: &at, key: &key, cryptsetup: &cryptsetup };
        seal(&volume, &pcrs.iter().copied().collect(), |pcrs, secret| self.tpm().seal(pcrs, secret))
    }

    fn header(&self) -> Value {
        serde_json::from_str(&self.cryptsetup("luksDump --dump-json-metadata LUKS")).unwrap()
    }

    /// Numbers of the slots that have a key, and the tokens as they are kept.
    fn slots_and_tokens(&self) -> (Vec<String>, Vec<Value>) {
        let header = self.header();
        let slots = header["keyslots"].as_object().unwrap().keys().cloned().collect();
        (slots, header["tokens"].as_object().unwrap().values().cloned().collect())
    }

    /// By what the only token has sealed.
    fn opens_by_the_tpm(&self) -> Result<()> {
        let (_, tokens) = self.slots_and_tokens();
        let pcrs: BTreeSet<u8> = serde_json::from_value(tokens[0]["tpm2-pcrs"].clone()).unwrap();
        let blob = BASE64.decode(tokens[0]["tpm2-blob"].as_str().unwrap().as_bytes()).unwrap();
        let sealed = Sealed::read(selection(&pcrs)?, &blob)?;
        let passphrase = BASE64.encode(&self.tpm().unseal(&sealed)?);
        let slot = tokens[0]["keyslots"][0].as_str().unwrap();
        let line = format!("open --test-passphrase --key-slot {slot} --key-file - LUKS");
        self.try_cryptsetup(&line, Some(passphrase.as_bytes())).map(drop)
    }

    fn opens_by_the_key(&self) -> bool {
        self.try_cryptsetup("open --test-passphrase --key-file KEY LUKS", None).is_ok()
    }
}

#[test]
fn a_sealed_key_opens_the_device_until_something_else_is_measured_and_the_operator_s_key_opens_it_always() {
    let world = world();
    world.seal(&[7]).unwrap();
    world.opens_by_the_tpm().unwrap();
    assert!(world.opens_by_the_key());
    let listed = command::run("systemd-cryptenroll", &[world.path("luks")]).unwrap().stdout;
    let kinds: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(kinds, ["password", "tpm2"], "{listed}");

    world.measure(7);
    assert_eq!(world.opens_by_the_tpm().unwrap_err().code, Code::Tpm);
    assert!(world.opens_by_the_key());
}

#[test]
fn the_token_and_the_slot_are_what_systemd_cryptenroll_makes() {
    let world = world();
    for (pcrs, option) in [(&[7][..], "7"), (&[7, 14], "7+14"), (&[], "")] {
        world.seal(pcrs).unwrap();
        let (_, ours) = world.slots_and_tokens();
        // Its own, of the same chip: the slot of what was sealed before is taken away, too.
        let theirs = enrolled(&world, option);
        assert_eq!(theirs["tpm2-policy-hash"], ours[0]["tpm2-policy-hash"]);
        let without = |token: &Value| {
            let mut token = token.as_object().unwrap().clone();
            token.remove("tpm2-blob");
            token.remove("keyslots");
            token
        };
        assert_eq!(without(&theirs), without(&ours[0]), "{option:?}");
        // And what it has sealed is opened here.
        world.opens_by_the_tpm().unwrap();
    }
    world.seal(&[7]).unwrap();
    let kdf = |world: &World, slot: &str| world.header()["keyslots"][slot]["kdf"].clone();
    let (slots, tokens) = world.slots_and_tokens();
    assert_eq!((slots.len(), tokens.len()), (2, 1));
    let ours = kdf(&world, tokens[0]["keyslots"][0].as_str().unwrap());
    assert_eq!((&ours["type"], &ours["iterations"]), (&Value::from("pbkdf2"), &Value::from(1000)));
}

/// The token that systemd-cryptenroll puts in the place of ours.
fn enrolled(world: &World, pcrs: &str) -> Value {
    let mut enrol = command::prepare("systemd-cryptenroll", &["--wipe-slot=tpm2"]);
    let chip = world.path("chip/socket");
    enrol.arg(format!("--tpm2-pcrs={pcrs}")).arg(format!("--tpm2-device=swtpm:path={}", chip.display()));
    enrol.arg(world.path("luks")).env("PASSWORD", KEY);
    command::run_command(enrol, None).unwrap();
    let (slots, tokens) = world.slots_and_tokens();
    assert_eq!((slots.len(), tokens.len()), (2, 1));
    tokens[0].clone()
}

#[test]
fn what_was_sealed_before_is_replaced_with_its_slot_and_no_other_key_is_touched() {
    let world = world();
    world.try_cryptsetup("luksAddKey --key-slot 5 --key-file KEY LUKS -", Some(b"another person's")).unwrap();
    world.seal(&[7]).unwrap();
    let (_, first) = world.slots_and_tokens();
    world.measure(7);
    assert!(world.opens_by_the_tpm().is_err());
    world.seal(&[7]).unwrap();
    world.opens_by_the_tpm().unwrap();
    let (slots, second) = world.slots_and_tokens();
    assert_eq!(slots, ["0", "2", "5"]);
    assert!(second.len() == 1 && second[0] != first[0]);

    // A token that claims the operator's slot does not take it away.
    world.try_cryptsetup("token import LUKS", Some(token_of("0", &second[0]).as_bytes())).unwrap();
    world.seal(&[]).unwrap();
    assert!(world.opens_by_the_key());
    world.opens_by_the_tpm().unwrap();
    let (slots, tokens) = world.slots_and_tokens();
    assert_eq!((slots, tokens.len()), (["0", "1", "5"].map(str::to_owned).to_vec(), 1));
}

fn token_of(slot: &str, like: &Value) -> String {
    let mut token = like.clone();
    token["keyslots"] = Value::from(vec![slot]);
    token.to_string()
}

#[test]
fn a_run_that_was_cut_off_after_the_slot_or_after_the_token_is_made_good_by_the_next() {
    for stop_at in ["token", "luksKillSlot"] {
        let world = world();
        world.seal(&[7]).unwrap();
        let (at, key) = (world.path("luks").display().to_string(), world.path("key").display().to_string());
        let cut_off = |arguments: &[String], input: Option<&[u8]>| {
            if arguments.iter().any(|word| word == stop_at) {
                return Err(Failure::new(Code::Tool, "the power is gone"));
            }
            cryptsetup(arguments, input)
        };
        let volume = Volume { at: &at, key: &["--key-file".to_owned(), key], cryptsetup: &cut_off };
        assert!(seal(&volume, &BTreeSet::from([7]), |pcrs, secret| world.tpm().seal(pcrs, secret)).is_err());
        assert!(world.opens_by_the_key());
        world.opens_by_the_tpm().unwrap();
        world.seal(&[7]).unwrap();
        world.opens_by_the_tpm().unwrap();
        assert_eq!(world.slots_and_tokens().1.len(), 1, "{stop_at}");
    }
}

#[test]
fn a_chip_that_cannot_seal_or_that_measures_nothing_is_refused_with_what_to_do() {
    let world = world();
    for pcrs in [&[7][..], &[7, 14], &[]] {
        try_out(&mut world.tpm(), &pcrs.iter().copied().collect()).unwrap();
    }
    let failure = try_out(&mut world.tpm(), &BTreeSet::from([14])).unwrap_err();
    assert!(failure.code == Code::Tpm && failure.cause.contains("measured nothing into PCR 14"), "{failure}");
    assert!(failure.remedy.contains("tpm2-pcrs="), "{failure}");
    assert!(try_out(&mut world.tpm(), &BTreeSet::from([24])).is_err());
    let (ours, its) = UnixStream::pair().unwrap();
    drop(its);
    let failure = try_out(&mut Tpm::new(ours), &BTreeSet::new()).unwrap_err();
    assert!(failure.code == Code::Tpm && failure.remedy == REMEDY, "{failure}");
}
