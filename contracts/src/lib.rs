//! Decides: the governance contracts and the ledger's data. Pure, deterministic, bounded; no I/O, no clock.
//!
//! The one door into the rules is [`state::State::apply`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod act;
pub mod attempt;
pub mod backtest;
pub mod block;
pub mod bond;
pub mod calendar;
pub mod canonical;
pub mod certificate;
pub mod constitution;
pub mod delegation;
pub mod digest;
pub mod document;
pub mod dormancy;
pub mod electorate;
pub mod emergency;
pub mod event;
pub mod expiry;
pub mod explain;
pub mod genesis;
pub mod invariant;
pub mod ledger;
mod lifecycle;
pub mod name;
pub mod parties;
pub mod plan;
pub mod proposal;
pub mod quantity;
pub mod recovery;
pub mod rehearsal;
pub mod reject;
pub mod role;
pub mod rules;
pub mod shared_map;
pub mod signature;
pub mod stage;
pub mod state;
pub mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trail;
pub mod transaction;
pub mod weighing;

#[cfg(test)]
mod fixtures;
