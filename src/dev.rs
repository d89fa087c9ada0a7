//! Owns a whole mesh in one process: real nodes from real files on free ports, each organisation with two sites that
//! run the greeter, governance periods divided so that a person sees a whole life in seconds.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use althing_contracts::{
    constitution::Constitution,
    genesis::Tier,
    name::{Name, NameError, OrgId, TargetId},
    quantity::TimeMs,
};
use althing_netconfig::{
    config::{CommandSection, Config, ConfigError},
    mesh_init::{self, InitError, MeshFiles, MeshPlan, NodeFiles, OrganisationPlan, TargetPlan, Transport},
};
use tempfile::TempDir;

use crate::{
    api::ApiConfig,
    cli::heights::Heights,
    wiring::{self, Node, NodeError},
};

/// What a day is in a mesh of `dev`: one second.
pub const TIME_DIVISOR: u64 = 24 * 60 * 60;
/// Instances of the greeter at a site.
const INSTANCES: u8 = 2;
/// The organisations, in the order in which they are taken.
const ORGANISATIONS: [&str; 16] = [
    "acme", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kelp",
    "larch", "maple", "north", "oak", "pine",
];
/// Releases of the greeter, as they stand under `examples/artefacts`.
const RELEASES: [(&str, &str); 3] = [
    ("greeter-1.toml", include_str!("../examples/artefacts/greeter-1.toml")),
    ("greeter-2.toml", include_str!("../examples/artefacts/greeter-2.toml")),
    ("greeter-3.toml", include_str!("../examples/artefacts/greeter-3.toml")),
];

/// Why the mesh does not come up.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Files.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mesh's files.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A configuration just written; a defect.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A name; a defect.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A mesh in this process.
pub struct DevMesh {
    nodes: BTreeMap<Name, DevNode>,
    files: MeshFiles,
    directory: PathBuf,
    heights: Heights,
    // Removed when the mesh is dropped.
    _temporary: Option<TempDir>,
}

/// A place in the mesh: its node may be down.
struct DevNode {
    files: NodeFiles,
    running: Option<Node>,
}

impl DevMesh {
    /// Writes and starts a mesh; in a temporary directory when none is given.
    ///
    /// # Errors
    /// See [`DevError`].
    pub async fn start(orgs: u8, auditors: u8, directory: Option<PathBuf>) -> Result<Self, DevError> {
        wiring::metrics::install();
        let (directory, temporary) = place(directory)?;
        let root = directory.join("mesh");
        let constitution = Constitution::default_genesis().divided(TIME_DIVISOR);
        let names = &ORGANISATIONS[..usize::from(orgs).min(ORGANISATIONS.len())];
        let files = mesh_init::init_mesh(&root, &plan(names, auditors, constitution)?)?;
        for node in &files.nodes {
            write_releases(&node.directory.join("artefacts"))?;
        }
        let mut nodes = BTreeMap::new();
        for node in &files.nodes {
            let running = Some(start(node).await?);
            nodes.insert(node.name.clone(), DevNode { files: node.clone(), running });
        }
        Ok(Self { nodes, files, directory, heights: Heights::default(), _temporary: temporary })
    }

    /// What was written.
    #[must_use]
    pub const fn files(&self) -> &MeshFiles {
        &self.files
    }

    /// The directory that holds everything.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What those who act in this mesh have seen: what one node answered, the next one has when it is asked.
    #[must_use]
    pub const fn heights(&self) -> &Heights {
        &self.heights
    }

    /// The names of all nodes, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    /// A running node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.values().find(|node| node.files.name.as_str() == name)?.running.as_ref()
    }

    /// Where a running node's API listens.
    #[must_use]
    pub fn places(&self, name: &str) -> Option<&ApiConfig> {
        self.node(name).map(Node::places)
    }

    /// Takes a node out of the mesh in the middle of what it does: its peers get no farewell.
    pub async fn kill(&mut self, name: &str) {
        if let Some(node) = self.find(name).and_then(|node| node.running.take()) {
            node.kill().await;
        }
    }

    /// Starts a node again from its files.
    ///
    /// # Errors
    /// See [`DevError`].
    pub async fn restart(&mut self, name: &str) -> Result<(), DevError> {
        if let Some(node) = self.find(name) {
            node.running = Some(start(&node.files).await?);
        }
        Ok(())
    }

    /// Cuts every connection between the nodes named and all the others, in both directions.
    pub async fn cut(&self, names: &[&str]) {
        for (inside, outside) in self.pairs(names) {
            inside.mesh().cordon(outside.mesh().local()).await;
            outside.mesh().cordon(inside.mesh().local()).await;
        }
    }

    /// Takes [`Self::cut`] back.
    pub async fn heal(&self, names: &[&str]) {
        for (inside, outside) in self.pairs(names) {
            inside.mesh().uncordon(outside.mesh().local()).await;
            outside.mesh().uncordon(inside.mesh().local()).await;
        }
    }

    /// Ends services and nodes in order.
    pub async fn stop(mut self) {
        let nodes: Vec<Node> = self.nodes.values_mut().filter_map(|node| node.running.take()).collect();
        let stop = |node: Node| async move {
            node.stop_services().await;
            node.stop().await;
        };
        futures::future::join_all(nodes.into_iter().map(stop)).await;
    }

    fn find(&mut self, name: &str) -> Option<&mut DevNode> {
        self.nodes.values_mut().find(|node| node.files.name.as_str() == name)
    }

    fn pairs(&self, names: &[&str]) -> Vec<(&Node, &Node)> {
        let running = || self.nodes.values().filter_map(|node| node.running.as_ref());
        let is_inside = |node: &&Node| names.contains(&node.name().as_str());
        let inside: Vec<&Node> = running().filter(is_inside).collect();
        let outside: Vec<&Node> = running().filter(|node| !is_inside(node)).collect();
        inside.iter().flat_map(|one| outside.iter().map(|other| (*one, *other))).collect()
    }
}

/// Writes a mesh of these organisations for nodes that are started by hand, with the periods of the constitution.
///
/// # Errors
/// See [`DevError`].
pub fn found(orgs: &[OrgId], directory: &Path) -> Result<MeshFiles, DevError> {
    let names: Vec<&str> = orgs.iter().map(OrgId::as_str).collect();
    let plan = MeshPlan { name: Name::new("mesh")?, ..plan(&names, 1, Constitution::default_genesis())? };
    let files = mesh_init::init_mesh(directory, &plan)?;
    files.nodes.iter().try_for_each(|node| write_releases(&node.directory.join("artefacts")))?;
    Ok(files)
}

async fn start(files: &NodeFiles) -> Result<Node, DevError> {
    // The environment is left out: what it overrides is meant for one node, not for all of a mesh.
    let loaded = Config::load(&files.config, [])?;
    Ok(Node::start(loaded.config).await?)
}

fn place(directory: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), DevError> {
    if let Some(directory) = directory {
        return Ok((directory, None));
    }
    let temporary = tempfile::Builder::new().prefix("althing-").tempdir();
    let temporary = temporary.map_err(|source| DevError::Io {
        what: "make a directory below",
        path: std::env::temp_dir(),
        source,
    })?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn plan(orgs: &[&str], auditors: u8, constitution: Constitution) -> Result<MeshPlan, DevError> {
    Ok(MeshPlan {
        name: Name::new("dev")?,
        time: TimeMs::new(now_ms()),
        constitution: constitution.fitted_to(orgs.len()),
        organisations: orgs.iter().map(|id| organisation(id)).collect::<Result<_, _>>()?,
        auditors: usize::from(auditors),
        port_base: 0,
        transport: Transport::default(),
    })
}

fn organisation(id: &str) -> Result<OrganisationPlan, DevError> {
    let site = |place: &str| target(&format!("{id}-{place}"));
    Ok(OrganisationPlan { id: OrgId::new(id)?, targets: vec![site("north")?, site("south")?] })
}

/// One site of an organisation; the second site of acme and birch is outside the European Union.
fn target(id: &str) -> Result<TargetPlan, DevError> {
    let program = std::env::current_exe().map_err(|source| DevError::Io {
        what: "find",
        path: "this program".into(),
        source,
    })?;
    let words = ["dev-service", "--release", "{artefact}", "--listen", "{listen}"];
    let command =
        CommandSection { program: program.display().to_string(), args: words.map(str::to_owned).to_vec() };
    let jurisdiction = if id == "acme-south" || id == "birch-south" { "us" } else { "eu" };
    Ok(TargetPlan {
        id: TargetId::new(id)?,
        jurisdiction: Name::new(jurisdiction)?,
        tier: Tier::Medium,
        instances: INSTANCES,
        artefacts: "artefacts".into(),
        commands: BTreeMap::from([(Name::new("greeter")?, command)]),
        files: BTreeMap::new(),
    })
}

fn write_releases(directory: &Path) -> Result<(), DevError> {
    let failed = |what, path: &Path, source| DevError::Io { what, path: path.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(|source| failed("make", directory, source))?;
    for (name, text) in RELEASES {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|source| failed("write", &path, source))?;
    }
    Ok(())
}

fn now_ms() -> u64 {
    use althing_actors::port::Clock as _;
    wiring::SystemClock.now().get()
}
