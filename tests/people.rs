//! The API over real sockets and the command line against it, on a ledger of known keys.

#[path = "people/api.rs"]
mod api;
#[path = "people/cli.rs"]
mod cli;
#[path = "people/examples.rs"]
mod examples;
#[path = "people/mesh.rs"]
mod mesh;
