//! Wires: the daemon, its HTTP API and the command line that uses nothing else. No rule lives here.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod api;
pub mod cli;
pub mod daemon;
pub mod demo;
pub mod dev;
pub mod ics;
pub mod wiring;
