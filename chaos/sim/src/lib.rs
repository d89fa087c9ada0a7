//! Runs whole nodes in one process, deterministic by a seed: real actors and real libp2p on a simulated network, disk
//! and clock. Refuses to touch a file, a socket or the time of the machine that it runs on.

#[path = "../../../src/wiring/mesh.rs"]
mod binding;
pub mod board;
pub mod clock;
pub mod counters;
pub mod faults;
pub mod home;
pub mod machine;
pub mod node;
#[path = "../../../src/wiring/ports.rs"]
mod ports;
pub mod provider;
pub mod scenario;
pub mod site;
pub mod storage;
pub mod swarm;
pub mod trace;
pub mod transport;
pub mod user;
pub mod world;
