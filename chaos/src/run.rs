//! Owns a run: lays a mesh of real daemons, keeps it at work, breaks it by a seeded schedule, mends it, judges it, and takes
//! everything away again. Refuses a mesh that it did not lay itself.

pub mod effects;
pub mod evidence;
pub mod fault;
pub mod ground;
pub mod load;
pub mod mix;
pub mod outsider;
pub mod report;
pub mod schedule;
pub mod stop;
pub mod verdict;
pub mod watch;

mod recovery;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use fault::Fault;
use ground::{Ground, GroundError};
use load::{
    ballots::{Answer, Ballots, Cast},
    lives::{Author, Life, Lives},
    reads::{ReadCounts, Reads, Record},
};
use mix::Mix;
use report::{BallotCounts, LeftOut, REPORT_VERSION, Report, Trouble};
use schedule::{Episode, Schedule};
use stop::Stop;
use watch::{Seen, Watch};

use crate::{
    host::{
        HostError,
        facility::{Facility, Lack},
        inventory::Inventory,
    },
    process::vote::members_with,
};
use althing_actors::causes::with_causes;

/// Time in which blocks that were on the way when the mesh lost its two thirds arrive.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Longest time that is waited for a block after a mend; what comes later is a broken promise either way.
const RECOVERY_MAX: Duration = Duration::from_secs(40);
/// Longest time for the first block.
const FIRST_BLOCK_WITHIN: Duration = Duration::from_mins(1);
/// How often the heights are told while nothing else happens.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// Fewest and most validators.
pub const VALIDATORS: std::ops::RangeInclusive<u8> = 4..=10;

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to break.
    pub fault: Fault,
    /// Which of its kinds or mixes, by name; all when it is empty.
    pub only: Vec<String>,
    /// What everything is drawn from.
    pub seed: u64,
    /// How long it is broken, in all.
    pub time: Duration,
    /// Validators; there is one auditor besides.
    pub validators: u8,
    /// The program that the daemons run.
    pub binary: PathBuf,
    /// Where the mesh is laid and stays; a temporary folder when there is none.
    pub folder: Option<PathBuf>,
    /// Where the list of what was made is kept.
    pub inventories: PathBuf,
    /// The command that repeats the run.
    pub repeat: String,
    /// The version of the program.
    pub program: &'static str,
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Since the mesh was started.
    pub at: Duration,
    /// What happens; empty while nothing new does.
    pub text: String,
    /// Each node's height.
    pub heights: Vec<u64>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine can do nothing of what was asked for.
    #[error("this machine cannot do `{fault}`: {lack}")]
    Lacking {
        /// What was asked for.
        fault: Fault,
        /// What is missing.
        #[source]
        lack: Lack,
    },
    /// A fault has no such kind.
    #[error("`{fault}` has no `{unknown}`; it has {}", known.join(", "))]
    UnknownKind {
        /// What was asked for.
        fault: Fault,
        /// What it does not have.
        unknown: String,
        /// What it has.
        known: Vec<String>,
    },
    /// There is something in the folder.
    #[error("{folder} is not empty, and what is in it was not made to be broken")]
    NotThrowAway {
        /// Which.
        folder: PathBuf,
    },
    /// The machine does not do what the run needs.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something else went wrong: the run shows nothing.
    #[error("{doing}: {}", with_causes(&**source))]
    Broken {
        /// When.
        doing: &'static str,
        /// Why.
        source: GroundError,
    },
    /// It was ended before there was anything to judge.
    #[error("interrupted before the mesh was up")]
    Interrupted,
}

/// Runs, and takes everything away again whatever happens.
///
/// # Errors
/// See [`RunError`]; what could not be taken away is told through `tell`, and stays in the inventory.
pub fn run(options: &Options, stop: &Stop, tell: &dyn Fn(&Progress)) -> Result<Report, RunError> {
    let (mixes, left_out) = possible(options.fault, &options.only)?;
    check_folder(options)?;
    let inventory = Inventory::begin(&options.inventories)?;
    let outcome = run_recorded(options, &inventory, mixes, left_out, stop, tell);
    if let Err(stuck) = inventory.remove_all() {
        for error in &stuck {
            let text = format!("left behind: {}", with_causes(error));
            tell(&Progress { at: Duration::ZERO, text, heights: Vec::new() });
        }
    }
    outcome
}

/// What of a fault this machine can do; `only` names some of what it draws from.
///
/// # Errors
/// Nothing of it, or there is no such name.
///
/// # Panics
/// Never: a fault without kinds is the one of Vault, which no machine has.
pub fn possible(fault: Fault, only: &[String]) -> Result<(Vec<Mix>, Vec<LeftOut>), RunError> {
    let all = fault.draws();
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|mix| mix::name(mix) != **name)) {
        let known = all.iter().map(|mix| mix::name(mix)).collect();
        return Err(RunError::UnknownKind { fault, unknown: unknown.clone(), known });
    }
    let (mut mixes, mut left_out) = (Vec::new(), Vec::new());
    let mut first = None;
    for mix in all.into_iter().filter(|mix| only.is_empty() || only.contains(&mix::name(mix))) {
        match mix.iter().find_map(|kind| kind.check().err()) {
            None => mixes.push(mix),
            Some(lack) => {
                left_out.push(LeftOut {
                    mix: mix::name(mix),
                    why: lack.why.clone(),
                    remedy: lack.remedy.clone(),
                });
                first.get_or_insert(lack);
            }
        }
    }
    if mixes.is_empty() {
        let lack = first.or_else(|| Facility::Vault.check().err());
        let lack = lack.expect("a fault without kinds is the one of Vault, which no machine has");
        return Err(RunError::Lacking { fault, lack });
    }
    Ok((mixes, left_out))
}

/// A folder that a person names is new or empty.
fn check_folder(options: &Options) -> Result<(), RunError> {
    let Some(folder) = &options.folder else { return Ok(()) };
    let has_something = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if has_something { Err(RunError::NotThrowAway { folder: folder.clone() }) } else { Ok(()) }
}

fn run_recorded(
    options: &Options,
    inventory: &Inventory,
    mixes: Vec<Mix>,
    left_out: Vec<LeftOut>,
    stop: &Stop,
    tell: &dyn Fn(&Progress),
) -> Result<Report, RunError> {
    let scratch = std::env::temp_dir().join(format!("althing-chaos-{}", inventory.run()));
    inventory.make_folder(&scratch)?;
    let folder = options.folder.clone().unwrap_or_else(|| scratch.join("mesh"));
    let validators = usize::from(options.validators);
    let facilities: BTreeSet<Facility> =
        mixes.iter().flat_map(|mix| mix.iter()).filter_map(|kind| kind.needs()).collect();
    tell(&Progress {
        at: Duration::ZERO,
        text: format!("laying a mesh of {validators} validators and an auditor"),
        heights: Vec::new(),
    });
    let lay = Ground::lay(inventory, &options.binary, &folder, validators, options.seed, &facilities);
    let ground = lay.map_err(|source| RunError::Broken { doing: "the mesh cannot be laid", source })?;
    let mut session = Session {
        options,
        stop,
        tell,
        begun: Instant::now(),
        began_ms: recovery::now_ms(),
        ground,
        fallen: Vec::new(),
    };
    session.start()?;
    let schedule = Schedule::new(options.seed, mixes, validators, session.ground.names().len());
    session.run(schedule, left_out, &scratch)
}

struct Session<'a> {
    options: &'a Options,
    stop: &'a Stop,
    tell: &'a dyn Fn(&Progress),
    begun: Instant,
    /// When the run began, in milliseconds since the Unix epoch.
    began_ms: u64,
    ground: Ground,
    fallen: Vec<String>,
}

/// The work that goes on meanwhile, and what looks on.
struct Work {
    watch: Watch,
    ballots: Ballots,
    lives: Lives,
    reads: Reads,
    /// What all clients are told.
    record: Record,
    /// Ends the work; the run's own stop only ends the breaking.
    enough: Stop,
}

impl Session<'_> {
    fn start(&mut self) -> Result<(), RunError> {
        self.say("starting the daemons", &[]);
        self.ground.start().map_err(|source| RunError::Broken { doing: "the mesh does not start", source })
    }

    fn run(
        mut self,
        schedule: Schedule,
        left_out: Vec<LeftOut>,
        scratch: &std::path::Path,
    ) -> Result<Report, RunError> {
        let work = self
            .begin_work()
            .map_err(|source| RunError::Broken { doing: "the load does not begin", source })?;
        let mut troubles = self.break_by(schedule, &work)?;
        self.say("everything is mended; one more life, and then the verdicts", &work.watch.heights());
        let record = work.record.clone();
        let (seen, cast, lives, last_life) = self.end_work(work)?;
        let evidence = evidence::Evidence::gather(&mut self.ground, &self.options.binary, scratch);
        let evidence = evidence
            .map_err(|source| RunError::Broken { doing: "the evidence cannot be gathered", source })?;
        let names = self.ground.names();
        recovery::resumed(&mut troubles, &names, &evidence.stories, self.began_ms);
        let (mut told, reads) = record.take();
        verdict::status::chronicle(&mut told, &evidence.stories, evidence.height);
        let verdicts = verdict::judge(&verdict::Findings {
            names: &names,
            seen: &seen,
            troubles: &troubles,
            ballots: &cast.ballots,
            told: &told,
            reads,
            last_life: last_life.as_ref(),
            fallen: &self.fallen,
            evidence: &evidence,
        });
        let lives = lives.into_iter().chain(last_life).collect();
        Ok(self.report(troubles, left_out, lives, (&cast, reads), &seen, verdicts))
    }

    fn begin_work(&self) -> Result<Work, GroundError> {
        let mesh = self.ground.mesh();
        let watch = Watch::start(mesh.nodes().iter().map(|node| node.client().clone()));
        let validators: Vec<_> = mesh.validators().map(|node| node.client().clone()).collect();
        let record = Record::default();
        let author = Author::new(&validators, self.begun, &record)?;
        let mut voters = Vec::new();
        for client in &validators {
            let members = members_with(client, "voter")?;
            let crowd = members.into_iter().filter(|member| member.contains("/voter-")).collect();
            voters.push((client.clone(), crowd));
        }
        let enough = Stop::default();
        let (ballots, lives) =
            (Ballots::start(voters, &record, &enough), Lives::start(author, &enough, self.stop));
        let nodes: Vec<_> = mesh.nodes().iter().map(|node| node.client().clone()).collect();
        let reads = Reads::start(&nodes, self.options.seed, &record, &enough);
        watch.wait_for_all(0, FIRST_BLOCK_WITHIN).ok_or("no first block")?;
        Ok(Work { watch, ballots, lives, reads, record, enough })
    }

    /// Breaks and mends until the time is over or somebody has enough.
    fn break_by(&mut self, mut schedule: Schedule, work: &Work) -> Result<Vec<Trouble>, RunError> {
        let deadline = Instant::now() + self.options.time;
        let mut troubles = Vec::new();
        while Instant::now() < deadline && !self.stop.is_requested() {
            let episode = schedule.draw();
            if self.stop.wait(episode.calm) {
                break;
            }
            troubles.push(self.play(&episode, &work.watch)?);
        }
        Ok(troubles)
    }

    fn play(&mut self, episode: &Episode, watch: &Watch) -> Result<Trouble, RunError> {
        let names = self.ground.names();
        let broken: Vec<_> = episode.actions.iter().map(|action| action.describe(&names)).collect();
        self.say(&format!("broken: {}", broken.join(" + ")), &watch.heights());
        let failed = |source| RunError::Broken { doing: "the fault cannot be played", source };
        let (before, broken_ms) = (watch.height_max(), self.now_ms());
        for action in &episode.actions {
            self.ground.apply(action).map_err(failed)?;
        }
        let keeps_quorum = episode.keeps_quorum(self.ground.validators());
        let settle = SETTLE.min(episode.broken);
        self.wait(settle, watch);
        let settled = watch.height_max();
        self.wait(episode.broken.saturating_sub(settle), watch);
        let after = watch.height_max();
        if !episode.kinds.iter().any(|kind| kind.may_end()) {
            self.note_fallen();
        }
        self.ground.heal(&episode.actions).map_err(failed)?;
        let (mended, mended_ms) = (Instant::now(), self.now_ms());
        let height = watch.height_max();
        let since = |at: Option<Instant>| {
            at.and_then(|at| u64::try_from(at.saturating_duration_since(mended).as_millis()).ok())
        };
        let next_block_ms = since(watch.wait_for_any(height, RECOVERY_MAX));
        let caught_up_ms = since(watch.wait_for_all(height, RECOVERY_MAX));
        let mut nodes: Vec<_> = episode.actions.iter().flat_map(schedule::Action::nodes).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let told = |took: Option<u64>| took.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
        self.say(
            &format!("mended: next block {}, all level {}", told(next_block_ms), told(caught_up_ms)),
            &watch.heights(),
        );
        Ok(Trouble {
            number: episode.number,
            kinds: episode.kinds.clone(),
            broken,
            nodes,
            keeps_quorum,
            broken_ms,
            mended_ms,
            blocks_while_stalled: (keeps_quorum == Some(false)).then_some(after - settled),
            blocks: after - before,
            next_block_ms,
            caught_up_ms,
            resumed_ms: Vec::new(),
        })
    }

    #[expect(clippy::type_complexity, reason = "one caller takes it apart at once")]
    fn end_work(&mut self, work: Work) -> Result<(Vec<Vec<Seen>>, Cast, Vec<Life>, Option<Life>), RunError> {
        let Work { watch, ballots, lives, reads, record, enough } = work;
        enough.request();
        reads.join();
        let (cast, lives) = (ballots.join(), lives.join());
        let validators: Vec<_> = self.ground.mesh().validators().map(|node| node.client().clone()).collect();
        let author = Author::new(&validators, self.begun, &record);
        let author = author.map_err(|error| RunError::Broken {
            doing: "the last life does not begin",
            source: error.into(),
        })?;
        let last_life = (!self.stop.is_requested()).then(|| author.live(lives.len(), self.stop));
        let last_life = last_life.filter(|_| !self.stop.is_requested());
        self.note_fallen();
        // The last blocks reach everybody; where they do not, agreement and recovery say so.
        let _agreed = self.ground.mesh().wait_for_agreement(RECOVERY_MAX);
        Ok((watch.stop(), cast, lives, last_life))
    }

    fn note_fallen(&mut self) {
        for name in self.ground.fallen() {
            if !self.fallen.contains(&name) {
                let printed = self.ground.printed(&name);
                let last: Vec<_> = printed.lines().rev().take(3).collect();
                self.say(
                    &format!(
                        "{name} ended by itself: {}",
                        last.into_iter().rev().collect::<Vec<_>>().join(" / ")
                    ),
                    &[],
                );
                self.fallen.push(name);
            }
        }
    }

    fn report(
        &self,
        troubles: Vec<Trouble>,
        left_out: Vec<LeftOut>,
        lives: Vec<Life>,
        (cast, reads): (&Cast, ReadCounts),
        seen: &[Vec<Seen>],
        verdicts: Vec<verdict::Verdict>,
    ) -> Report {
        let count = |is: fn(&Answer) -> bool| cast.ballots.iter().filter(|ballot| is(&ballot.answer)).count();
        let since = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
        };
        Report {
            version: REPORT_VERSION,
            passed: verdicts.iter().all(|verdict| verdict.holds),
            interrupted: self.stop.is_requested(),
            fault: self.options.fault,
            seed: self.options.seed,
            repeat: self.options.repeat.clone(),
            program: self.options.program,
            nodes: self.ground.names(),
            validators: self.ground.validators(),
            took_ms: self.now_ms(),
            left_out,
            troubles,
            lives,
            ballots: BallotCounts {
                cast: cast.ballots.len(),
                acknowledged: count(|answer| matches!(answer, Answer::Final { .. })),
                refused: count(|answer| *answer == Answer::Refused),
                unanswered: cast.unanswered,
            },
            reads,
            frames: self.ground.counts(),
            heights: seen
                .iter()
                .map(|seen| seen.iter().map(|seen| (since(seen.at), seen.height)).collect())
                .collect(),
            verdicts,
        }
    }

    /// Waits, and shows the heights meanwhile; ends early when somebody has enough.
    fn wait(&self, time: Duration, watch: &Watch) {
        let deadline = Instant::now() + time;
        while !self.stop.wait(TELL_EVERY.min(deadline.saturating_duration_since(Instant::now()))) {
            self.say("", &watch.heights());
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    fn say(&self, text: &str, heights: &[u64]) {
        (self.tell)(&Progress { at: self.begun.elapsed(), text: text.to_owned(), heights: heights.to_vec() });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
