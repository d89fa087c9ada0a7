//! Gives the fuzzer's bytes to the target `sync_responder`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::ledger::sync_responder(bytes));
