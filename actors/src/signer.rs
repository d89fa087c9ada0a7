//! Owns the members' keys of this node and the one way from a call to a final transaction: sign, submit, follow.

pub mod actor;
pub mod journal;
pub mod keys;
pub mod message;
pub mod metrics;
pub mod state;
pub mod submitter;
pub mod testimony;
