//! Gives the fuzzer's bytes to the target `ledger_message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| althing_chaos::fuzz::decode::ledger_message(bytes));
