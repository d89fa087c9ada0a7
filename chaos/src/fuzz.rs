//! Owns what is fuzzed: one function a target, from arbitrary bytes to a panic when something does not hold. The
//! fuzzer in `fuzz/` and the ordinary tests over the kept corpus run the same functions.

#![expect(clippy::missing_panics_doc, reason = "to panic is how a target says that something does not hold")]

pub mod decode;
pub mod files;
pub mod ledger;
pub mod rules;
pub mod seeds;
mod spoken;
#[cfg(test)]
mod tests;

/// A target: its name, which is also that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target that needs nothing of the daemon's own crate.
pub const TARGETS: [Target; 15] = [
    ("apply", rules::apply),
    ("block", decode::block),
    ("bundle", files::bundle),
    ("certificate", decode::certificate),
    ("configuration", files::configuration),
    ("consensus", ledger::consensus),
    ("genesis", decode::genesis),
    ("genesis_file", files::genesis),
    ("journal", files::journal),
    ("ledger_message", decode::ledger_message),
    ("log", files::log),
    ("snapshot", decode::snapshot),
    ("sync_messages", decode::sync_messages),
    ("sync_responder", ledger::sync_responder),
    ("transaction", decode::transaction),
];
