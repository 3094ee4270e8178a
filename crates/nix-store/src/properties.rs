//! What holds for any bytes: the fuzz targets call it, and tests with everything of their corpora.

/// An archive that is read is the only one of its tree: written again, it has the same bytes.
pub fn nar(bytes: &[u8]) {
    use crate::nar::{Writer, unpack};
    let mut writer = Writer::new(Vec::new()).expect("a Vec takes everything");
    if unpack(bytes, &mut writer).is_ok() {
        assert_eq!(writer.into_inner(), bytes);
    }
}

/// A narinfo that is read is written as one that says the same.
pub fn narinfo(bytes: &[u8]) {
    use crate::narinfo::parse;
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(info) = parse(text) {
        assert_eq!(parse(&info.to_string()), Ok(info));
    }
}

#[cfg(test)]
mod tests {
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
        for_each("nar", super::nar);
    }

    #[test]
    fn narinfos_of_the_corpus_are_refused_or_round_trip() {
        for_each("narinfo", super::narinfo);
    }
}
