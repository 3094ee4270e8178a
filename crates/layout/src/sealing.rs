//! Whether a LUKS device is to be opened by the TPM, in the words in which NixOS hands it to crypttab.

use super::{Fault, Luks, words};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where crypttab's options stand in a LUKS device's `settings`.
const OPTIONS: &str = "crypttabExtraOpts";
/// Without `tpm2-pcrs`: whether the firmware verifies what it boots, and by which keys.
const DEFAULT: u8 = 7;
/// PCRs that tell how a machine was booted, which is otherwise from the network than from its disk; or what the boot
/// order is, which the installation sets.
const OF_THE_BOOT: [u8; 9] = [1, 4, 5, 8, 9, 10, 11, 12, 13];
/// All that a TPM of a PC has.
const LAST: u8 = 23;

/// A key of its own that the TPM opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    /// Which PCRs must be as they were; none: the chip itself is enough.
    pub pcrs: BTreeSet<u8>,
}

impl Luks {
    /// How the key is sealed, where the layout wants that.
    ///
    /// # Errors
    /// Options that cannot be honoured, and what speaks against a sealed key; `at` is where the device stands.
    pub fn sealing(&self, at: &str) -> Result<Option<Sealing>, Fault> {
        let fault = |why: &str| Fault::at(&format!("{at}.settings.{OPTIONS}"), why);
        let (mut device, mut pcrs) = (None, None);
        for option in self.options().ok_or_else(|| fault("it is not a list of words"))? {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match key {
                "tpm2-device" => device = Some(value),
                "tpm2-pcrs" => pcrs = Some(numbers(value).map_err(|fault| Fault { at: at_options(at), ..fault })?),
                "tpm2-pin" if ["no", "n", "false", "f", "off", "0"].contains(&value) => {}
                // What the installed system does once the device is open.
                "tpm2-measure-pcr" | "tpm2-measure-bank" => {}
                other if other.starts_with("tpm2-") => return Err(cannot(at, other)),
                _ => {}
            }
        }
        match (device, pcrs) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(fault("tpm2-pcrs without tpm2-device seals nothing")
                .with_remedy("add tpm2-device=auto, or take tpm2-pcrs out")),
            (Some(device), _) if !["auto", "/dev/tpmrm0", "/dev/tpm0"].contains(&device) => {
                Err(fault(&format!("tpm2-device={device} is not the TPM that a key is sealed to here"))
                    .with_remedy("say tpm2-device=auto"))
            }
            (Some(_), pcrs) => {
                self.no_other_way(at)?;
                Ok(Some(Sealing { pcrs: pcrs.unwrap_or_else(|| BTreeSet::from([DEFAULT])) }))
            }
        }
    }

    /// Each option of crypttab by itself; nothing where they are no list of words.
    fn options(&self) -> Option<Vec<&str>> {
        let listed = match self.settings.get(OPTIONS) {
            None | Some(Value::Null) => return Some(Vec::new()),
            Some(listed) => listed.as_array()?,
        };
        let words = listed.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
        Some(
            words.into_iter().flat_map(|word| word.split(',')).map(str::trim).filter(|word| !word.is_empty()).collect(),
        )
    }

    /// The installed system asks the TPM for the key, and the device has room for what is sealed.
    fn no_other_way(&self, at: &str) -> Result<(), Fault> {
        if self.settings.get("keyFile").is_some_and(|file| !file.is_null()) {
            let why = "with tpm2-device the installed system would take the key file for what is sealed";
            return Err(Fault::at(&format!("{at}.settings.keyFile"), why)
                .with_remedy("name the file as passwordFile: its text stays as a second way to open the device"));
        }
        let arguments = words(&self.extra_format_args).unwrap_or_default();
        let pairs = arguments.iter().zip(arguments.iter().skip(1).map(Some).chain([None]));
        let kind = |(word, next): (&String, Option<&String>)| match word.split_once('=') {
            Some(("--type", kind)) => Some(kind.to_owned()),
            None if word == "--type" || word == "-M" => next.cloned(),
            _ => None,
        };
        if pairs.filter_map(kind).any(|kind| !["luks", "luks2"].contains(&kind.as_str())) {
            let why = "what is sealed is kept in a token, and LUKS2 alone has those";
            return Err(Fault::at(&format!("{at}.extraFormatArgs"), why).with_remedy("take --type out"));
        }
        Ok(())
    }
}

fn at_options(at: &str) -> String {
    format!("{at}.settings.{OPTIONS}")
}

/// Numbers with `+` between them, as systemd 252 takes them.
fn numbers(value: &str) -> Result<BTreeSet<u8>, Fault> {
    let number = |word: &str| {
        let number = word.parse::<u8>().ok().filter(|number| *number <= LAST);
        let wrong = || Fault::at("", &format!("tpm2-pcrs: {word:?} is not the number of a PCR, from 0 to {LAST}"));
        let number = number.ok_or_else(|| wrong().with_remedy("write numbers with + between them: tpm2-pcrs=7+14"))?;
        if OF_THE_BOOT.contains(&number) {
            let why = format!("tpm2-pcrs: PCR {number} is another one when the installed system boots");
            return Err(Fault::at("", &why).with_remedy(
                "name PCRs that installer and installed system have in common (0, 2, 3, 7, 14); to others, seal from \
                 the installed system: systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto --tpm2-pcrs=...",
            ));
        }
        Ok(number)
    };
    value.split('+').filter(|_| !value.is_empty()).map(number).collect()
}

fn cannot(at: &str, option: &str) -> Fault {
    let why = match option {
        "tpm2-pin" => "tpm2-pin: nobody is there to type a PIN".to_owned(),
        other => format!("{other} is not among what is sealed here"),
    };
    Fault::at(&at_options(at), &why).with_remedy(
        "take it out; from the installed system, systemd-cryptenroll --wipe-slot=tpm2 seals with it afterwards",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn luks(options: &Value, more: &Value) -> Luks {
        let mut luks = json!({"name": "c", "passwordFile": "/k", "settings": {OPTIONS: options}});
        let (luks, more) = (luks.as_object_mut().unwrap(), more.as_object().unwrap());
        let settings = more.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
        luks["settings"].as_object_mut().unwrap().extend(settings);
        luks.extend(more.iter().filter(|(key, _)| *key != "settings").map(|(key, value)| (key.clone(), value.clone())));
        serde_json::from_value(Value::Object(luks.clone())).unwrap()
    }

    fn sealing(options: &Value) -> Result<Option<Vec<u8>>, Fault> {
        Ok(luks(options, &json!({})).sealing("x")?.map(|sealing| sealing.pcrs.into_iter().collect()))
    }

    #[test]
    fn a_key_is_sealed_where_crypttab_s_options_name_the_tpm_and_to_pcr_7_unless_they_say_otherwise() {
        for (options, pcrs) in [
            (json!(["tpm2-device=auto"]), &[7][..]),
            (json!(["discard,tpm2-device=/dev/tpmrm0", "x-initrd.attach", "tpm2-measure-pcr=yes"]), &[7]),
            (json!(["tpm2-device=auto", "tpm2-pcrs=14+7+7", "tpm2-pin=no"]), &[7, 14]),
            (json!(["tpm2-pcrs=", "tpm2-device=auto"]), &[]),
        ] {
            assert_eq!(sealing(&options), Ok(Some(pcrs.to_vec())), "{options}");
        }
        for options in
            [json!(null), json!([]), json!(["discard", "nofail", "some-option-of-tomorrow=1", "fido2-device=auto"])]
        {
            assert_eq!(sealing(&options), Ok(None), "{options}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_what_to_do() {
        for (options, why) in [
            (json!("tpm2-device=auto"), "not a list of words"),
            (json!([1]), "not a list of words"),
            (json!(["tpm2-device=/dev/tpmrm1"]), "/dev/tpmrm1 is not the TPM"),
            (json!(["tpm2-device"]), "is not the TPM"),
            (json!(["tpm2-pcrs=7"]), "seals nothing"),
            (json!(["tpm2-device=auto", "tpm2-pin=yes"]), "nobody is there to type a PIN"),
            (json!(["tpm2-device=auto", "tpm2-signature=/x.json"]), "tpm2-signature is not among"),
            (json!(["tpm2-device=auto", "tpm2-pcrlock=/x.json"]), "tpm2-pcrlock is not among"),
            (json!(["tpm2-device=auto", "tpm2-pcrs=24"]), "\"24\" is not the number"),
            (json!(["tpm2-device=auto", "tpm2-pcrs=7+"]), "\"\" is not the number"),
            (json!(["tpm2-device=auto", "tpm2-pcrs=secure-boot-policy"]), "is not the number"),
            (json!(["tpm2-device=auto", "tpm2-pcrs=4"]), "PCR 4 is another one"),
            (json!(["tpm2-device=auto", "tpm2-pcrs=7+11"]), "PCR 11 is another one"),
        ] {
            let fault = sealing(&options).unwrap_err();
            assert!(fault.why.contains(why) && fault.at == "x.settings.crypttabExtraOpts", "{options}: {fault:?}");
        }
    }

    #[test]
    fn a_device_that_the_installed_system_would_not_open_by_what_is_sealed_is_refused() {
        let options = json!(["tpm2-device=auto"]);
        for (more, at) in [
            (json!({"settings": {"keyFile": "/k"}}), "x.settings.keyFile"),
            (json!({"extraFormatArgs": ["--type luks1"]}), "x.extraFormatArgs"),
            (json!({"extraFormatArgs": ["--type=luks1"]}), "x.extraFormatArgs"),
            (json!({"extraFormatArgs": ["-M", "luks1"]}), "x.extraFormatArgs"),
        ] {
            let fault = luks(&options, &more).sealing("x").unwrap_err();
            assert!(fault.at == at && fault.remedy.is_some(), "{more}: {fault:?}");
            assert_eq!(luks(&json!([]), &more).sealing("x"), Ok(None));
        }
        assert!(luks(&options, &json!({"extraFormatArgs": ["--type luks2 --iter-time 1"]})).sealing("x").is_ok());
    }
}
