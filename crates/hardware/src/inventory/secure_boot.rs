//! Secure Boot, as the firmware's variables say.

use super::sysfs::Dir;
use protocol::{
    boot_trust::{SecureBoot, SecureBootState},
    encoding::Sha256,
};

const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SECURITY: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
/// efivarfs puts a variable's attributes before its value.
const ATTRIBUTES: usize = 4;

/// What the variables say; nothing on BIOS.
pub fn read(sys: &Dir) -> SecureBoot {
    let variables = sys.join("firmware/efi/efivars");
    let value = |name: &str, vendor: &str| {
        let bytes = variables.bytes(&format!("{name}-{vendor}"))?;
        bytes.get(ATTRIBUTES..).map(<[u8]>::to_vec)
    };
    let flag = |name| value(name, GLOBAL).and_then(|value| value.first().copied());
    let state = match (flag("SecureBoot"), flag("SetupMode")) {
        (None, _) => SecureBootState::Absent,
        (Some(_), Some(1)) => SecureBootState::Setup,
        (Some(1), _) => SecureBootState::On,
        (Some(_), _) => SecureBootState::Off,
    };
    let hash = |name, vendor| value(name, vendor).map(|value| Sha256::of(&value));
    SecureBoot {
        state,
        pk: hash("PK", GLOBAL),
        kek: hash("KEK", GLOBAL),
        db: hash("db", SECURITY),
        dbx: hash("dbx", SECURITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_variables_say_is_read_and_setup_mode_goes_before() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(read(&Dir::new(sys.path())), SecureBoot::default());
        let folder = sys.path().join("firmware/efi/efivars");
        std::fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, vendor: &str, value: &[u8]| {
            std::fs::write(folder.join(format!("{name}-{vendor}")), [&[7, 0, 0, 0], value].concat()).unwrap();
        };
        let state = || read(&Dir::new(sys.path())).state;
        put("SecureBoot", GLOBAL, &[0]);
        assert_eq!(state(), SecureBootState::Off);
        put("SecureBoot", GLOBAL, &[1]);
        put("SetupMode", GLOBAL, &[0]);
        put("db", SECURITY, b"keys");
        assert_eq!(state(), SecureBootState::On);
        assert_eq!(read(&Dir::new(sys.path())).db, Some(Sha256::of(b"keys")));
        put("SetupMode", GLOBAL, &[1]);
        assert_eq!(state(), SecureBootState::Setup);
        std::fs::write(folder.join(format!("SecureBoot-{GLOBAL}")), [7, 0]).unwrap();
        assert_eq!(state(), SecureBootState::Absent, "a variable without a value says nothing");
    }
}
