//! Every layout that fuzzing has found worth keeping, and one of each kind, read again at each test run.

#[path = "../../fuzz/properties.rs"]
mod properties;

#[test]
fn layouts_of_the_corpus_are_refused_or_planned_within_their_disks() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/layout");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 20, "{folder} has only {} files", files.len());
    files.iter().for_each(|file| properties::layout(&std::fs::read(file).unwrap()));
}
