//! Gives the fuzzer's bytes to the target `genesis`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::decode::genesis(bytes));
