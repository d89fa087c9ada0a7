//! Owns what clients see: one file for each kind of thing, mapped from the ledger's own types.
//!
//! Times are milliseconds since the Unix epoch by the ledger's clock and end in `_ms`; digests are 64 hexadecimal
//! digits. Fields may be added; names and meanings stay.

pub mod act;
pub mod backtest;
pub mod calendar;
pub mod constitution;
pub mod delegation;
pub mod document;
pub mod emergency;
pub mod event;
pub mod execution;
pub mod explain;
pub mod key;
pub mod node;
pub mod page;
pub mod plan;
pub mod progress;
pub mod proposal;
pub mod registry;
pub mod rehearsal;
pub mod rendering;
pub mod time;
pub mod vote;

/// The name of a unit variant as serde writes it.
pub(crate) fn kebab<T: serde::Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a unit variant is a string, not {other:?}"),
    }
}
