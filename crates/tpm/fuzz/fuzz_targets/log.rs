#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tpm::properties::log(bytes));
