//! Owns the mesh that is broken: laid for this run out of real daemons, each with a network, a clock and a disk of its own
//! where the machine has that, and everything that is done to it and taken back.

use std::{
    collections::BTreeSet,
    error::Error,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use althing_netconfig::config::NodeRole;

use super::schedule::Action;
use crate::{
    failpoint::{Point, VARIABLE},
    host::{
        disk::Disk,
        facility::{self, Facility},
        freezer::Freezer,
        inventory::{Inventory, RUN_VARIABLE, Thing},
        namespace::{self, Namespace},
        switch::{Counts, Link, Switch},
        tool,
    },
    lie::Lie,
    process::{Process, ProcessError, mesh::ProcessMesh},
};

/// The organisations, in the order in which they are taken; each has one validator.
pub const ORGANISATIONS: [&str; 10] =
    ["acme", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper"];
/// Voters of each node, besides the one member who decides about lives.
pub const VOTERS: usize = 100;
/// A day is about two seconds.
const TIME_DIVISOR: u64 = 40_000;
/// Room for a node's ledger, journals and sites on a disk of its own.
const DISK_MIB: u64 = 192;

/// Words of the command that tampers with system calls.
const TRACER_WORDS: usize = 11;

/// What went wrong; a run has no use for more than the words.
pub type GroundError = Box<dyn Error + Send + Sync>;

/// A mesh of real daemons and what they stand on.
#[derive(Debug)]
pub struct Ground {
    mesh: ProcessMesh,
    validators: usize,
    switch: Option<Switch>,
    freezers: Vec<Freezer>,
    clocks: Vec<PathBuf>,
    disks: Vec<Disk>,
    sites: Vec<PathBuf>,
    /// Who lies at the moment.
    liars: Vec<Process>,
    binary: PathBuf,
    standing: Option<Standing>,
}

/// A mesh that stood before the run and stays after it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Where.
    pub folder: PathBuf,
    /// Where its daemons' words are kept.
    pub logs: PathBuf,
}

impl Ground {
    /// Writes a mesh of `validators` organisations and an auditor into `folder`, which is new, on what `facilities` gives.
    ///
    /// # Errors
    /// A tool or the disk refuses.
    pub fn lay(
        inventory: &Inventory,
        binary: &Path,
        folder: &Path,
        validators: usize,
        seed: u64,
        facilities: &BTreeSet<Facility>,
    ) -> Result<Self, GroundError> {
        let organisations = &ORGANISATIONS[..validators];
        let environment = format!("ALTHING_INSTANCE={}/", folder.display());
        inventory.record(Thing::Processes { environment })?;
        let mesh = ProcessMesh::init(binary, folder, organisations)?;
        inventory.mark(folder)?;
        for at in 0..validators {
            mesh.add_voters(at, VOTERS)?;
        }
        mesh.divide_periods(TIME_DIVISOR)?;
        let mut ground = Self::on(mesh, binary);
        ground.prepare(inventory, folder);
        if facilities.contains(&Facility::Network) {
            ground.give_network(inventory, seed)?;
        }
        ground.give_own(inventory, folder, facilities)?;
        if facilities.contains(&Facility::Disks) {
            ground.give_disks(inventory, folder)?;
        }
        Ok(ground)
    }

    /// Takes a mesh that stands in a folder, with what its daemons can be given where they are: nothing in the folder
    /// changes but what they write, and a folder more with their words.
    ///
    /// # Errors
    /// A tool or the disk refuses.
    pub fn take(
        inventory: &Inventory,
        binary: &Path,
        (mesh, folder): (ProcessMesh, &Path),
        scratch: &Path,
        facilities: &BTreeSet<Facility>,
    ) -> Result<Self, GroundError> {
        let logs = folder.join(format!("chaos-{}", inventory.run()));
        fs::create_dir(&logs)?;
        let mut ground = Self::on(mesh, binary);
        ground.prepare(inventory, &logs);
        ground.give_own(inventory, scratch, facilities)?;
        ground.standing = Some(Standing { folder: folder.to_owned(), logs });
        Ok(ground)
    }

    fn on(mesh: ProcessMesh, binary: &Path) -> Self {
        Self {
            validators: mesh.validators().count(),
            sites: sites(&mesh),
            mesh,
            switch: None,
            freezers: Vec::new(),
            clocks: Vec::new(),
            disks: Vec::new(),
            liars: Vec::new(),
            binary: binary.to_owned(),
            standing: None,
        }
    }

    /// Daemons carry the run's name, are out of reach of what interrupts this process, and write into `logs`.
    fn prepare(&mut self, inventory: &Inventory, logs: &Path) {
        for node in self.mesh.nodes_mut() {
            let log = logs.join(format!("{}.log", node.name()));
            let launch = node.launch_mut();
            launch.own_group = true;
            launch.log = Some(log);
            launch.environment.insert(RUN_VARIABLE.into(), inventory.run().into());
        }
    }

    /// What daemons can be given wherever they are.
    fn give_own(
        &mut self,
        inventory: &Inventory,
        folder: &Path,
        facilities: &BTreeSet<Facility>,
    ) -> Result<(), GroundError> {
        if facilities.contains(&Facility::Freezer) {
            self.give_freezers(inventory)?;
        }
        if facilities.contains(&Facility::FakeTime) {
            self.give_clocks(folder)?;
        }
        Ok(())
    }

    /// The mesh as it stood, if the run did not lay it.
    #[must_use]
    pub const fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Starts every daemon that does not run, and waits until all of them listen.
    ///
    /// # Errors
    /// One does not come up.
    pub fn start(&mut self) -> Result<(), GroundError> {
        self.mesh.start()?;
        for (node, freezer) in self.mesh.nodes().iter().zip(&self.freezers) {
            if let Some(process) = node.process() {
                freezer.add(process.pid())?;
            }
        }
        Ok(())
    }

    /// The mesh.
    #[must_use]
    pub const fn mesh(&self) -> &ProcessMesh {
        &self.mesh
    }

    /// The mesh, to start and stop its nodes one by one.
    pub const fn mesh_mut(&mut self) -> &mut ProcessMesh {
        &mut self.mesh
    }

    /// How many of its nodes decide; they come first.
    #[must_use]
    pub const fn validators(&self) -> usize {
        self.validators
    }

    /// Every node's name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.mesh.nodes().iter().map(|node| node.name().to_owned()).collect()
    }

    /// Where the provider keeps what it did at each target.
    #[must_use]
    pub fn sites(&self) -> &[PathBuf] {
        &self.sites
    }

    /// What the switch did with frames, if there is one.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        self.switch.as_ref().map(Switch::counts)
    }

    /// Breaks something.
    ///
    /// # Errors
    /// The machine refuses.
    pub fn apply(&mut self, action: &Action) -> Result<(), GroundError> {
        match action {
            Action::Kill { nodes } => self.kill(nodes)?,
            Action::Stop { nodes } => self.each(nodes, Process::freeze)?,
            Action::Freeze { nodes } => self.freezers(nodes).try_for_each(Freezer::freeze)?,
            Action::Cut { parts } => {
                let parted = |one: &usize, other: &usize| {
                    parts.iter().all(|part| !(part.contains(one) && part.contains(other)))
                };
                self.link(parted, Link::CUT);
            }
            Action::OneWay { from, to } => {
                self.link(|one, other| from.contains(one) && to.contains(other), Link::CUT);
            }
            Action::Bad { nodes, link } => {
                self.link(|one, other| nodes.contains(one) || nodes.contains(other), *link);
            }
            Action::Clock { node, seconds } => self.set_clock(*node, *seconds)?,
            Action::Fill { node } => self.disks[*node].fill()?,
            Action::Tamper { node, inject } => self.tamper(*node, inject)?,
            Action::KillAtPoint { node, point } => self.arm(*node, point)?,
            Action::Lie { node, lie, seed } => self.lie(*node, *lie, *seed)?,
            Action::PowerCut { nodes } => self.cut_power(nodes)?,
        }
        Ok(())
    }

    /// Mends what [`Self::apply`] broke; daemons that were killed run again on return.
    ///
    /// # Errors
    /// The machine refuses, or a daemon does not come up.
    pub fn heal(&mut self, actions: &[Action]) -> Result<(), GroundError> {
        if let Some(switch) = &self.switch {
            switch.heal();
        }
        for action in actions {
            match action {
                Action::Stop { nodes } => self.each(nodes, Process::thaw)?,
                Action::Freeze { nodes } => self.freezers(nodes).try_for_each(Freezer::thaw)?,
                Action::Clock { node, .. } => self.set_clock(*node, 0)?,
                Action::PowerCut { nodes } => {
                    for node in nodes {
                        self.disks[*node].restore_power()?;
                    }
                }
                Action::Fill { node } => {
                    self.disks[*node].empty()?;
                    self.kill(&[*node])?;
                }
                Action::Tamper { node, .. } => {
                    self.kill(&[*node])?;
                    let launch = self.mesh.nodes_mut()[*node].launch_mut();
                    launch.prefix.truncate(launch.prefix.len() - TRACER_WORDS);
                }
                Action::KillAtPoint { node, .. } => {
                    self.kill(&[*node])?;
                    self.mesh.nodes_mut()[*node].launch_mut().environment.remove(OsStr::new(VARIABLE));
                }
                Action::Lie { .. } => self.liars.clear(),
                Action::Kill { .. } | Action::Cut { .. } | Action::OneWay { .. } | Action::Bad { .. } => {}
            }
        }
        self.start()
    }

    /// The names of daemons that ended by themselves.
    pub fn fallen(&mut self) -> Vec<String> {
        let nodes = self.mesh.nodes_mut().iter_mut();
        let fallen = nodes.filter_map(|node| {
            let runs = node.process().is_some();
            (runs && node.stays_up_for(std::time::Duration::ZERO).is_err()).then(|| node.name().to_owned())
        });
        fallen.collect()
    }

    /// The end of what the daemon of a node printed.
    #[must_use]
    pub fn printed(&self, name: &str) -> String {
        let node = self.mesh.nodes().iter().find(|node| node.name() == name);
        node.and_then(|node| node.process()).map_or_else(String::new, Process::printed)
    }

    /// Ends every daemon, for good: those of a mesh that stands are asked to end, as its operator would.
    ///
    /// # Errors
    /// One cannot be killed.
    pub fn end(&mut self) -> Result<(), GroundError> {
        if self.standing.is_some() {
            for node in self.mesh.nodes_mut().iter_mut().filter(|node| node.process().is_some()) {
                // One that does not end in time was killed by that.
                let _late = node.stop();
            }
        }
        let all: Vec<usize> = (0..self.mesh.nodes().len()).collect();
        self.kill(&all)
    }

    /// Machines that lose their power act no more, so their daemons stand still before their disks are cut off: to a
    /// flush that is under way meanwhile the kernel may answer that it succeeded, though nothing of it reached the disk,
    /// and a daemon that goes on would keep a promise that no real disk made.
    fn cut_power(&mut self, nodes: &[usize]) -> Result<(), GroundError> {
        let daemons = nodes.iter().filter_map(|node| self.mesh.nodes().get(*node)?.process());
        daemons.filter(|daemon| !daemon.has_ended()).try_for_each(Process::freeze)?;
        for node in nodes {
            self.disks[*node].cut_power()?;
        }
        self.kill(nodes)?;
        self.end_services(nodes)
    }

    fn kill(&mut self, nodes: &[usize]) -> Result<(), GroundError> {
        let victims = self.mesh.nodes_mut().iter_mut().enumerate().filter(|(at, _)| nodes.contains(at));
        for (_, node) in victims {
            node.kill()?;
        }
        Ok(())
    }

    /// The tracer is no parent of the daemon, so that killing and waiting stay as they are.
    fn tamper(&mut self, node: usize, inject: &str) -> Result<(), GroundError> {
        self.kill(&[node])?;
        let node = &mut self.mesh.nodes_mut()[node];
        let calls = inject.split(':').next().unwrap_or_default();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={inject}"));
        let words: [&str; TRACER_WORDS] =
            ["strace", "-D", "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        node.launch_mut().prefix.extend(words.map(OsString::from));
        // A call at the very start may be hit: then it does not come up until it is mended.
        Ok(node.spawn()?)
    }

    fn arm(&mut self, node: usize, point: &Point) -> Result<(), GroundError> {
        self.kill(&[node])?;
        let node = &mut self.mesh.nodes_mut()[node];
        node.launch_mut().environment.insert(VARIABLE.into(), point.arming().into());
        // It may be killed before it listens.
        Ok(node.spawn()?)
    }

    /// A process of its own, where the daemon was: in its network, with its keys.
    fn lie(&mut self, node: usize, lie: Lie, seed: u64) -> Result<(), GroundError> {
        self.kill(&[node])?;
        let node = &mut self.mesh.nodes_mut()[node];
        let (name, config) = (format!("{} as a liar", node.name()), node.config().to_owned());
        let mut command = node.launch_mut().command(&self.binary);
        command
            .args(["chaos", "lie", "--lie", lie.name(), "--seed", &seed.to_string(), "--config"])
            .arg(config);
        if let Some(Standing { folder, .. }) = &self.standing {
            command.arg("--yes-break").arg(folder);
        }
        self.liars.push(Process::spawn(name, &mut command)?);
        Ok(())
    }

    fn each(
        &self,
        nodes: &[usize],
        act: impl Fn(&Process) -> Result<(), ProcessError>,
    ) -> Result<(), GroundError> {
        for process in nodes.iter().filter_map(|node| self.mesh.nodes().get(*node)?.process()) {
            act(process)?;
        }
        Ok(())
    }

    fn freezers(&self, nodes: &[usize]) -> impl Iterator<Item = &Freezer> {
        nodes.iter().filter_map(|node| self.freezers.get(*node))
    }

    fn link(&self, is_meant: impl Fn(&usize, &usize) -> bool, link: Link) {
        let Some(switch) = &self.switch else { return };
        for one in 0..self.mesh.nodes().len() {
            for other in (0..self.mesh.nodes().len()).filter(|other| *other != one) {
                if is_meant(&one, &other) {
                    switch.set(one, other, link);
                }
            }
        }
    }

    /// A file that is switched at once: whoever reads it sees the old time or the new one.
    fn set_clock(&self, node: usize, seconds: i64) -> Result<(), GroundError> {
        let path = &self.clocks[node];
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, format!("{seconds:+}\n"))?;
        Ok(fs::rename(fresh, path)?)
    }

    /// Services are processes of the same machine.
    fn end_services(&self, nodes: &[usize]) -> Result<(), GroundError> {
        for node in nodes.iter().filter_map(|node| self.mesh.nodes().get(*node)) {
            let environment = format!("ALTHING_INSTANCE={}/", node.folder().display());
            crate::host::end_processes(&environment)?;
        }
        Ok(())
    }

    fn give_network(&mut self, inventory: &Inventory, seed: u64) -> Result<(), GroundError> {
        self.mesh.relocate(namespace::address)?;
        let count = self.mesh.nodes().len();
        let mut taps = Vec::new();
        for (at, node) in self.mesh.nodes_mut().iter_mut().enumerate() {
            let namespace =
                Namespace::create(inventory, format!("althing-{}-{}", inventory.run(), node.name()))?;
            taps.push(namespace.attach(at, count)?);
            node.launch_mut().prefix = namespace.prefix();
        }
        self.switch = Some(Switch::start(taps, seed)?);
        Ok(())
    }

    fn give_freezers(&mut self, inventory: &Inventory) -> Result<(), GroundError> {
        for name in self.names() {
            self.freezers.push(Freezer::create(inventory, format!("althing-{}-{name}", inventory.run()))?);
        }
        Ok(())
    }

    fn give_clocks(&mut self, folder: &Path) -> Result<(), GroundError> {
        let library = facility::faketime_library().ok_or("libfaketime is gone")?;
        for node in self.mesh.nodes_mut() {
            let path = folder.join(format!("{}.clock", node.name()));
            let environment = &mut node.launch_mut().environment;
            environment.insert("LD_PRELOAD".into(), library.into());
            environment.insert("FAKETIME_TIMESTAMP_FILE".into(), path.clone().into());
            environment.insert("FAKETIME_NO_CACHE".into(), "1".into());
            environment.insert("DONT_FAKE_MONOTONIC".into(), "1".into());
            self.clocks.push(path);
        }
        (0..self.clocks.len()).try_for_each(|node| self.set_clock(node, 0))
    }

    /// Everything that a node has moves to a disk of its own, which is mounted where it was.
    fn give_disks(&mut self, inventory: &Inventory, folder: &Path) -> Result<(), GroundError> {
        for node in self.mesh.nodes() {
            let (place, name) = (node.folder(), node.name());
            let aside = folder.join(format!("{name}.before"));
            fs::rename(place, &aside)?;
            let image = folder.join(format!("{name}.disk"));
            self.disks.push(Disk::create(inventory, image, place.to_owned(), DISK_MIB)?);
            let everything = aside.join(".");
            tool::run("cp", &["--archive".as_ref(), everything.as_os_str(), place.as_os_str()])?;
            tool::run("sync", &["--file-system".as_ref(), place.as_os_str()])?;
            fs::remove_dir_all(aside)?;
        }
        Ok(())
    }
}

/// The sites of every validator, as their configuration names them.
fn sites(mesh: &ProcessMesh) -> Vec<PathBuf> {
    let validators = mesh.nodes().iter().filter(|node| node.role() == NodeRole::Validator);
    let both = validators.flat_map(|node| {
        ["north", "south"].map(|place| node.folder().join(format!("sites/{}-{place}", node.client().org())))
    });
    both.collect()
}
