//! Owns a run: lays a mesh of real daemons, keeps it at work, breaks it by a seeded schedule, mends it, judges it, and takes
//! everything away again. A mesh that it did not lay itself it breaks only when told twice which one, and leaves it there.

pub mod effects;
pub mod evidence;
pub mod fault;
pub mod ground;
pub mod load;
pub mod mix;
pub mod outsider;
pub mod place;
pub mod report;
pub mod schedule;
pub mod stop;
pub mod verdict;
pub mod watch;

mod recovery;
mod session;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use althing_actors::causes::with_causes;

use fault::{Fault, Kind};
use ground::{Ground, GroundError};
use mix::Mix;
use place::{Place, PlaceError};
use report::{LeftOut, Report};
use schedule::Schedule;
use session::Session;
use stop::Stop;

use crate::host::{
    HostError,
    facility::{Facility, Lack},
    inventory::Inventory,
};

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
    /// Where the mesh is laid and stays, or stands; a temporary folder when there is none.
    pub folder: Option<PathBuf>,
    /// The folder of a mesh that stands, named again: it is broken there.
    pub yes_break: Option<PathBuf>,
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
    /// Nothing is broken in that folder.
    #[error(transparent)]
    Place(#[from] PlaceError),
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
    let place = Place::find(&options.binary, options.folder.as_deref(), options.yes_break.as_deref())?;
    let (mixes, left_out) = possible(options.fault, &options.only, &place)?;
    let inventory = Inventory::begin(&options.inventories)?;
    let outcome = run_recorded(options, &inventory, place, (mixes, left_out), stop, tell);
    if let Err(stuck) = inventory.remove_all() {
        for error in &stuck {
            let text = format!("left behind: {}", with_causes(error));
            tell(&Progress { at: Duration::ZERO, text, heights: Vec::new() });
        }
    }
    outcome
}

/// What of a fault this machine can do there; `only` names some of what it draws from.
///
/// # Errors
/// Nothing of it, or there is no such name.
///
/// # Panics
/// Never: a fault without kinds is the one of Vault, which no machine has.
pub fn possible(fault: Fault, only: &[String], place: &Place) -> Result<(Vec<Mix>, Vec<LeftOut>), RunError> {
    let all = fault.draws();
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|mix| mix::name(mix) != **name)) {
        let known = all.iter().map(|mix| mix::name(mix)).collect();
        return Err(RunError::UnknownKind { fault, unknown: unknown.clone(), known });
    }
    let (mut mixes, mut left_out) = (Vec::new(), Vec::new());
    let mut first = None;
    let lack = |kind: &Kind| place.lack(*kind).or_else(|| kind.check().err());
    for mix in all.into_iter().filter(|mix| only.is_empty() || only.contains(&mix::name(mix))) {
        match mix.iter().find_map(lack) {
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

fn run_recorded(
    options: &Options,
    inventory: &Inventory,
    place: Place,
    (mixes, left_out): (Vec<Mix>, Vec<LeftOut>),
    stop: &Stop,
    tell: &dyn Fn(&Progress),
) -> Result<Report, RunError> {
    let scratch = std::env::temp_dir().join(format!("althing-chaos-{}", inventory.run()));
    inventory.make_folder(&scratch)?;
    let facilities: BTreeSet<Facility> =
        mixes.iter().flat_map(|mix| mix.iter()).filter_map(|kind| kind.needs()).collect();
    let ground = take_ground(options, inventory, place, &scratch, &facilities, tell)?;
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
    let (validators, nodes) = (session.ground.validators(), session.ground.names().len());
    let schedule = Schedule::new(options.seed, mixes, validators, nodes);
    session.run(schedule, left_out, &scratch)
}

fn take_ground(
    options: &Options,
    inventory: &Inventory,
    place: Place,
    scratch: &Path,
    facilities: &BTreeSet<Facility>,
    tell: &dyn Fn(&Progress),
) -> Result<Ground, RunError> {
    let say = |text: String| tell(&Progress { at: Duration::ZERO, text, heights: Vec::new() });
    match place {
        Place::Fresh => {
            let folder = options.folder.clone().unwrap_or_else(|| scratch.join("mesh"));
            let validators = usize::from(options.validators);
            say(format!("laying a mesh of {validators} validators and an auditor"));
            Ground::lay(inventory, &options.binary, &folder, validators, options.seed, facilities)
                .map_err(|source| RunError::Broken { doing: "the mesh cannot be laid", source })
        }
        Place::Standing(mesh) => {
            say("taking the mesh that stands there".to_owned());
            let folder = options.folder.clone().unwrap_or_default();
            Ground::take(inventory, &options.binary, (mesh, &folder), scratch, facilities)
                .map_err(|source| RunError::Broken { doing: "the mesh cannot be taken", source })
        }
    }
}
