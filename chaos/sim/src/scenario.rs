//! Owns what can be run: one module a scenario.

pub mod gossip;
pub mod mesh;
pub mod stack;
