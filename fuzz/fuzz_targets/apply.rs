//! Gives the fuzzer's bytes to the target `apply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::rules::apply(bytes));
