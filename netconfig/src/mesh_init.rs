//! Owns the founding of a mesh on one machine: keys, genesis and one directory a node.
//!
//! ```text
//! DIR/genesis.toml
//! DIR/ORG/node.toml       DIR/ORG/keys/{node,consensus}.key    DIR/ORG/keys/NAME.ROLE.key
//! DIR/auditor-1/node.toml DIR/auditor-1/keys/node.key          DIR/auditor-1/keys/auditor-1.auditor.key
//! ```
//!
//! Refuses a directory that has anything in it, so that no key is ever lost to a second run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use althing_contracts::{
    digest::Digest,
    genesis::{
        GENESIS_SCHEMA, Genesis, GenesisError, MemberRecord, ObserverRecord, OrganisationRecord,
        TargetRecord, ValidatorRecord,
    },
    name::{Line, MemberId, Name, NameError, OrgId},
    quantity::Weight,
    role::Role,
};

use crate::{
    config::{
        AdminSection, ApiSection, BootstrapSection, CONFIG_SCHEMA, Config, ExecutorSection, IdentitySection,
        KeysBackend, KeysSection, NodeRole, NodeSection, P2pSection, TargetSection,
    },
    genesis_file,
    keys::{self, KeyError, KeyPurpose, SecretKey},
};

mod plan;
mod ports;

pub use plan::{MeshPlan, OrganisationPlan, TargetPlan, Transport};
use ports::Ports;

/// The members of every organisation: name, role, voting weight.
pub const MEMBERS: [(&str, Role, u64); 5] = [
    ("alice", Role::Author, 0),
    ("rita", Role::Reviewer, 0),
    ("vera", Role::Voter, 100),
    ("exec", Role::Executor, 0),
    ("gert", Role::Guardian, 0),
];

/// What was written.
#[derive(Debug, Clone)]
pub struct MeshFiles {
    /// The genesis document.
    pub genesis: PathBuf,
    /// The network that it founds.
    pub network: Digest,
    /// One entry a node: the validators in the order of the plan, then the auditors.
    pub nodes: Vec<NodeFiles>,
}

/// The files of one node.
#[derive(Debug, Clone)]
pub struct NodeFiles {
    /// The node's name.
    pub name: Name,
    /// Whose it is.
    pub org: OrgId,
    /// What it does.
    pub role: NodeRole,
    /// Its directory.
    pub directory: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
}

/// Why a mesh was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Something is there.
    #[error("{path} is not empty; give a new directory, so that no key of another mesh is lost")]
    NotEmpty {
        /// Which directory.
        path: PathBuf,
    },
    /// A name is used twice.
    #[error("the name {name} is given to two nodes or targets; every one needs its own")]
    Duplicate {
        /// Which name.
        name: String,
    },
    /// The plan makes no sound genesis.
    #[error("the plan makes no sound mesh")]
    Genesis(#[from] GenesisError),
    /// A name that the plan leads to is not allowed.
    #[error("the plan leads to a name that is not allowed")]
    Name(#[from] NameError),
    /// A key was not made or written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file or port.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Writes a mesh into an empty or new directory.
///
/// # Errors
/// The directory is not empty, the plan is not sound, or the disk refuses. Nothing is written before the plan
/// was found sound; what the disk took before it refused stays for inspection.
pub fn init_mesh(directory: &Path, plan: &MeshPlan) -> Result<MeshFiles, InitError> {
    check_empty(directory)?;
    check_names(plan)?;
    let draft = Draft::of(directory, plan)?;
    draft.genesis.check()?;
    draft.write(directory)
}

/// A mesh in memory, before anything touches the disk.
struct Draft {
    genesis: Genesis,
    nodes: Vec<NodeDraft>,
}

struct NodeDraft {
    directory: PathBuf,
    config: Config,
    keys: Vec<(String, SecretKey)>,
}

impl Draft {
    fn of(directory: &Path, plan: &MeshPlan) -> Result<Self, InitError> {
        let mut draft = Self { genesis: empty_genesis(plan), nodes: Vec::new() };
        let mut ports = Ports::new(plan.port_base);
        for organisation in &plan.organisations {
            let node = draft.add_organisation(directory, plan, organisation, &mut ports)?;
            draft.nodes.push(node);
        }
        for number in 1..=plan.auditors {
            let Some(owner) = plan.organisations.get((number - 1) % plan.organisations.len().max(1)) else {
                break;
            };
            let node = draft.add_auditor(directory, plan, number, &owner.id, &mut ports)?;
            draft.nodes.push(node);
        }
        draft.connect();
        Ok(draft)
    }

    fn add_organisation(
        &mut self,
        directory: &Path,
        plan: &MeshPlan,
        organisation: &OrganisationPlan,
        ports: &mut Ports,
    ) -> Result<NodeDraft, InitError> {
        let org = &organisation.id;
        let (node, consensus) =
            (SecretKey::generate(KeyPurpose::Node)?, SecretKey::generate(KeyPurpose::Consensus)?);
        let validator = ValidatorRecord { node: node.public(), consensus: consensus.public() };
        let record = OrganisationRecord { weight: Weight::new(1), validator };
        self.genesis.organisations.insert(org.clone(), record);
        let mut keys = vec![("node.key".to_owned(), node), ("consensus.key".to_owned(), consensus)];
        for (name, role, weight) in MEMBERS {
            let member = MemberId::new(&format!("{org}/{name}"))?;
            keys.push(self.add_member(member, role, weight)?);
        }
        let mut config = node_config(plan, &Name::new(org.as_str())?, org, NodeRole::Validator, ports)?;
        let executor = MemberId::new(&format!("{org}/exec"))?;
        for target in &organisation.targets {
            let record = target_record(org, &executor, target, ports)?;
            self.genesis.targets.insert(target.id.clone(), record);
            config.executor.targets.insert(target.id.clone(), target_section(target));
        }
        config.executor.enabled = true;
        Ok(NodeDraft { directory: directory.join(org.as_str()), config, keys })
    }

    fn add_auditor(
        &mut self,
        directory: &Path,
        plan: &MeshPlan,
        number: usize,
        org: &OrgId,
        ports: &mut Ports,
    ) -> Result<NodeDraft, InitError> {
        let name = Name::new(&auditor_name(number))?;
        let node = SecretKey::generate(KeyPurpose::Node)?;
        let record = ObserverRecord { org: org.clone(), node: node.public() };
        self.genesis.observers.insert(name.clone(), record);
        let member = MemberId::new(&format!("{org}/{name}"))?;
        let keys = vec![("node.key".to_owned(), node), self.add_member(member, Role::Auditor, 0)?];
        let directory = directory.join(name.as_str());
        let config = node_config(plan, &name, org, NodeRole::Auditor, ports)?;
        Ok(NodeDraft { directory, config, keys })
    }

    fn add_member(
        &mut self,
        member: MemberId,
        role: Role,
        weight: u64,
    ) -> Result<(String, SecretKey), InitError> {
        let key = SecretKey::generate(KeyPurpose::Member(role))?;
        let path = keys::member_key_path(Path::new(""), &member, role);
        let keys = BTreeMap::from([(role, key.public())]);
        self.genesis.members.insert(member, MemberRecord { weight: Weight::new(weight), keys });
        Ok((path.display().to_string(), key))
    }

    /// Every node dials every validator but itself.
    fn connect(&mut self) {
        let validators: Vec<BootstrapSection> = self.nodes.iter().filter_map(bootstrap_of).collect();
        for node in &mut self.nodes {
            let own = node.keys.first().map(|(_, key)| key.public());
            let others = validators.iter().filter(|bootstrap| Some(bootstrap.node) != own);
            node.config.p2p.bootstrap = others.cloned().collect();
        }
    }

    fn write(self, directory: &Path) -> Result<MeshFiles, InitError> {
        make_directory(directory)?;
        let genesis = directory.join("genesis.toml");
        let network = self.genesis.network();
        genesis_file::write(&genesis, &self.genesis).map_err(|source| io_error("write", &genesis, source))?;
        let nodes = self.nodes.into_iter().map(NodeDraft::write).collect::<Result<_, _>>()?;
        Ok(MeshFiles { genesis, network, nodes })
    }
}

impl NodeDraft {
    fn write(self) -> Result<NodeFiles, InitError> {
        make_directory(&self.directory)?;
        for (name, key) in &self.keys {
            keys::create(&self.directory.join("keys").join(name), key)?;
        }
        let config = self.directory.join("node.toml");
        let text =
            toml::to_string_pretty(&self.config).expect("a configuration that was made can be written");
        let written = OpenOptions::new().write(true).create_new(true).open(&config).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|source| io_error("write", &config, source))?;
        let NodeSection { name, org, role, .. } = self.config.node;
        Ok(NodeFiles { name, org, role, directory: self.directory, config })
    }
}

fn bootstrap_of(node: &NodeDraft) -> Option<BootstrapSection> {
    let is_validator = node.config.node.role == NodeRole::Validator;
    let (key, address) = (node.keys.first()?.1.public(), node.config.p2p.listen.first()?.clone());
    is_validator.then_some(BootstrapSection { node: key, address })
}

fn empty_genesis(plan: &MeshPlan) -> Genesis {
    Genesis {
        schema: GENESIS_SCHEMA,
        name: plan.name.clone(),
        time: plan.time,
        constitution: plan.constitution.clone(),
        organisations: BTreeMap::new(),
        members: BTreeMap::new(),
        observers: BTreeMap::new(),
        targets: BTreeMap::new(),
    }
}

fn node_config(
    plan: &MeshPlan,
    name: &Name,
    org: &OrgId,
    role: NodeRole,
    ports: &mut Ports,
) -> Result<Config, InitError> {
    let mut port =
        || ports.next().map_err(|source| io_error("find a port for", Path::new(name.as_str()), source));
    let loopback = |port: u16| (std::net::Ipv4Addr::LOCALHOST, port).into();
    let (p2p, api, admin) = (port()?, port()?, port()?);
    let consensus = (role == NodeRole::Validator).then(|| "keys/consensus.key".into());
    Ok(Config {
        schema: CONFIG_SCHEMA,
        node: NodeSection {
            name: name.clone(),
            org: org.clone(),
            role,
            data_dir: "data".into(),
            joined_later: false,
            genesis: "../genesis.toml".into(),
        },
        identity: IdentitySection { node_key_file: "keys/node.key".into(), consensus_key_file: consensus },
        p2p: P2pSection { listen: vec![plan.transport.loopback(p2p)], bootstrap: Vec::new(), max_peers: 256 },
        api: ApiSection { socket: Some("api.sock".into()), listen: Some(loopback(api)) },
        admin: AdminSection { listen: Some(loopback(admin)) },
        keys: KeysSection { backend: KeysBackend::File, directory: "keys".into() },
        executor: ExecutorSection::default(),
    })
}

fn target_record(
    org: &OrgId,
    executor: &MemberId,
    target: &TargetPlan,
    ports: &mut Ports,
) -> Result<TargetRecord, InitError> {
    let mut endpoints = Vec::new();
    for _ in 0..target.instances {
        let port = ports.next();
        let port =
            port.map_err(|source| io_error("find a port for", Path::new(target.id.as_str()), source))?;
        endpoints.push(Line::new(&format!("http://127.0.0.1:{port}"))?);
    }
    Ok(TargetRecord {
        owner: org.clone(),
        provider: Name::new("local")?,
        jurisdiction: target.jurisdiction.clone(),
        tier: target.tier,
        endpoints,
        executors: BTreeSet::from([executor.clone()]),
    })
}

fn target_section(target: &TargetPlan) -> TargetSection {
    TargetSection {
        commands: target.commands.clone(),
        files: target.files.clone(),
        ..TargetSection::new(Path::new("sites").join(target.id.as_str()), target.artefacts.clone())
    }
}

fn auditor_name(number: usize) -> String {
    format!("auditor-{number}")
}

fn check_names(plan: &MeshPlan) -> Result<(), InitError> {
    let orgs = plan.organisations.iter().map(|organisation| organisation.id.to_string());
    let nodes: Vec<String> = orgs.chain((1..=plan.auditors).map(auditor_name)).collect();
    let targets = plan.organisations.iter().flat_map(|organisation| &organisation.targets);
    for names in [nodes, targets.map(|target| target.id.to_string()).collect()] {
        let mut seen = BTreeSet::new();
        if let Some(name) = names.into_iter().find(|name| !seen.insert(name.clone())) {
            return Err(InitError::Duplicate { name });
        }
    }
    Ok(())
}

fn check_empty(directory: &Path) -> Result<(), InitError> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(InitError::NotEmpty { path: directory.to_owned() }),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error("list", directory, source)),
    }
}

fn make_directory(path: &Path) -> Result<(), InitError> {
    fs::create_dir_all(path).map_err(|source| io_error("make", path, source))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> InitError {
    InitError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
