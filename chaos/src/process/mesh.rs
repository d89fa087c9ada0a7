//! Owns a mesh of real daemons on loopback, written by `althing init mesh`: starting, killing and asking its nodes.

use std::{
    collections::BTreeMap,
    error::Error,
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use althing_contracts::{
    genesis::{Genesis, MemberRecord},
    name::MemberId,
    quantity::Weight,
    role::Role,
};
use althing_netconfig::{
    config::{Config, ConfigError, NodeRole},
    genesis_file,
    keys::{self, KeyPurpose, SecretKey},
};

use super::{
    Process, ProcessError, Usage,
    client::{ClientError, Head, NodeClient},
};
use crate::http::Endpoint;

/// Longest time for `althing init mesh`.
const INIT_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest time from the start of a daemon until it listens: recovery reads the whole log.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Time in which a daemon that was asked to end must have ended.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often nodes are asked how far they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The file in a node's folder.
const CONFIG_NAME: &str = "node.toml";
/// What daemons say under test: enough to see that one has started.
const LOG_FILTER: &str = "althing=info,warn";
/// What a daemon prints when its API can be reached.
const STARTED: &str = "node started";

mod relocate;
mod rules;

/// The nodes of one mesh.
#[derive(Debug)]
pub struct ProcessMesh {
    nodes: Vec<Node>,
}

/// One node: its configuration, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    role: NodeRole,
    binary: PathBuf,
    config: PathBuf,
    keys: PathBuf,
    genesis: PathBuf,
    data: PathBuf,
    client: NodeClient,
    launch: Launch,
    process: Option<Process>,
}

/// How a daemon is started, where that is not by itself.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The words before the program, of a command that becomes it: `nsenter …`.
    pub prefix: Vec<OsString>,
    /// What its environment has besides.
    pub environment: BTreeMap<OsString, OsString>,
    /// Whether it leads a process group of its own, so that what interrupts this process does not reach it.
    pub own_group: bool,
    /// Where everything that it prints is appended.
    pub log: Option<PathBuf>,
}

/// Why a mesh or a node did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// A process did not behave.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The mesh could not be written.
    #[error("`althing init mesh` ended with {status}:\n{printed}")]
    Init {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        printed: String,
    },
    /// A configuration that was written cannot be read.
    #[error("{path} cannot be used as a node's configuration")]
    Config {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ConfigError>,
    },
    /// A configuration says nothing of where the API is.
    #[error("{path} gives neither api.socket nor api.listen, so its node cannot be asked anything")]
    NoApi {
        /// Which file.
        path: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot read {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node is not running.
    #[error("{name} is not running")]
    NotRunning {
        /// Which node.
        name: String,
    },
    /// Two nodes hold different states at one height: the worst that can happen.
    #[error("{} and {} differ at height {}: state root {} and {}", .0.node, .1.node, .0.height, .0.state_root, .1.state_root)]
    Fork(Box<Head>, Box<Head>),
    /// The nodes stay apart.
    #[error("the nodes did not come to one height within {within:?}: {heads:?}")]
    NoAgreement {
        /// How long was waited.
        within: Duration,
        /// What they showed last.
        heads: Vec<Head>,
    },
    /// The node did not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Launch {
    /// A command that runs `program` so.
    ///
    /// # Panics
    /// Never: the program itself is one of the words.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut words = self.prefix.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().expect("the program is one of the words"));
        command.args(words).envs(&self.environment);
        if self.own_group {
            command.process_group(0);
        }
        command
    }
}

impl ProcessMesh {
    /// Writes a mesh of one validator for each organisation and one auditor, as an operator would.
    ///
    /// # Errors
    /// The command failed, or wrote what it cannot read.
    pub fn init(binary: &Path, folder: &Path, organisations: &[&str]) -> Result<Self, MeshError> {
        let mut command = Command::new(binary);
        command.args(["init", "mesh", "--orgs", &organisations.join(",")]).arg(folder);
        let mut init = Process::spawn("althing init mesh", &mut command)?;
        let status = init.wait_for_end(INIT_TIMEOUT)?;
        if !status.success() {
            return Err(MeshError::Init { status, printed: init.printed() });
        }
        Self::open(binary, folder)
    }

    /// Takes a mesh that was written into `folder`.
    ///
    /// # Errors
    /// A node's configuration cannot be used.
    pub fn open(binary: &Path, folder: &Path) -> Result<Self, MeshError> {
        let mut nodes = Vec::new();
        for config in configurations(folder)? {
            nodes.push(Node::read(binary, config)?);
        }
        nodes.sort_by(|a, b| {
            (a.role == NodeRole::Auditor, a.name()).cmp(&(b.role == NodeRole::Auditor, b.name()))
        });
        Ok(Self { nodes })
    }

    /// Founds the mesh with more voters, whose keys the validator at index `at` holds. Only before the first start: the
    /// members are part of the network's identity.
    ///
    /// # Errors
    /// The genesis document or a key cannot be written.
    pub fn add_voters(&self, at: usize, voters: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
        let node = &self.nodes[at];
        node.found_again(|genesis| {
            for i in 0..voters {
                let member = MemberId::new(&format!("{}/voter-{i}", node.client.org()))?;
                let key = SecretKey::generate(KeyPurpose::Member(Role::Voter))?;
                keys::create(&keys::member_key_path(&node.keys, &member, Role::Voter), &key)?;
                let keys = BTreeMap::from([(Role::Voter, key.public())]);
                genesis.members.insert(member, MemberRecord { weight: Weight::new(1), keys });
            }
            Ok(())
        })
    }

    /// Founds the mesh with governance periods that are `divisor` times shorter. Only before the first start.
    ///
    /// # Errors
    /// The genesis document cannot be written.
    pub fn divide_periods(&self, divisor: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.nodes[0].found_again(|genesis| {
            genesis.constitution = rules::under_faults(genesis.constitution.clone().divided(divisor));
            Ok(())
        })
    }

    /// Gives each node an address of its own, in place of loopback: `address` names that of the node at an index. Their APIs
    /// are reached through their sockets from then on. Only before the first start.
    ///
    /// # Errors
    /// A configuration or the genesis document cannot be written.
    pub fn relocate(
        &mut self,
        address: impl Fn(usize) -> String,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        relocate::configurations(&self.nodes, &address)?;
        self.nodes[0].found_again(|genesis| relocate::endpoints(&self.nodes, genesis, &address))?;
        for node in &mut self.nodes {
            let fresh = Node::read(&node.binary, node.config.clone())?;
            *node = Node { launch: std::mem::take(&mut node.launch), ..fresh };
        }
        Ok(())
    }

    /// Starts every node that does not run: all at once, then waits for each.
    ///
    /// # Errors
    /// A node does not come up.
    pub fn start(&mut self) -> Result<(), MeshError> {
        for node in &mut self.nodes {
            node.spawn()?;
        }
        self.nodes.iter().try_for_each(Node::wait_until_ready)
    }

    /// The nodes: validators by name, then auditors.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, to start and stop them.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The validators by name.
    pub fn validators(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role == NodeRole::Validator)
    }

    /// Waits until every node that runs shows the same last block, and yields it.
    ///
    /// # Errors
    /// Two nodes show different states at one height, or they do not meet in time.
    pub fn wait_for_agreement(&self, within: Duration) -> Result<Head, MeshError> {
        let begun = Instant::now();
        loop {
            let running = self.nodes.iter().filter(|node| node.process.is_some());
            let heads = running.map(|node| node.client.head()).collect::<Result<Vec<_>, _>>()?;
            if let Some(head) = agreement(&heads)? {
                return Ok(head);
            }
            if begun.elapsed() > within {
                return Err(MeshError::NoAgreement { within, heads });
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }

    /// The first auditor.
    #[must_use]
    pub fn auditor(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.role == NodeRole::Auditor)
    }
}

impl Node {
    fn read(binary: &Path, path: PathBuf) -> Result<Self, MeshError> {
        let loaded = Config::load(&path, [])
            .map_err(|source| MeshError::Config { path: path.clone(), source: Box::new(source) })?;
        let config = loaded.config;
        let endpoint = match (config.api.socket, config.api.listen) {
            (_, Some(address)) => Endpoint::Tcp(address),
            (Some(socket), None) => Endpoint::Unix(socket),
            (None, None) => return Err(MeshError::NoApi { path }),
        };
        let (name, org) = (config.node.name.to_string(), config.node.org.to_string());
        Ok(Self {
            role: config.node.role,
            binary: binary.to_owned(),
            config: path,
            keys: config.keys.directory,
            genesis: config.node.genesis,
            data: config.node.data_dir,
            client: NodeClient::new(name, org, endpoint, config.admin.listen),
            launch: Launch::default(),
            process: None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.client.name()
    }

    /// The way to its API, which stays the same over restarts.
    #[must_use]
    pub fn client(&self) -> &NodeClient {
        &self.client
    }

    /// The folder that holds its files.
    ///
    /// # Panics
    /// Never: a configuration is a file in a folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.config.parent().expect("a configuration is a file in a folder")
    }

    /// What it does in the mesh.
    #[must_use]
    pub const fn role(&self) -> NodeRole {
        self.role
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The genesis document of its mesh.
    #[must_use]
    pub fn genesis(&self) -> &Path {
        &self.genesis
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where a validator's key would be.
    #[must_use]
    pub fn consensus_key(&self) -> PathBuf {
        self.keys.join("consensus.key")
    }

    /// How its daemon is started the next time.
    pub const fn launch_mut(&mut self) -> &mut Launch {
        &mut self.launch
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Starts the daemon and waits until it listens; does nothing when it runs.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(&mut self) -> Result<(), MeshError> {
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Kills the daemon where it is; does nothing when it does not run.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(&mut self) -> Result<(), MeshError> {
        match self.process.take() {
            Some(mut process) => Ok(process.kill().map(drop)?),
            None => Ok(()),
        }
    }

    /// Asks the daemon to end and waits for it.
    ///
    /// # Errors
    /// It does not run, or does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus, MeshError> {
        let mut process = self.process.take().ok_or_else(|| self.not_running())?;
        process.terminate()?;
        Ok(process.wait_for_end(STOP_TIMEOUT)?)
    }

    /// Waits until the daemon has ended by itself.
    ///
    /// # Errors
    /// It does not run, or still does after `within`.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<ExitStatus, MeshError> {
        let name = self.name().to_owned();
        let process = self.process.as_mut().ok_or(MeshError::NotRunning { name })?;
        let status = process.wait_for_end(within)?;
        self.process = None;
        Ok(status)
    }

    /// Makes sure that the daemon runs for the whole of `time`.
    ///
    /// # Errors
    /// It does not run, or ended.
    pub fn stays_up_for(&mut self, time: Duration) -> Result<(), MeshError> {
        let name = self.name().to_owned();
        let process = self.process.as_mut().ok_or(MeshError::NotRunning { name })?;
        Ok(process.stays_up_for(time)?)
    }

    /// What the daemon has cost since its start.
    ///
    /// # Errors
    /// It does not run.
    pub fn usage(&self) -> Result<Usage, MeshError> {
        Ok(self.process.as_ref().ok_or_else(|| self.not_running())?.usage()?)
    }

    /// Changes the genesis document, which all nodes share.
    fn found_again(
        &self,
        change: impl FnOnce(&mut Genesis) -> Result<(), Box<dyn Error + Send + Sync>>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut genesis = genesis_file::read(&self.genesis)?;
        change(&mut genesis)?;
        fs::remove_file(&self.genesis)?;
        Ok(genesis_file::write(&self.genesis, &genesis)?)
    }

    /// Starts the daemon and does not wait for it; does nothing when it runs.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(&mut self) -> Result<(), MeshError> {
        if self.process.is_none() {
            let mut command = self.launch.command(&self.binary);
            command.args(["node", "run", "-c"]).arg(&self.config).env("RUST_LOG", LOG_FILTER);
            self.process = Some(match &self.launch.log {
                Some(log) => Process::spawn_logged(self.name(), &mut command, log)?,
                None => Process::spawn(self.name(), &mut command)?,
            });
        }
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<(), MeshError> {
        let process = self.process.as_ref().ok_or_else(|| self.not_running())?;
        process.wait_for_line(STARTED, START_TIMEOUT)?;
        Ok(())
    }

    fn not_running(&self) -> MeshError {
        MeshError::NotRunning { name: self.name().to_owned() }
    }
}

/// The common head, if all nodes are at one height.
fn agreement(heads: &[Head]) -> Result<Option<Head>, MeshError> {
    for (at, one) in heads.iter().enumerate() {
        let other =
            heads[..at].iter().find(|other| other.height == one.height && other.state_root != one.state_root);
        if let Some(other) = other {
            return Err(MeshError::Fork(Box::new(other.clone()), Box::new(one.clone())));
        }
    }
    let (first, last) =
        (heads.iter().map(|head| head.height).min(), heads.iter().map(|head| head.height).max());
    Ok(heads.first().filter(|_| first == last).cloned())
}

/// The configurations in the folders below `folder`, one a node.
fn configurations(folder: &Path) -> Result<Vec<PathBuf>, MeshError> {
    let failed = |source| MeshError::Folder { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        found.push(entry.map_err(failed)?.path().join(CONFIG_NAME));
    }
    found.retain(|path| path.is_file());
    Ok(found)
}
