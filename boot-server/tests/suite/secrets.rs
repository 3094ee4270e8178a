//! Secrets of nodes at rest.

use super::{
    earlier,
    lab::{BINARY, Lab},
    machine::Machine,
};
use serde_json::Value;
use std::{path::PathBuf, process::Command};

const MAC: &str = "52:54:00:00:00:01";

/// Files of the server's folder that have the text.
fn with(lab: &Lab, text: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    entries.filter(|path| path.is_file()).filter(has).collect()
}

#[tokio::test]
async fn a_secret_is_in_no_file_of_the_server_and_is_handed_out_to_its_node_after_a_restart() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    lab.apply("n1", MAC);
    assert_eq!(with(&lab, "secret of n1"), Vec::<PathBuf>::new());
    assert!(!with(&lab, "52:54:00:00:00:01").is_empty(), "the rest of the spec is there");
    assert!(lab.stop());
    assert_eq!(with(&lab, "secret of n1"), Vec::<PathBuf>::new());
    lab.serve();
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let (_, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
    let contents = bundle["files"].as_array().unwrap().iter().map(|file| file["content"].clone());
    assert!(contents.clone().any(|content| content == "secret of n1"), "{:?}", contents.collect::<Vec<Value>>());
    assert!(!lab.describe("n1").to_string().contains("secret of n1"));
}

#[tokio::test]
async fn what_an_earlier_release_left_in_the_clear_is_sealed_and_leaves_no_trace() {
    let mut lab = earlier::opened(6).await;
    for name in ["member", "installing", "expected"] {
        assert_eq!(with(&lab, &format!("secret of {name}")), Vec::<PathBuf>::new());
    }
    assert!(lab.stop());
    assert_eq!(with(&lab, "secret of"), Vec::<PathBuf>::new());
}

#[test]
fn a_server_whose_key_is_gone_does_not_start_and_says_what_brings_it_back() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    assert!(lab.stop());
    let (key, aside) = (lab.dir().join("secrets.key"), lab.dir().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let serve =
        || Command::new(BINARY).args(["serve", "--config"]).arg(lab.dir().join("config.toml")).output().unwrap();
    let refused = serve();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("E-CONFIG") && said.contains("bring secrets.key back"),
        "{said}"
    );
    assert!(!key.exists(), "no other key is made");
    std::fs::rename(aside, key).unwrap();
    lab.serve();
    assert_eq!(lab.state_of("n1"), "expected");
}
