//! Gives the fuzzer's bytes to the target `api_body`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_fuzz::api_body(bytes));
