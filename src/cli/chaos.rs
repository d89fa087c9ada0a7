//! Owns the commands that break a mesh on purpose. Refuses to break one that was not made for that.

pub(super) mod failpoint;
mod simulate;

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use althing_actors::causes::with_causes;
use althing_chaos::{
    host::inventory::{self, Leftover},
    lie::Lie,
    process::hostile::lie,
    run::{
        self, Options, Progress, RunError,
        fault::Fault,
        mix::{self, Mix},
        place::PlaceError,
        report::Report,
        stop::Stop,
    },
};
use althing_contracts::quantity::TimeMs;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    failure::{Exit, Failure, Outcome},
    output::{Render, table},
    session::Session,
};

pub use self::simulate::{ReplayArguments, SimulateArguments};

/// Longest run, in minutes: a day.
const MINUTES_MAX: f64 = 24.0 * 60.0;

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum ChaosCommand {
    /// Lists every fault: what it does, what it needs, and whether this machine can do it
    List,
    /// Lays a throw-away mesh of real daemons, breaks it, mends it, and judges what happened
    #[command(
        before_help = "Examples:\n  althing chaos run partition --seed 7 --minutes 2\n  althing chaos run mix --seed 7 --minutes 5 --nodes 7 --report mix.html\n  althing chaos run kill --seed 7 -o json\n"
    )]
    Run(RunArguments),
    /// Runs seeds of the simulation: whole meshes with their people, executors and targets on one event queue
    #[command(
        before_help = "Examples:\n  althing chaos simulate --seeds 0..1000\n  althing chaos simulate --seeds 0..100000 --minutes 30 --save found\n"
    )]
    Simulate(SimulateArguments),
    /// Runs one seed of the simulation again, exactly, and tells what happens
    #[command(
        before_help = "Examples:\n  althing chaos replay 4711\n  althing chaos replay found/seed-4711.toml -o json\n"
    )]
    Replay(ReplayArguments),
    /// Removes what runs left behind that were killed: by the names that they wrote down, and nothing else
    Clean(CleanArguments),
    /// Lies to a mesh in the place of one of its validators
    #[command(hide = true)]
    Lie(LieArguments),
}

/// A liar, which a run starts in the place of a daemon.
#[derive(Debug, Clone, Args)]
pub struct LieArguments {
    /// The configuration of the node whose place it takes
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What it does
    #[arg(long, value_name = "NAME")]
    pub lie: Lie,
    /// What its choices are drawn from
    #[arg(long, value_name = "NUMBER")]
    pub seed: u64,
    /// The mesh that stands, when it was named to be broken
    #[arg(long, value_name = "DIR")]
    pub yes_break: Option<PathBuf>,
}

/// A run.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// What to break: partition, kill, pause, clock, disk, byzantine, vault or mix
    pub fault: Fault,
    /// What everything is drawn from
    #[arg(long, value_name = "NUMBER")]
    pub seed: u64,
    /// Only these kinds or mixes, separated by commas; `althing chaos list` has their names
    #[arg(long, value_delimiter = ',', value_name = "KIND,KIND,…")]
    pub only: Vec<String>,
    /// How long it is broken and mended
    #[arg(long, value_name = "MINUTES", default_value = "1", value_parser = minutes)]
    pub minutes: f64,
    /// Validators; there is one auditor besides
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(i64::from(*run::VALIDATORS.start())..=i64::from(*run::VALIDATORS.end())))]
    pub nodes: u8,
    /// Writes the report as a page, too
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Directory in which the mesh is laid and stays, or stands; a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Breaks the mesh that stands in --dir, with its keys and its ledger; name the same directory again
    #[arg(long, value_name = "DIR", requires = "dir", conflicts_with = "nodes")]
    pub yes_break: Option<PathBuf>,
    /// Where what the run makes is written down
    #[arg(long, hide = true, env = "ALTHING_CHAOS_INVENTORIES", value_name = "DIR")]
    pub inventories: Option<PathBuf>,
}

/// Removing leftovers.
#[derive(Debug, Clone, Args)]
pub struct CleanArguments {
    /// Where what runs make is written down
    #[arg(long, hide = true, env = "ALTHING_CHAOS_INVENTORIES", value_name = "DIR")]
    pub inventories: Option<PathBuf>,
}

/// Carries a command out.
pub(super) async fn run(command: ChaosCommand, session: &Session) -> Outcome {
    match command {
        ChaosCommand::List => list(session),
        ChaosCommand::Run(arguments) => break_mesh(arguments, session).await,
        ChaosCommand::Simulate(arguments) => simulate::simulate(&arguments, session),
        ChaosCommand::Replay(arguments) => simulate::replay(&arguments, session),
        ChaosCommand::Clean(arguments) => clean(&arguments, session),
        ChaosCommand::Lie(arguments) => tell_lies(arguments).await,
    }
}

/// A kind of fault, as it is listed.
#[derive(Debug, Clone, Serialize)]
struct KindView {
    fault: Fault,
    name: String,
    does: String,
    possible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct KindList(Vec<KindView>);

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ReportView(Report);

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Leftovers(Vec<Leftover>);

fn list(session: &Session) -> Outcome {
    let views =
        Fault::ALL.into_iter().flat_map(|fault| fault.draws().into_iter().map(move |mix| view(fault, mix)));
    session.print(&KindList(views.collect()))?;
    session.suggest("althing chaos run mix --seed 1 --minutes 2");
    Ok(())
}

fn view(fault: Fault, mix: Mix) -> KindView {
    let lack = mix.iter().find_map(|kind| kind.check().err());
    let does: Vec<_> = mix.iter().map(|kind| kind.does()).collect();
    KindView {
        fault,
        name: mix::name(mix),
        does: if does.len() == 1 { does.join("") } else { "all of these at once".to_owned() },
        possible: lack.is_none(),
        why_not: lack.as_ref().map(|lack| lack.why.clone()),
        remedy: lack.map(|lack| lack.remedy),
    }
}

async fn break_mesh(arguments: RunArguments, session: &Session) -> Outcome {
    let options = options(&arguments)?;
    let stop = Stop::default();
    let hearing = listen(stop.clone())?;
    let shown = Shown { quiet: session.global.quiet, live: io::stderr().is_terminal() };
    let ran =
        tokio::task::spawn_blocking(move || run::run(&options, &stop, &|progress| shown.show(progress)))
            .await;
    hearing.abort();
    let ran = ran.map_err(|error| {
        Failure::new(
            Exit::EndedBadly,
            format!("the run broke off: {error}; remove what it left with `althing chaos clean`"),
        )
    })?;
    let report = ran.map_err(|error| refused(&error))?;
    if let Some(file) = &arguments.report {
        write(file, &report.page())?;
    }
    let (passed, interrupted, broken) = (report.passed, report.interrupted, report.broken_promises());
    session.print(&ReportView(report))?;
    match (passed, interrupted) {
        (false, _) => Err(Failure::new(Exit::EndedBadly, format!("a promise was broken: {broken}"))),
        (true, true) => Err(Failure::interrupted()),
        (true, false) => Ok(()),
    }
}

fn clean(arguments: &CleanArguments, session: &Session) -> Outcome {
    let directory = arguments.inventories.clone().unwrap_or_else(inventory::default_directory);
    let leftovers = inventory::clean(&directory);
    let leftovers = leftovers.map_err(|error| Failure::new(Exit::EndedBadly, with_causes(&error)))?;
    let stuck = leftovers.iter().any(|left| !left.stuck.is_empty());
    session.print(&Leftovers(leftovers))?;
    if stuck {
        return Err(Failure::with_help(
            Exit::EndedBadly,
            "something could not be removed",
            "it is named above; run it again as the user who made it",
        ));
    }
    Ok(())
}

/// Only in a mesh that a run has laid, or that was named to be broken: a real one is not lied to by a slip.
async fn tell_lies(arguments: LieArguments) -> Outcome {
    let LieArguments { config, lie, seed, yes_break } = arguments;
    let is_meant =
        |folder: &Path| folder.join(inventory::MARKER).exists() || yes_break.as_deref() == Some(folder);
    if !config.parent().and_then(Path::parent).is_some_and(is_meant) {
        let text = format!("{} belongs to a mesh that was not made to be broken", config.display());
        return Err(Failure::new(Exit::NotAllowed, text));
    }
    let told = tokio::task::spawn_blocking(move || lie::tell(&config, lie, seed)).await;
    match told {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(Exit::EndedBadly, with_causes(&*error))),
        Err(error) => Err(Failure::new(Exit::EndedBadly, error.to_string())),
    }
}

fn options(arguments: &RunArguments) -> Outcome<Options> {
    let binary = std::env::current_exe();
    let binary = binary
        .map_err(|error| Failure::new(Exit::EndedBadly, format!("cannot find this program: {error}")))?;
    let folder = arguments.dir.as_deref().map(std::path::absolute).transpose();
    let folder =
        folder.map_err(|error| Failure::new(Exit::Usage, format!("--dir names no directory: {error}")))?;
    let named = |path: &PathBuf| std::path::absolute(path);
    let yes_break = arguments.yes_break.as_ref().map(named).transpose();
    let yes_break = yes_break
        .map_err(|error| Failure::new(Exit::Usage, format!("--yes-break names no directory: {error}")))?;
    let RunArguments { fault, seed, only, minutes, nodes, .. } = arguments;
    let mesh = match &yes_break {
        Some(mesh) => format!("--dir {0} --yes-break {0}", mesh.display()),
        None => format!("--nodes {nodes}"),
    };
    let chosen = if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
    Ok(Options {
        fault: *fault,
        only: only.clone(),
        seed: *seed,
        time: Duration::from_secs_f64(minutes * 60.0),
        validators: *nodes,
        binary,
        folder,
        yes_break,
        inventories: arguments.inventories.clone().unwrap_or_else(inventory::default_directory),
        repeat: format!("althing chaos run {fault} --seed {seed} --minutes {minutes} {mesh}{chosen}"),
        program: env!("CARGO_PKG_VERSION"),
    })
}

/// The first signal ends the breaking; mending, judging and taking away go on.
fn listen(stop: Stop) -> Outcome<tokio::task::JoinHandle<()>> {
    let failed = |error| {
        Failure::new(Exit::EndedBadly, format!("the signals of this process cannot be heard: {error}"))
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.request();
    }))
}

fn refused(error: &RunError) -> Failure {
    let text = with_causes(error);
    match error {
        RunError::Lacking { lack, .. } => {
            let help = format!("{}; `althing chaos list` says what this machine can do", lack.remedy);
            Failure::with_help(Exit::NotAllowed, error.to_string(), help)
        }
        RunError::UnknownKind { .. } => Failure::new(Exit::Usage, text),
        RunError::Place(error) => refused_place(error, text),
        RunError::Interrupted => Failure::interrupted(),
        RunError::Host(_) | RunError::Broken { .. } => Failure::new(Exit::EndedBadly, text),
    }
}

fn refused_place(error: &PlaceError, text: String) -> Failure {
    match error {
        PlaceError::NotThrowAway { .. } => {
            Failure::with_help(Exit::Conflict, text, "give a new directory, or none for a temporary one")
        }
        PlaceError::Standing { folder } => {
            let help = format!(
                "give a new directory, or none for a temporary one; to break this mesh where it stands, its keys and its \
                 ledger with it, stop its daemons and add --yes-break {}",
                folder.display()
            );
            Failure::with_help(Exit::Conflict, text, help)
        }
        PlaceError::Another { .. } => Failure::with_help(
            Exit::Usage,
            text,
            "name the directory of the mesh in both, or leave --yes-break out",
        ),
        PlaceError::NoMesh { .. } => Failure::with_help(
            Exit::Usage,
            text,
            "name a directory that `althing init mesh` wrote, or leave --yes-break out for a mesh that is laid for the run",
        ),
        PlaceError::Running { .. } => Failure::with_help(
            Exit::Conflict,
            text,
            "stop every daemon of the mesh first; the run starts them itself",
        ),
    }
}

fn write(file: &Path, text: &str) -> Outcome {
    fs::write(file, text)
        .map_err(|error| Failure::new(Exit::EndedBadly, format!("cannot write {}: {error}", file.display())))
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    let fits = minutes > 0.0 && minutes <= MINUTES_MAX;
    fits.then_some(minutes).ok_or_else(|| format!("it is not above 0 and at most {MINUTES_MAX}"))
}

/// The live view: a line for everything that happens, and on a terminal the heights below it.
struct Shown {
    quiet: bool,
    live: bool,
}

impl Shown {
    fn show(&self, progress: &Progress) {
        if self.quiet {
            return;
        }
        let mut err = io::stderr().lock();
        let at = format!("{:>7.1} s", progress.at.as_secs_f64());
        let erase = if self.live { "\r\x1b[K" } else { "" };
        // Nobody may be listening on stderr; there is no other place to say so.
        let mut _heard =
            if progress.text.is_empty() { Ok(()) } else { writeln!(err, "{erase}{at}  {}", progress.text) };
        if self.live && !progress.heights.is_empty() {
            let heights: Vec<_> = progress.heights.iter().map(u64::to_string).collect();
            _heard = write!(err, "\r\x1b[K{at}  heights {}", heights.join(" ")).and_then(|()| err.flush());
        }
    }
}

impl Render for KindList {
    fn table(&self, _now: TimeMs) -> String {
        let rows = self.0.iter().map(|view| {
            let here = match (&view.why_not, &view.remedy) {
                (None, _) => "yes".to_owned(),
                (Some(why), Some(remedy)) => format!("no: {why}; {remedy}"),
                (Some(why), None) => format!("no: {why}"),
            };
            [view.fault.name().to_owned(), view.name.clone(), view.does.clone(), here]
        });
        table(["fault", "name", "what it does", "here"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|view| view.name.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.0.iter().map(|view| serde_json::json!(view)).collect())
    }
}

impl Render for ReportView {
    fn table(&self, _now: TimeMs) -> String {
        self.0.text()
    }

    fn names(&self) -> Vec<String> {
        self.0.verdicts.iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.id.to_owned()).collect()
    }
}

impl Render for Leftovers {
    fn table(&self, _now: TimeMs) -> String {
        if self.0.is_empty() {
            return "nothing was left behind\n".to_owned();
        }
        let rows = self.0.iter().map(|left| {
            let stuck = if left.stuck.is_empty() { "all removed".to_owned() } else { left.stuck.join("; ") };
            [left.run.clone(), left.removed.len().to_string(), stuck]
        });
        table(["run", "recorded", "outcome"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|left| left.run.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.0.iter().map(|left| serde_json::json!(left)).collect())
    }
}
