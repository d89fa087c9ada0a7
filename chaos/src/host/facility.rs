//! Owns what a machine has to offer for faults, each found out by trying it in a way that leaves no trace.

use std::{fs::OpenOptions, io, thread};

use althing_actors::failpoint;
use nix::sched::{CloneFlags, unshare};
use serde::Serialize;
use tappers::{Interface, Tap};

use super::{freezer, tool};

/// Where Debian keeps the library that shifts clocks; it stands in for the C library's, so it is found by its path.
const FAKETIME_LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Something that a fault needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facility {
    /// A network namespace a node and a TAP device in each, for the switch.
    Network,
    /// The freezer of control groups.
    Freezer,
    /// File systems in files, that can be shut down without a flush.
    Disks,
    /// The library that shifts a process's clock.
    FakeTime,
    /// The tracer that makes system calls fail.
    Tracer,
    /// Failpoints in the program that the daemons run.
    Failpoints,
    /// A Vault to take away.
    Vault,
}

/// Why a facility is not there, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{why}")]
pub struct Lack {
    /// What is missing.
    pub why: String,
    /// How to get it.
    pub remedy: String,
}

impl Facility {
    /// Whether this machine has it.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub fn check(self) -> Result<(), Lack> {
        match self {
            Self::Network => {
                root("making network namespaces")?;
                tools(&[("ip", "iproute2"), ("nsenter", "util-linux")])?;
                try_device()
            }
            Self::Freezer => {
                root("freezing control groups")?;
                is_there(
                    freezer::is_mounted(),
                    "the freezer of control groups is not mounted",
                    "mount it at /sys/fs/cgroup/freezer",
                )
            }
            Self::Disks => {
                root("mounting file systems")?;
                tools(&[
                    ("losetup", "mount"),
                    ("mount", "mount"),
                    ("mkfs.ext4", "e2fsprogs"),
                    ("xfs_io", "xfsprogs"),
                ])?;
                let opened = OpenOptions::new().read(true).write(true).open("/dev/loop-control");
                opened.map(drop).map_err(|error| {
                    lack(format!("loop devices cannot be made: {error}"), "load the module `loop`")
                })
            }
            Self::FakeTime => is_there(
                faketime_library().is_some(),
                "libfaketime is not installed",
                "apt-get install --no-install-recommends faketime",
            ),
            Self::Tracer => tools(&[("strace", "strace")]),
            Self::Failpoints => is_there(
                failpoint::ARE_BUILT_IN,
                "this program is built without failpoints",
                "cargo build --release --locked --bin althing --features failpoints",
            ),
            Self::Vault => Err(lack(
                "nodes keep their keys in files: there is no Vault to take away".to_owned(),
                "use another fault",
            )),
        }
    }
}

/// The library that shifts a process's clock when it is loaded first.
#[must_use]
pub fn faketime_library() -> Option<&'static str> {
    FAKETIME_LIBRARIES.into_iter().find(|path| std::path::Path::new(path).exists())
}

/// Whether this process is root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn root(doing: &str) -> Result<(), Lack> {
    is_there(is_root(), &format!("{doing} needs root"), "run it as root")
}

fn tools(tools: &[(&str, &str)]) -> Result<(), Lack> {
    let missing = tools.iter().find(|(program, _)| tool::find(program).is_none());
    missing.map_or(Ok(()), |(program, package)| {
        let remedy = format!("apt-get install --no-install-recommends {package}");
        Err(lack(format!("`{program}` is not installed"), &remedy))
    })
}

/// Makes a device in a nameless namespace, which ends with its thread.
fn try_device() -> Result<(), Lack> {
    let make = || -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Tap::new_named(Interface::new("probe")?).map(drop)
    };
    let device = thread::spawn(make).join().expect("making a device does not panic");
    device.map_err(|error| {
        lack(
            format!("a TAP device in a namespace cannot be made: {error}"),
            "load the module `tun`, allow /dev/net/tun",
        )
    })
}

fn is_there(there: bool, why: &str, remedy: &str) -> Result<(), Lack> {
    if there { Ok(()) } else { Err(lack(why.to_owned(), remedy)) }
}

fn lack(why: String, remedy: &str) -> Lack {
    Lack { why, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_says_what_to_do() {
        let vault = Facility::Vault.check().unwrap_err();
        assert!(vault.why.contains("Vault") && !vault.remedy.is_empty());
        let tool = tools(&[("no-such-tool-at-all", "no-such-package")]).unwrap_err();
        assert_eq!(tool.why, "`no-such-tool-at-all` is not installed");
        assert!(tool.remedy.ends_with(" no-such-package"));
    }
}
