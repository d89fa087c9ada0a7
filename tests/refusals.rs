//! What the program says to wrong input, as an operator or a newcomer meets it: real processes, messages pinned.

#[path = "refusals/artefact.rs"]
mod artefact;
#[path = "refusals/clock.rs"]
mod clock;
#[path = "refusals/configuration.rs"]
mod configuration;
#[path = "refusals/data_directory.rs"]
mod data_directory;
#[path = "refusals/genesis.rs"]
mod genesis;
#[path = "refusals/newcomer.rs"]
mod newcomer;
#[path = "refusals/peer.rs"]
mod peer;
#[path = "refusals/port.rs"]
mod port;
#[path = "refusals/program.rs"]
mod program;
