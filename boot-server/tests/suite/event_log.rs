//! Event logs of firmware, and what is tried with them.

use super::{
    lab::Lab,
    machine::Machine,
    tpm::{Chip, MAC, ask, send},
};
use protocol::{encoding::Sha256, measured::EventLog};
use qemu_tests::swtpm::measure_as;

const GLOBAL: [u8; 16] = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c];
const SECURITY: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];
const SETTING: u32 = 0x8000_0001;
const PROGRAM: u32 = 0x8000_0003;

/// Firmware that measures into a chip, and writes down what.
pub struct Firmware<'a> {
    chip: &'a mut Chip,
    log: Vec<u8>,
}

impl<'a> Firmware<'a> {
    pub fn new(chip: &'a mut Chip) -> Self {
        let header = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 11, 0, 32, 0, 0]].concat();
        let log = [&[0; 4][..], &3u32.to_le_bytes(), &[0; 20], &(header.len() as u32).to_le_bytes(), &header].concat();
        Self { chip, log }
    }

    pub fn event(mut self, pcr: u8, kind: u32, digest: Sha256, data: &[u8]) -> Self {
        measure_as(&mut self.chip.stream, pcr, &digest.0).unwrap();
        let count: [u8; 6] = [1, 0, 0, 0, 11, 0];
        for part in [&u32::from(pcr).to_le_bytes()[..], &kind.to_le_bytes(), &count, &digest.0] {
            self.log.extend_from_slice(part);
        }
        self.log.extend_from_slice(&(data.len() as u32).to_le_bytes());
        self.log.extend_from_slice(data);
        self
    }

    fn setting(self, vendor: [u8; 16], name: &str, value: &[u8]) -> Self {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = |bytes: usize| (bytes as u64).to_le_bytes();
        let data = [&vendor[..], &length(name.len() / 2), &length(value.len()), &name, value].concat();
        self.event(7, SETTING, Sha256::of(&data), &data)
    }

    /// With Secure Boot and this db.
    pub fn secure_boot(self, db: &[u8]) -> Self {
        let with = self.setting(GLOBAL, "SecureBoot", &[1]).setting(GLOBAL, "PK", b"pk").setting(GLOBAL, "KEK", b"kek");
        let with = with.setting(SECURITY, "db", db).setting(SECURITY, "dbx", b"dbx");
        with.event(7, 4, Sha256::of(&[0; 4]), &[0; 4])
    }

    /// Starts this file.
    pub fn starts(self, file: &str, program: &[u8]) -> Self {
        let name: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let path = [&[4, 4, name.len() as u8 + 4, 0], &name[..], &[0x7f, 0xff, 4, 0]].concat();
        let data = [&[0; 24][..], &(path.len() as u64).to_le_bytes(), &path].concat();
        self.event(4, PROGRAM, Sha256::of(program), &data)
    }

    pub fn log(self) -> EventLog {
        EventLog::Sent(self.log)
    }
}

/// Hello, request, proof with this log.
async fn proven(lab: &Lab, machine: &Machine, chip: &mut Chip, log: EventLog) {
    let greeted = machine.greet(lab).await;
    let challenge = ask(lab, machine, &greeted, chip.keys()).await.tpm.expect("a challenge");
    let mut proof = chip.prove(&challenge, &machine.spki());
    proof.log = log;
    let (status, reply) = send(lab, &greeted, &proof).await;
    assert!(status.is_success(), "{status} {reply}");
}

#[tokio::test]
async fn a_log_proves_what_was_measured_and_one_that_does_not_fit_is_told_and_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let chip = |name: &str| qemu_tests::swtpm::Chip::blank(&dir.path().join(name)).unwrap();
    let (own, lab) = (chip("own"), Lab::open());
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let mut first = Chip::start(&own);
    let log = Firmware::new(&mut first).secure_boot(b"db").starts("\\good.efi", b"good").log();
    proven(&lab, &machine, &mut first, log).await;
    let told = lab.says(&["describe", "node", "n1"]);
    for words in [
        "Secure Boot is on, as its TPM proves".to_owned(),
        format!("db {}", &Sha256::of(b"db").hex()[..12]),
        format!("\\good.efi (SHA-256 {})", &Sha256::of(b"good").hex()[..12]),
    ] {
        assert!(told.contains(&words), "{words}: {told}");
    }
    drop(first);

    // The machine is started again, and something else starts; a key that may start things was added.
    let history = || lab.describe("n1")["history"].to_string();
    let mut second = Chip::start(&own);
    let log = Firmware::new(&mut second).secure_boot(b"db, and one more").starts("\\evil.efi", b"evil").log();
    let machine = Machine { run: "run-2".parse().unwrap(), ..machine };
    proven(&lab, &machine, &mut second, log).await;
    let told = history();
    assert!(told.contains("PCR 7 (Secure Boot): db changed"), "{told}");
    let (evil, good) = (Sha256::of(b"evil").hex(), Sha256::of(b"good").hex());
    let words =
        format!("now started \\\\evil.efi (SHA-256 {}), before \\\\good.efi (SHA-256 {})", &evil[..12], &good[..12]);
    assert!(told.contains(&words), "{told}");
    drop(second);

    // It says that it is as before, and its TPM says that it is not.
    let mut third = Chip::start(&own);
    let claimed = Firmware::new(&mut third).secure_boot(b"db").starts("\\good.efi", b"good").log();
    let hidden = Firmware::new(&mut third).starts("\\evil.efi", b"evil");
    drop(hidden);
    let machine = Machine { run: "run-3".parse().unwrap(), ..machine };
    proven(&lab, &machine, &mut third, claimed).await;
    let told = history();
    assert!(told.contains("does not fit what its TPM has quoted: it does not make PCR 4"), "{told}");
    let node = lab.describe("n1");
    assert_eq!(node["boot_trust"], "measured", "the quote stands");
    let told = lab.says(&["describe", "node", "n1"]);
    assert!(told.contains("as it says") && told.contains("not believed: it does not make PCR 4"), "{told}");
}

#[tokio::test]
async fn a_log_of_a_machine_that_waits_counts_when_it_is_admitted_and_one_that_is_too_long_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let own = qemu_tests::swtpm::Chip::blank(&dir.path().join("own")).unwrap();
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let mut chip = Chip::start(&own);
    let greeted = machine.greet(&lab).await;
    let challenge = ask(&lab, &machine, &greeted, chip.keys()).await.tpm.unwrap();
    let log = Firmware::new(&mut chip).secure_boot(b"db").log();
    let mut proof = chip.prove(&challenge, &machine.spki());
    proof.log = log;
    assert!(send(&lab, &greeted, &proof).await.0.is_success());
    lab.says(&["approve", &greeted.code]);
    assert_eq!(lab.describe("n1")["tpm"]["proven"]["log"]["fits"]["secure_boot"]["state"], "on");
    drop(chip);

    let mut chip = Chip::start(&own);
    let changed = Firmware::new(&mut chip).secure_boot(b"another db").log();
    let machine = Machine { run: "run-2".parse().unwrap(), ..machine };
    proven(&lab, &machine, &mut chip, changed).await;
    let history = lab.describe("n1")["history"].to_string();
    assert!(history.contains("PCR 7 (Secure Boot): db changed"), "{history}");
    let machine = Machine { run: "run-3".parse().unwrap(), ..machine };
    proven(&lab, &machine, &mut chip, EventLog::Sent(vec![0; (128 << 10) + 1])).await;
    let log = lab.describe("n1")["tpm"]["proven"]["log"].to_string();
    assert!(log.contains("more than 131072 bytes"), "{log}");
}
