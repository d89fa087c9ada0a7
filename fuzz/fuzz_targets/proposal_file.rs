//! Gives the fuzzer's bytes to the target `proposal_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_fuzz::proposal_file(bytes));
