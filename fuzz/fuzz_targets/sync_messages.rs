//! Gives the fuzzer's bytes to the target `sync_messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::decode::sync_messages(bytes));
