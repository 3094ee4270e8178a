#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nix_store::properties::narinfo(bytes));
