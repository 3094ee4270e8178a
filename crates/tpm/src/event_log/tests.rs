use super::*;
use protocol::{boot_trust::SecureBootState, measured::Measured};

const SEPARATOR: u32 = 4;
const EFI_ACTION: u32 = 0x8000_0007;
const VARIABLE: u32 = 0x8000_0001;
const APPLICATION: u32 = 0x8000_0003;
const GLOBAL: [u8; 16] = [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 3, 0x2b, 0x8c];
const SECURITY: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];

/// A log as a firmware with SHA-1 and SHA-256 writes it.
#[derive(Clone)]
struct Firmware(Vec<u8>);

impl Firmware {
    fn new() -> Self {
        let header =
            [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 11, 0, 32, 0, 0]].concat();
        let first =
            [&[0; 4][..], &3u32.to_le_bytes(), &[0; 20], &(header.len() as u32).to_le_bytes(), &header].concat();
        Self(first)
    }

    fn event(mut self, pcr: u32, kind: u32, digest: Sha256, data: &[u8]) -> Self {
        for part in [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &[2, 0, 0, 0, 4, 0], &[7; 20], &[11, 0], &digest.0] {
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(&(data.len() as u32).to_le_bytes());
        self.0.extend_from_slice(data);
        self
    }

    /// What is told is what is measured.
    fn told(self, pcr: u32, kind: u32, data: &[u8]) -> Self {
        self.event(pcr, kind, Sha256::of(data), data)
    }

    fn setting(self, vendor: [u8; 16], name: &str, value: &[u8]) -> Self {
        self.told(7, VARIABLE, &variable(vendor, name, value))
    }

    fn secure_boot(self, on: u8) -> Self {
        let with =
            self.setting(GLOBAL, "SecureBoot", &[on]).setting(GLOBAL, "PK", b"pk").setting(GLOBAL, "KEK", b"kek");
        with.setting(SECURITY, "db", b"db").setting(SECURITY, "dbx", b"").told(7, SEPARATOR, &[0; 4])
    }

    fn said(&self) -> Said {
        read(&self.0, &self.pcrs()).unwrap()
    }

    fn measured(&self) -> Measured {
        self.said().measured
    }

    fn pcrs(&self) -> Pcrs {
        replayed(&events(&self.0).unwrap())
    }
}

fn variable(vendor: [u8; 16], name: &str, value: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = |bytes: usize| (bytes as u64).to_le_bytes();
    [&vendor[..], &length(name.len() / 2), &length(value.len()), &name, value].concat()
}

/// A program of UEFI, from this file.
fn loaded(file: &str) -> Vec<u8> {
    let name: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path = [&[4, 4, name.len() as u8 + 4, 0], &name[..], &[0x7f, 0xff, 4, 0]].concat();
    [&[0; 24][..], &(path.len() as u64).to_le_bytes(), &path].concat()
}

#[test]
fn a_log_that_makes_the_pcrs_proves_secure_boot_its_keys_and_what_was_started() {
    let program = Sha256::of(b"a program");
    let log = Firmware::new().secure_boot(1).told(4, EFI_ACTION, b"Calling EFI Application from Boot Option");
    let log = log.told(4, SEPARATOR, &[0; 4]).event(4, APPLICATION, program, &loaded("\\EFI\\BOOT\\BOOTX64.EFI"));
    let log = log.setting(SECURITY, "db", &[&[1; 16], &b"an entry"[..]].concat());
    let measured = log.measured();
    let secure_boot = measured.secure_boot.unwrap();
    assert_eq!(secure_boot.state, SecureBootState::On);
    assert_eq!((secure_boot.pk, secure_boot.db), (Some(Sha256::of(b"pk")), Some(Sha256::of(b"db"))));
    assert_eq!(secure_boot.dbx, None, "it is empty");
    assert_eq!(measured.authorities.len(), 1);
    assert_eq!(measured.started.len(), 1, "{:?}", measured.started);
    assert_eq!(measured.started[0].to_string(), format!("\\EFI\\BOOT\\BOOTX64.EFI (SHA-256 {})", &program.hex()[..12]));
}

#[test]
fn a_log_that_does_not_make_the_pcrs_is_not_believed_and_the_pcr_is_named() {
    let log = Firmware::new().secure_boot(1);
    let mut pcrs = log.pcrs();
    pcrs.insert(4, Sha256::of(b"other"));
    pcrs.remove(&2);
    assert_eq!(read(&log.0, &pcrs).unwrap_err(), "it does not make PCR 2, 4");
    let shorter = &log.0[..log.0.len() - 1];
    assert!(read(shorter, &log.pcrs()).unwrap_err().contains("no log with SHA-256"));
    assert!(read(&[], &log.pcrs()).is_err() && read(&vec![0; MOST_LOG + 1], &log.pcrs()).is_err());
}

#[test]
fn what_was_measured_after_secure_boot_was_told_off_does_not_switch_it_on() {
    let off = Firmware::new().secure_boot(0);
    let state = |log: &Firmware| log.measured().secure_boot.map(|secure_boot| secure_boot.state);
    assert_eq!(state(&off), Some(SecureBootState::Off));
    // Whoever runs can measure what he likes, but behind it.
    assert_eq!(state(&off.secure_boot(1)), Some(SecureBootState::Off));
    // He can tell another story of what was measured before: then nothing is proven.
    let word = Sha256::of(&variable(GLOBAL, "SecureBoot", &[0]));
    let forged = Firmware::new().event(7, EFI_ACTION, word, b"never mind").secure_boot(1);
    assert_eq!(state(&forged), None);
    let forged = Firmware::new().event(7, VARIABLE, word, &variable(GLOBAL, "SecureBoot", &[1])).secure_boot(1);
    assert_eq!(state(&forged), None);
    // Nor does the kind count, which is not measured.
    let off = variable(GLOBAL, "SecureBoot", &[0]);
    assert_eq!(state(&Firmware::new().told(7, EFI_ACTION, &off).secure_boot(1)), Some(SecureBootState::Off));
    let without_end = Firmware::new().setting(GLOBAL, "SecureBoot", &[1]);
    assert_eq!(state(&without_end), None, "nothing says where the firmware's own part ends");
    let of_another = Firmware::new().setting(SECURITY, "SecureBoot", &[1]).told(7, SEPARATOR, &[0; 4]);
    assert_eq!(state(&of_another), None, "it is a variable of somebody else");
}

#[test]
fn without_a_platform_key_whoever_comes_first_may_write_the_keys() {
    let log =
        Firmware::new().setting(GLOBAL, "SecureBoot", &[0]).setting(GLOBAL, "PK", b"").told(7, SEPARATOR, &[0; 4]);
    assert_eq!(log.measured().secure_boot.unwrap().state, SecureBootState::Setup);
}

#[test]
fn a_program_is_named_whatever_the_log_calls_it() {
    let program = Sha256::of(b"a program");
    for (kind, data) in [(EFI_ACTION, &b"Calling EFI Application"[..]), (SEPARATOR, &[0; 4]), (0x1234, b"")] {
        let log = Firmware::new().event(4, kind, program, data);
        let started = log.measured().started;
        assert_eq!(started.iter().map(|started| started.sha256).collect::<Vec<_>>(), [program], "{kind:#x}");
    }
    // A short program is no word of the firmware, though it is what was measured.
    assert_eq!(Firmware::new().told(4, EFI_ACTION, b"MZ\x90\0").measured().started.len(), 1);
}

#[test]
fn pcr_0_begins_with_the_locality_that_started_the_tpm_and_what_is_no_action_measures_nothing() {
    let locality =
        |log: Firmware, at: u8| log.event(0, NO_ACTION, Sha256([0; 32]), &[STARTUP_LOCALITY, &[at][..]].concat());
    let plain = Firmware::new().told(0, 8, b"version");
    let value = |log: &Firmware| log.pcrs()[&0];
    let third = locality(Firmware::new(), 3).told(0, 8, b"version");
    assert_ne!(value(&plain), value(&third));
    let mut begins = [0; 32];
    begins[31] = 3;
    assert_eq!(value(&third), Sha256::of(&[begins, Sha256::of(b"version").0].concat()));
    assert_eq!(value(&locality(plain.clone(), 3)), value(&plain), "it comes too late");
    assert_eq!(third.said().things.len(), 1);
}

#[test]
fn of_a_log_that_is_long_as_much_is_kept_as_is_bounded() {
    let many = (0..300).fold(Firmware::new(), |log, n: u32| {
        let program = Sha256::of(&n.to_le_bytes());
        log.event(4, APPLICATION, program, &loaded(&"x".repeat(20))).told(
            7,
            0x8000_00e0,
            &variable(GLOBAL, "list", b"entry"),
        )
    });
    let said = many.said();
    assert_eq!((said.things.len(), said.measured.started.len(), said.measured.more_started), (MOST_THINGS, 32, 268));
    assert_eq!(said.measured.authorities.len(), 16);
}

#[test]
fn a_log_is_read_up_to_its_bound_and_what_is_missing_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let why = |log| if let EventLog::Missing(why) = log { why } else { panic!("{log:?}") };
    assert!(why(found(&path)).contains("No such file"));
    let of = |bytes: usize| {
        std::fs::write(&path, vec![1; bytes]).unwrap();
        found(&path)
    };
    assert!(why(of(0)).contains("empty"));
    assert_eq!(of(MOST_LOG), EventLog::Sent(vec![1; MOST_LOG]));
    assert!(why(of(MOST_LOG + 1)).contains("131072"));
}

/// What OVMF measured of a kernel that was given to it, and of one that it fetched by iPXE of the network card.
#[test]
fn what_a_firmware_has_measured_is_read_with_all_that_it_started() {
    let started = |log: &[u8]| {
        let log = Firmware(log.to_vec());
        let Said { measured, things } = log.said();
        assert_eq!(measured.secure_boot.unwrap().state, SecureBootState::Setup, "OVMF has no keys");
        assert!(things.iter().any(|thing| thing.what == What::Named("BootOrder".to_owned())));
        measured.started.into_iter().map(|started| started.from.unwrap_or_default()).collect::<Vec<_>>()
    };
    let kernel = started(include_bytes!("../../fuzz/corpus/log/ovmf-kernel"));
    assert_eq!(kernel, ["VenMedia(1428f772-b64a-441e-b8c3-9ebdd7f893c7)/kernel"]);
    let fetched = started(include_bytes!("../../fuzz/corpus/log/ovmf-ipxe"));
    assert_eq!(fetched, ["", "PciRoot(0x0)/Pci(0x3,0x0)/MAC(52:54:00:77:00:01)/bzImage"]);
}
