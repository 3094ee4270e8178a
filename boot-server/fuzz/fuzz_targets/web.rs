#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| boot_server::properties::web(bytes));
