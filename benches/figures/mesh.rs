//! Owns the mesh under measurement: four validators in processes of their own on loopback, with an auditor that joins
//! late, written by the same code as `althing init mesh` and given enough voters to fill blocks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use althing_chaos::process::{
    Usage,
    load::Load,
    mesh::{Node, ProcessMesh},
    vote::{OpenVote, Voter, members_with},
};
use althing_contracts::{
    constitution::Constitution,
    genesis::Tier,
    name::{Name, OrgId, TargetId},
    quantity::{BondPoints, TimeMs},
};
use althing_netconfig::mesh_init::{MeshPlan, OrganisationPlan, TargetPlan, Transport, init_mesh};

use super::{
    Failure,
    statistics::{Latencies, timed},
};

const ORGANISATIONS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
/// Proposals on which each of them casts a ballot in the flood.
const FLOODED_PROPOSALS: usize = 60;
/// How long the auditor may take to catch up.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);
/// How often the auditor is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The running mesh.
pub(crate) struct Mesh {
    mesh: ProcessMesh,
}

/// What the validators used over a time.
pub(crate) struct Idle {
    /// Of the validator that used most.
    pub(crate) cpu_pct: f64,
    /// Of the validator that holds most.
    pub(crate) resident_mib: f64,
}

/// What a flood of ballots cost.
pub(crate) struct Flood {
    /// Final ballots.
    pub(crate) ballots: usize,
    /// Times that a voter was told to try again, or nothing.
    pub(crate) unanswered: usize,
    /// Blocks that hold them.
    pub(crate) blocks: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Processor time of each validator, in the order of the mesh; the first one is where the ballots came in.
    pub(crate) cpu: Vec<Duration>,
}

impl Mesh {
    /// Writes and starts a mesh; its auditor stays away.
    pub(crate) fn start(binary: &Path, folder: &Path, voters: usize) -> Result<Self, Failure> {
        init_mesh(folder, &plan()?)?;
        let mut mesh = ProcessMesh::open(binary, folder)?;
        mesh.add_voters(0, voters)?;
        for node in validators(&mut mesh) {
            node.start()?;
        }
        Ok(Self { mesh })
    }

    /// Lets the mesh idle.
    pub(crate) fn idle(&mut self, time: Duration) -> Result<Idle, Failure> {
        let before = self.usages()?;
        self.first().stays_up_for(time)?;
        let after = self.usages()?;
        let used = before.iter().zip(&after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        let cpu = used.max().unwrap_or_default();
        let resident = after.iter().map(|usage| usage.resident_bytes).max().unwrap_or_default();
        let mib = f64::from(u32::try_from(resident / 1024)?) / 1024.0;
        Ok(Idle { cpu_pct: 100.0 * cpu.as_secs_f64() / time.as_secs_f64(), resident_mib: mib })
    }

    /// The voters of the first validator, on a proposal that takes ballots for the whole run.
    pub(crate) fn voter(&self) -> Result<Voter, Failure> {
        Ok(Voter::of(self.mesh.nodes()[0].client(), &[self.vote()?])?)
    }

    /// Ballots of one voter, one after another.
    pub(crate) fn cast(voter: &mut Voter, ballots: usize) -> Result<Latencies, Failure> {
        let mut latencies = Latencies::default();
        for _ in 0..ballots {
            let (acknowledged, latency) = timed(|| voter.cast());
            acknowledged?;
            latencies.push(latency);
        }
        Ok(latencies)
    }

    /// Every voter casts ballots for `time`, all at once.
    pub(crate) fn flood(&mut self, time: Duration) -> Result<Flood, Failure> {
        let votes = (0..FLOODED_PROPOSALS).map(|_| self.vote()).collect::<Result<Vec<_>, _>>()?;
        let client = self.mesh.nodes()[0].client().clone();
        let members = members_with(&client, "voter")?;
        let before = self.usages()?;
        let height_before = self.head()?;
        let begun = Instant::now();
        let load = Load::start(members.into_iter().map(|member| Voter::named(&client, vec![member], &votes)));
        self.first().stays_up_for(time)?;
        let cast = load.stop();
        let elapsed = begun.elapsed();
        let after = self.usages()?;
        if let Some(refused) = cast.iter().find_map(|cast| cast.refused.as_ref()) {
            return Err(refused.to_string().into());
        }
        let ballots = cast.iter().map(|cast| cast.acknowledged.len()).sum();
        let unanswered = cast.iter().map(|cast| cast.unanswered).sum();
        let cpu = before.iter().zip(&after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        Ok(Flood { ballots, unanswered, blocks: self.head()? - height_before, elapsed, cpu: cpu.collect() })
    }

    /// Starts the auditor on an empty disk; yields the time from its start until it has applied all, the processor time
    /// that it used for that, and how many blocks there were.
    pub(crate) fn catch_up(&mut self) -> Result<(Duration, Duration, u64), Failure> {
        let head = self.head()?;
        let begun = Instant::now();
        let auditor = self.mesh.nodes_mut().last_mut().ok_or("the mesh has no auditor")?;
        auditor.start()?;
        while auditor.client().head()?.height < head {
            auditor.stays_up_for(LOOK_EVERY)?;
            if begun.elapsed() > CATCH_UP_TIMEOUT {
                return Err(format!("the auditor did not reach height {head} in {CATCH_UP_TIMEOUT:?}").into());
            }
        }
        Ok((begun.elapsed(), auditor.usage()?.cpu, head))
    }

    /// Processor time of all validators so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        Ok(self.usages()?.iter().map(|usage| usage.cpu).sum())
    }

    /// The first validator's metrics.
    pub(crate) fn metrics(&self) -> Result<String, Failure> {
        Ok(self.mesh.nodes()[0].client().metrics()?)
    }

    fn vote(&self) -> Result<OpenVote, Failure> {
        Ok(OpenVote::begin(self.mesh.nodes()[0].client(), self.mesh.nodes()[1].client())?)
    }

    fn head(&self) -> Result<u64, Failure> {
        Ok(self.mesh.nodes()[0].client().head()?.height)
    }

    fn first(&mut self) -> &mut Node {
        &mut self.mesh.nodes_mut()[0]
    }

    fn usages(&self) -> Result<Vec<Usage>, Failure> {
        Ok(self.mesh.nodes()[..ORGANISATIONS.len()].iter().map(Node::usage).collect::<Result<_, _>>()?)
    }
}

fn validators(mesh: &mut ProcessMesh) -> &mut [Node] {
    &mut mesh.nodes_mut()[..ORGANISATIONS.len()]
}

/// Four organisations with one target each, under the parameters that every mesh starts with: votes last for days.
fn plan() -> Result<MeshPlan, Failure> {
    let organisation = |name: &str| {
        let targets = vec![TargetPlan {
            id: TargetId::new(&format!("{name}-north"))?,
            jurisdiction: Name::new("eu")?,
            tier: Tier::Medium,
            instances: 1,
            artefacts: PathBuf::from("artefacts"),
            commands: BTreeMap::new(),
            files: BTreeMap::new(),
        }];
        Ok::<_, Failure>(OrganisationPlan { id: OrgId::new(name)?, targets })
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(MeshPlan {
        name: Name::new("bench")?,
        time: TimeMs::new(u64::try_from(now.as_millis())?),
        constitution: constitution(),
        organisations: ORGANISATIONS.into_iter().map(organisation).collect::<Result<_, _>>()?,
        auditors: 1,
        port_base: 0,
        transport: Transport::default(),
    })
}

/// Rules by which one author may have many proposals open, and for nothing.
fn constitution() -> Constitution {
    let mut rules = Constitution { open_proposals_per_author_max: 100, ..Constitution::default_genesis() };
    rules.bonds.base = BondPoints::ZERO;
    rules
}
