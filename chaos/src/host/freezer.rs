//! Owns stopping a whole group of processes at once with the kernel's freezer, as a machine that hangs: unlike SIGSTOP it
//! stops the processes that a node started as well, and nothing inside can notice it.

use std::{fs, io, path::PathBuf};

use super::{
    HostError,
    inventory::{Inventory, Thing},
    processes,
};

/// Where the freezer of the first version of control groups is mounted.
const ROOT: &str = "/sys/fs/cgroup/freezer";

/// A group of processes that can be frozen.
#[derive(Debug, Clone)]
pub struct Freezer {
    name: String,
}

/// Whether this kernel has it.
#[must_use]
pub fn is_mounted() -> bool {
    PathBuf::from(ROOT).join("cgroup.procs").exists()
}

impl Freezer {
    /// Makes a group; its name is recorded first.
    ///
    /// # Errors
    /// The inventory cannot be written, or the system refuses.
    pub fn create(inventory: &Inventory, name: String) -> Result<Self, HostError> {
        inventory.record(Thing::Freezer { name: name.clone() })?;
        let freezer = Self { name };
        let path = freezer.path();
        fs::create_dir(&path).map_err(|source| HostError::Io { doing: "make", path, source })?;
        Ok(freezer)
    }

    /// Puts a process into the group; what it starts later is in it too.
    ///
    /// # Errors
    /// The process has ended.
    pub fn add(&self, pid: u32) -> Result<(), HostError> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Stops every process of the group.
    ///
    /// # Errors
    /// The system refuses.
    pub fn freeze(&self) -> Result<(), HostError> {
        self.write("freezer.state", "FROZEN")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn thaw(&self) -> Result<(), HostError> {
        self.write("freezer.state", "THAWED")
    }

    fn write(&self, file: &str, text: &str) -> Result<(), HostError> {
        let path = self.path().join(file);
        fs::write(&path, text).map_err(|source| HostError::Io { doing: "write", path, source })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(ROOT).join(&self.name)
    }
}

/// Thaws a group so that its processes can be killed; one that is gone is no error.
pub(super) fn thaw(name: &str) {
    // The group may never have been made.
    let _gone = Freezer { name: name.to_owned() }.thaw();
}

/// Removes an empty group; one that is gone is no error.
pub(super) fn remove(name: &str) -> Result<(), HostError> {
    let path = Freezer { name: name.to_owned() }.path();
    let removed = processes::outlast(|| match fs::remove_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    });
    removed.map_err(|source| HostError::Io { doing: "remove", path, source })
}
