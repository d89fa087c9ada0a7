//! Owns network namespaces: one a node, without any way out but the TAP device that the switch reads.

use std::{ffi::OsString, fmt::Write as _, fs::File, io, path::PathBuf, thread};

use nix::sched::{CloneFlags, setns};
use tappers::{Interface, Tap};

use super::{
    HostError,
    inventory::{Inventory, Thing},
    tool,
};

/// Where `ip netns` keeps the names of namespaces.
const NAMES: &str = "/run/netns";
/// The device in each namespace; the name is only known inside.
const DEVICE: &str = "mesh0";
/// Frames above this are fragmented by the kernel; the usual size of Ethernet.
const MTU: u16 = 1500;

/// A network namespace with a name, until [`Inventory::remove_all`].
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
}

/// An address of the test network 198.18.0.0/15, which is never routed (RFC 2544); nodes are counted from 0.
#[must_use]
pub fn address(node: usize) -> String {
    format!("198.18.0.{}", node + 1)
}

/// The hardware address of a node's device; its last byte is the node's number.
#[must_use]
pub fn hardware_address(node: usize) -> String {
    format!("02:00:00:00:00:{node:02x}")
}

impl Namespace {
    /// Makes a namespace; its name is recorded first.
    ///
    /// # Errors
    /// The inventory cannot be written, or the system refuses.
    pub fn create(inventory: &Inventory, name: String) -> Result<Self, HostError> {
        inventory.record(Thing::Namespace { name: name.clone() })?;
        tool::run("ip", &["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// Gives node `node` of `nodes` its device with a fixed address; the neighbours are known, so that nothing is ever
    /// broadcast.
    ///
    /// # Errors
    /// The system refuses.
    pub fn attach(&self, node: usize, nodes: usize) -> Result<Tap, HostError> {
        let tap = self.within(|| {
            let mut tap = Tap::new_named(Interface::new(DEVICE)?)?;
            tap.set_nonblocking(true)?;
            Ok(tap)
        });
        let tap = tap.map_err(|source| HostError::Tap { namespace: self.name.clone(), source })?;
        let mut script = format!(
            "link set lo up\nlink set {DEVICE} address {} mtu {MTU}\naddr add {}/24 dev {DEVICE}\nlink set {DEVICE} up\n",
            hardware_address(node),
            address(node),
        );
        for other in (0..nodes).filter(|other| *other != node) {
            let (to, hardware) = (address(other), hardware_address(other));
            // Writing to a string cannot fail.
            let _written =
                writeln!(script, "neigh replace {to} lladdr {hardware} dev {DEVICE} nud permanent");
        }
        tool::run_with_input("ip", &["-n", &self.name, "-batch", "-"], &script)?;
        Ok(tap)
    }

    /// The words before a command that run it inside.
    #[must_use]
    pub fn prefix(&self) -> Vec<OsString> {
        let mut net = OsString::from("--net=");
        net.push(self.path());
        vec!["nsenter".into(), net]
    }

    /// Does `work` inside, on a thread of its own.
    fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let namespace = File::open(self.path())?;
        let inside = || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join().expect("entering a namespace does not panic"))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(NAMES).join(&self.name)
    }
}

/// Removes a namespace; one that is gone is no error.
pub(super) fn remove(name: &str) -> Result<(), HostError> {
    if PathBuf::from(NAMES).join(name).exists() {
        tool::run("ip", &["netns", "del", name])?;
    }
    Ok(())
}
