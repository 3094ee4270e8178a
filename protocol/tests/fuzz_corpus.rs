//! Everything that fuzzing has found worth keeping, read again at each test run.

#![allow(missing_docs, reason = "a test")]

#[path = "../fuzz/properties.rs"]
mod properties;

fn for_each(target: &str, property: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        property(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count > 20, "{folder} has only {count} files");
}

#[test]
fn archives_of_the_corpus_are_refused_or_round_trip() {
    for_each("nar", properties::nar);
}

#[test]
fn narinfos_of_the_corpus_are_refused_or_round_trip() {
    for_each("narinfo", properties::narinfo);
}
