//! Gives the fuzzer's bytes to the target `consensus`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::ledger::consensus(bytes));
