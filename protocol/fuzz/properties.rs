//! What holds for any bytes. The fuzz targets and the test of the corpus (tests/fuzz_corpus.rs) include this file.

/// An archive that is read is the only one of its tree: written again, it has the same bytes.
pub fn nar(bytes: &[u8]) {
    use protocol::nar::{Writer, unpack};
    let mut writer = Writer::new(Vec::new()).expect("a Vec takes everything");
    if unpack(bytes, &mut writer).is_ok() {
        assert_eq!(writer.into_inner(), bytes);
    }
}

/// A narinfo that is read is written as one that says the same.
pub fn narinfo(bytes: &[u8]) {
    use protocol::narinfo::parse;
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(info) = parse(text) {
        assert_eq!(parse(&info.to_string()), Ok(info));
    }
}
