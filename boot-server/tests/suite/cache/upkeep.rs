//! `boot-server closure list|verify|gc`

use super::world::{World, hash};
use crate::{
    lab::{Lab, path, spec},
    machine::Machine,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, SystemTime},
};

const MAC: &str = "52:54:00:00:00:01";

fn apply(lab: &Lab, toplevel: &str) {
    let mut spec = spec("n1", MAC);
    spec["system"]["toplevel"] = toplevel.into();
    lab.apply_spec(&spec);
}

fn narinfo(lab: &Lab, path: &str) -> PathBuf {
    lab.dir().join(format!("cache/{}.narinfo", hash(path)))
}

fn nar(lab: &Lab, path: &str) -> PathBuf {
    let text = fs::read_to_string(narinfo(lab, path)).unwrap();
    lab.dir().join("cache").join(text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap())
}

fn says_json(lab: &Lab, words: &[&str]) -> Value {
    serde_json::from_slice(&lab.verb(&[&["closure"], words, &["-o", "json"]].concat()).stdout).unwrap()
}

#[test]
fn gc_keeps_what_a_node_needs_and_frees_the_rest() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, middle, top] = world.closure();
    let own = world.leaf("own", 5000);
    let other = world.refer("other", &[&leaf, &own]);
    for toplevel in [&top, &other] {
        world.pushed(&lab, "compression=zstd", toplevel);
    }
    apply(&lab, &top);
    let (gone_nar, kept_nar) = (nar(&lab, &own), nar(&lab, &leaf));
    let size = |path: &str| fs::metadata(nar(&lab, path)).unwrap().len();
    let freed = size(&own) + size(&other);
    assert_eq!(says_json(&lab, &["gc"])["paths"].as_array().unwrap().len(), 0, "everything is new");
    let would = lab.says(&["closure", "gc", "--keep-newer", "0", "--dry-run"]);
    assert!(would.starts_with(&format!("{other}\n{own}\n2 paths and 2 files would be removed")), "{would}");
    assert!(narinfo(&lab, &other).exists() && gone_nar.exists());
    let report = says_json(&lab, &["gc", "--keep-newer", "0"]);
    assert_eq!((report["nars"].as_u64(), report["kept"].as_u64()), (Some(2), Some(3)), "{report}");
    assert_eq!(report["freed_bytes"].as_u64(), Some(freed), "{report}");
    assert!(!narinfo(&lab, &other).exists() && !narinfo(&lab, &own).exists() && !gone_nar.exists());
    assert!(kept_nar.exists() && narinfo(&lab, &middle).exists());
    world.fetch(&lab, &top);
    assert!(lab.says(&["closure", "verify"]).contains("3 paths checked, 0 wrong"));
}

#[test]
fn a_nar_without_a_narinfo_goes_after_a_day() {
    let lab = Lab::open();
    let (old, young) = (lab.dir().join("cache/nar/old.nar"), lab.dir().join("cache/nar/young.nar"));
    for file in [&old, &young] {
        fs::write(file, "x").unwrap();
    }
    let age = Duration::from_secs(25 * 3600);
    File::options().write(true).open(&old).unwrap().set_modified(SystemTime::now() - age).unwrap();
    lab.says(&["closure", "gc"]);
    assert!(!old.exists() && young.exists());
}

#[tokio::test]
async fn what_a_node_was_told_to_install_stays_until_it_is_told_otherwise() {
    let (lab, world) = (Lab::open(), World::new());
    let (one, two) = (world.leaf("one", 100), world.leaf("two", 100));
    for toplevel in [&one, &two] {
        world.pushed(&lab, "compression=zstd", toplevel);
    }
    apply(&lab, &one);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    apply(&lab, &two);
    lab.says(&["closure", "gc", "--keep-newer", "0"]);
    assert!(narinfo(&lab, &one).exists() && narinfo(&lab, &two).exists());
    node.manifest(&lab).await;
    lab.says(&["closure", "gc", "--keep-newer", "0"]);
    assert!(!narinfo(&lab, &one).exists() && narinfo(&lab, &two).exists());
}

#[test]
fn damage_is_found_taken_out_and_repaired_by_a_push() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    world.pushed(&lab, "compression=zstd", &top);
    lab.says(&["closure", "verify"]);
    let file = nar(&lab, &leaf);
    let mut bytes = fs::read(&file).unwrap();
    let middle_byte = bytes.len() / 2;
    bytes[middle_byte] ^= 1;
    fs::write(&file, bytes).unwrap();

    let output = lab.verb(&["closure", "verify"]);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("E-CLOSURE-CORRUPT") && stdout.contains(&leaf) && stdout.contains("1 wrong"), "{stdout}");
    assert!(stderr.contains("--remove"), "{stderr}");
    assert_eq!(lab.verb(&["closure", "verify", &top]).status.code(), Some(1), "it is in the closure of the toplevel");

    let report = says_json(&lab, &["verify", "--remove"]);
    assert_eq!(report["removed"].as_array().unwrap().len(), 3, "all that refers to it: {report}");
    assert!(!file.exists());
    world.pushed(&lab, "compression=zstd", &top);
    assert!(lab.says(&["closure", "verify"]).contains("3 paths checked, 0 wrong"));
    world.fetch(&lab, &top);
}

#[test]
fn what_is_missing_is_found() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, middle, top] = world.closure();
    world.pushed(&lab, "compression=zstd", &top);
    let (text, name) = (fs::read(narinfo(&lab, &leaf)).unwrap(), narinfo(&lab, &leaf));
    fs::remove_file(&name).unwrap();
    let report = says_json(&lab, &["verify"]);
    assert_eq!(report["damaged"].as_array().unwrap().len(), 2, "both that refer to it: {report}");
    assert!(report.to_string().contains("E-CLOSURE-MISSING"));
    let list = says_json(&lab, &["list"]);
    assert_eq!(list["closures"][0]["missing"], 1);
    fs::write(&name, text).unwrap();
    fs::remove_file(nar(&lab, &middle)).unwrap();
    let report = says_json(&lab, &["verify"]);
    assert_eq!(report["damaged"].as_array().unwrap().len(), 1, "{report}");
    let unknown = lab.verb(&["closure", "verify", "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-unknown"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("E-CLOSURE-MISSING"));
}

#[test]
fn a_narinfo_that_cannot_be_read_stops_the_collection_and_not_the_list() {
    let (lab, world) = (Lab::open(), World::new());
    let top = world.leaf("top", 100);
    world.pushed(&lab, "compression=zstd", &top);
    let other = world.leaf("other", 100);
    world.pushed(&lab, "compression=zstd", &other);
    fs::write(narinfo(&lab, &other), "StorePath: nonsense\n").unwrap();
    let refused = lab.verb(&["closure", "gc", "--keep-newer", "0"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("E-CLOSURE-CORRUPT") && stderr.contains("verify --remove"), "{stderr}");
    assert!(narinfo(&lab, &top).exists());
    let list = lab.says(&["closure", "list"]);
    assert!(list.contains(&top) && list.contains("E-CLOSURE-CORRUPT"), "{list}");
    lab.verb(&["closure", "verify", "--remove"]);
    lab.says(&["closure", "gc", "--keep-newer", "0"]);
    assert!(!narinfo(&lab, &top).exists());
}

#[test]
fn the_list_names_toplevels_their_sizes_and_their_nodes() {
    let (lab, world) = (Lab::open(), World::new());
    assert!(lab.says(&["closure", "list"]).contains("The cache is empty"));
    let [_, middle, top] = world.closure();
    world.pushed(&lab, "compression=none", &top);
    let closures = says_json(&lab, &["list"]);
    let closures = closures["closures"].as_array().unwrap();
    assert_eq!(closures.len(), 1, "no other is a toplevel");
    assert_eq!((closures[0]["path"].as_str(), closures[0]["paths"].as_u64()), (Some(top.as_str()), Some(3)));
    assert!(closures[0]["nar_bytes"].as_u64().unwrap() > 300_000);
    apply(&lab, &middle);
    let text = lab.says(&["closure", "list"]);
    assert!(text.contains(&top) && text.contains(&middle) && text.contains("n1"), "{text}");
}

#[test]
fn what_nobody_has_signed_is_told_before_there_is_a_spec_and_signing_it_where_it_is_mends_it() {
    let (lab, world) = (Lab::open(), World::new());
    let [leaf, _, top] = world.closure();
    world.pushed(&lab, "compression=none", &top);
    let told = || (lab.says(&["closure", "list"]), lab.says(&["closure", "verify"]));
    assert!(!told().0.contains("unsigned") && !told().1.contains("signed by no key"), "{:?}", told());
    // Most paths of a system are such that their name does not follow from their content.
    let text = fs::read_to_string(narinfo(&lab, &leaf)).unwrap();
    let unsigned: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("CA:") && !line.starts_with("Sig:")).collect();
    fs::write(narinfo(&lab, &leaf), unsigned.join("\n") + "\n").unwrap();
    let (list, verify) = told();
    assert!(list.contains("(1 unsigned)") && list.contains("nix store sign"), "{list}");
    assert!(verify.contains("1 of them") && verify.contains("nix store sign") && verify.contains(&leaf), "{verify}");
    let url = format!("https://127.0.0.1:{}/cache", lab.port("https"));
    world.nix(&format!(
        "nix store sign --refresh --store {url} --netrc-file $PWD/netrc --key-file $PWD/key.sec --recursive {leaf}"
    ));
    assert!(!told().0.contains("unsigned") && !told().1.contains("signed by no key"), "{:?}", told());
}

#[test]
fn nix_that_remembers_what_was_collected_is_told_how_to_ask_again() {
    let (lab, world) = (Lab::open(), World::new());
    let leaf = world.leaf("leaf", 100);
    world.pushed(&lab, "", &leaf);
    lab.says(&["closure", "gc", "--keep-newer", "0"]);
    let top = world.refer("top", &[&leaf]);
    let push = |more: &str| {
        let url = format!("https://127.0.0.1:{}/cache", lab.port("https"));
        world.run(&format!("nix copy {more} --option netrc-file $PWD/netrc --store $PWD/source --to {url} {top}"))
    };
    let refused = push("--option download-attempts 1");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && stderr.contains("E-CLOSURE-MISSING") && stderr.contains("--refresh"),
        "{stderr}"
    );
    let taken = push("--refresh");
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    world.nix(&format!("test -e {}", path(&narinfo(&lab, &leaf))));
}

#[test]
fn only_an_admin_looks_after_the_cache() {
    let lab = Lab::open();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let nobody = lab.nobody();
        assert_eq!(nobody.get("/v1/closures").await.0, 403);
        for path in ["/v1/closures/gc", "/v1/closures/verify"] {
            assert_eq!(nobody.post(path, &serde_json::json!({"keep_newer_seconds": 0})).await.0, 403);
        }
    });
}
