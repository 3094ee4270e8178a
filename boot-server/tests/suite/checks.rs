//! `serve --check`: what is wrong with a server's folder is told before the server is started, and nothing is changed by that.

use super::lab::{BINARY, Lab, path};
use std::{collections::BTreeMap, path::Path, process::Command};

const MAC: &str = "52:54:00:00:00:01";

/// What is printed, where it is refused.
fn refused(lab: &Lab, credentials: Option<&Path>, words: &[&str]) -> Option<String> {
    let mut serve = Command::new(BINARY);
    serve.arg("serve").args(words).arg("--config").arg(lab.dir().join("config.toml"));
    if let Some(folder) = credentials {
        serve.env("CREDENTIALS_DIRECTORY", folder);
    }
    let output = serve.output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn checked(lab: &Lab) -> Option<String> {
    refused(lab, None, &["--check"])
}

/// Every file of the folder itself.
fn files(lab: &Lab) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

#[test]
fn a_folder_that_lacks_what_the_server_needs_is_refused_by_name_before_the_server_is_started() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    assert_eq!(checked(&lab), None, "beside a server that runs");
    assert!(lab.stop());
    // The root's key is kept elsewhere: nothing stands in for who issues.
    std::fs::remove_file(lab.dir().join("ca.key")).unwrap();
    let whole = files(&lab);
    assert_eq!(checked(&lab), None);
    for name in ["secrets.key", "issuing.key", "issuing.crt", "manifest.key", "ca.crt", "state.db"] {
        let file = lab.dir().join(name);
        std::fs::remove_file(&file).unwrap();
        let said = checked(&lab).expect(name);
        assert!(said.contains(name) && !said.contains("correct the key that is named"), "{name}: {said}");
        assert!(refused(&lab, None, &[]).is_some(), "{name}: serve refuses it as well");
        std::fs::write(&file, &whole[name]).unwrap();
    }
    assert_eq!(checked(&lab), None);
    assert_eq!(files(&lab).keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "no file was made");
    assert_eq!(files(&lab), whole, "and none was changed");
    lab.serve();
}

#[test]
fn files_of_another_server_are_refused_before_the_server_is_started() {
    let (mut lab, other) = (Lab::open(), Lab::made("", &[]));
    lab.apply("n1", MAC);
    lab.kill();
    let whole = files(&lab);
    for (names, why) in [
        (&["secrets.key"][..], "another key"),
        (&["issuing.key"], "the key is not that of"),
        (&["ca.crt"], "reading the CA in"),
        (&["ca.crt", "issuing.crt", "issuing.key"], "it is not the one of trust.json"),
        (&["manifest.key"], "it is not the one of trust.json"),
    ] {
        for name in names {
            std::fs::copy(other.dir().join(name), lab.dir().join(name)).unwrap();
        }
        let said = checked(&lab).unwrap_or_default();
        assert!(said.contains("E-CONFIG") && said.contains(why), "{names:?}: {said}");
        for name in names {
            std::fs::write(lab.dir().join(name), &whole[*name]).unwrap();
        }
    }
    assert_eq!(checked(&lab), None, "what a killed server has left beside its database is read");
    assert_eq!(files(&lab).keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
}

#[test]
fn the_key_of_the_secrets_may_be_a_credential() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    assert!(lab.stop());
    let credentials = lab.file("credentials", "").with_extension("d");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::rename(lab.dir().join("secrets.key"), credentials.join("secrets.key")).unwrap();
    assert_eq!(refused(&lab, Some(&credentials), &["--check"]), None);
    let said = checked(&lab).unwrap();
    assert!(said.contains(path(&lab.dir().join("secrets.key"))), "{said}");
}
