//! Owns a mesh of real daemons on loopback, written by `althing init mesh`: starting, killing and asking its nodes.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use althing_netconfig::config::{Config, ConfigError, NodeRole};
use serde_json::Value;

use super::{Process, ProcessError, Usage};
use crate::http::{Answer, Connection, Endpoint};

/// Longest time for `althing init mesh`.
const INIT_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest time from the start of a daemon until it listens: recovery reads the whole log.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest time for one request; a submission answers when it is final.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// Time in which a daemon that was asked to end must have ended.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The file in a node's folder.
const CONFIG_NAME: &str = "node.toml";
/// What a daemon prints when its API can be reached.
const LISTENING: &str = "listening";

/// The nodes of one mesh.
#[derive(Debug)]
pub struct ProcessMesh {
    nodes: Vec<Node>,
}

/// One node: its configuration, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    name: String,
    org: String,
    role: NodeRole,
    binary: PathBuf,
    config: PathBuf,
    keys: PathBuf,
    data: PathBuf,
    endpoint: Endpoint,
    admin: Option<SocketAddr>,
    process: Option<Process>,
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
    /// The node cannot be reached, or broke off.
    #[error("{name} did not answer {request}")]
    NoAnswer {
        /// Which node.
        name: String,
        /// What was asked.
        request: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node refused.
    #[error("{name} answered {request} with {status}: {body}")]
    Refused {
        /// Which node.
        name: String,
        /// What was asked.
        request: String,
        /// The status code.
        status: u16,
        /// The body, a problem document.
        body: String,
    },
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
            (a.role == NodeRole::Auditor, &a.name).cmp(&(b.role == NodeRole::Auditor, &b.name))
        });
        Ok(Self { nodes })
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
            (Some(socket), _) => Endpoint::Unix(socket),
            (None, Some(address)) => Endpoint::Tcp(address),
            (None, None) => return Err(MeshError::NoApi { path }),
        };
        Ok(Self {
            name: config.node.name.to_string(),
            org: config.node.org.to_string(),
            role: config.node.role,
            binary: binary.to_owned(),
            config: path,
            keys: config.keys.directory,
            data: config.node.data_dir,
            endpoint,
            admin: config.admin.listen,
            process: None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// Where its members' keys are.
    #[must_use]
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// Where it keeps what it must not lose.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
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

    /// Makes sure that the daemon runs for the whole of `time`.
    ///
    /// # Errors
    /// It does not run, or ended.
    pub fn stays_up_for(&mut self, time: Duration) -> Result<(), MeshError> {
        let name = self.name.clone();
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

    /// Connects to the API.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn connect(&self) -> Result<Connection, MeshError> {
        self.endpoint.connect(REQUEST_TIMEOUT).map_err(|source| self.no_answer("a connection", source))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn get(&self, path: &str) -> Result<Value, MeshError> {
        self.ask(&mut self.connect()?, "GET", path, &[], &[])
    }

    /// Reads the metrics, in the text format of Prometheus.
    ///
    /// # Errors
    /// The node has no admin listener, or cannot be reached.
    pub fn metrics(&self) -> Result<String, MeshError> {
        let read = || {
            let address = self.admin.ok_or(io::ErrorKind::AddrNotAvailable)?;
            Endpoint::Tcp(address).connect(REQUEST_TIMEOUT)?.request("GET", "/metrics", &[], &[])
        };
        read().map(|answer| answer.text()).map_err(|source| self.no_answer("GET /metrics", source))
    }

    /// Asks for a change; `key` makes a repeat of it the same request.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, MeshError> {
        self.post_on(&mut self.connect()?, path, key, body)
    }

    /// As [`Self::post`], on a connection that is kept.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub fn post_on(
        &self,
        connection: &mut Connection,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Value, MeshError> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        self.ask(connection, "POST", path, &headers, body.to_string().as_bytes())
    }

    fn ask(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Value, MeshError> {
        let request = || format!("{method} {path}");
        let answer: Answer = connection
            .request(method, path, headers, body)
            .map_err(|source| self.no_answer(&request(), source))?;
        if !(200..300).contains(&answer.status) {
            let (name, request, status) = (self.name.clone(), request(), answer.status);
            return Err(MeshError::Refused { name, request, status, body: answer.text() });
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.no_answer(&request(), error.into()))
    }

    fn spawn(&mut self) -> Result<(), MeshError> {
        if self.process.is_none() {
            let mut command = Command::new(&self.binary);
            command.args(["node", "run", "-c"]).arg(&self.config);
            self.process = Some(Process::spawn(self.name.clone(), &mut command)?);
        }
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<(), MeshError> {
        let process = self.process.as_ref().ok_or_else(|| self.not_running())?;
        process.wait_for_line(LISTENING, START_TIMEOUT)?;
        Ok(())
    }

    fn not_running(&self) -> MeshError {
        MeshError::NotRunning { name: self.name.clone() }
    }

    fn no_answer(&self, request: &str, source: io::Error) -> MeshError {
        MeshError::NoAnswer { name: self.name.clone(), request: request.to_owned(), source }
    }
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
