//! Carries: the libp2p mesh of opaque bounded messages, the node's configuration and its keys on disk.
//!
//! Nothing here knows what a message means, and no rule is decided here.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod config;
mod failpoint;
pub mod genesis_file;
pub mod identity;
pub mod keys;
pub mod mesh;
pub mod mesh_init;
