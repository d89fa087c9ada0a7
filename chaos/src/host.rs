//! Owns the machine as a place to break meshes on: namespaces, devices and disks that a run makes and takes away again,
//! and what this machine can do at all. Refuses to make anything that is not in the run's [`inventory`].

pub mod disk;
pub mod facility;
pub mod freezer;
pub mod inventory;
pub mod namespace;
mod processes;
pub mod switch;
pub mod tool;

use std::{io, path::PathBuf};

use tool::ToolError;

/// Why the machine does not do what a run needs.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the system.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A device.
    #[error("cannot make a TAP device in {namespace}")]
    Tap {
        /// The namespace.
        namespace: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A tool of the machine.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

/// Kills every process whose environment has an entry that begins so, and waits until all are gone: what a power cut does
/// to the processes of a machine.
///
/// # Errors
/// One is still there.
pub fn end_processes(environment: &str) -> Result<(), HostError> {
    processes::kill_marked(environment)
}
