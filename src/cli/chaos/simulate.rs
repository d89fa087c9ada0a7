//! Owns the commands over the simulation: many seeds, one seed again, and what each says. It starts no process and
//! touches no file but the ones that it is told to write.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use althing_chaos::simulation::{
    self, Failure as Broken, FaultPlan, Replay,
    campaign::{Campaign, FAILURES_MAX, Tally},
    seed::{self, FoundSeed},
};
use althing_contracts::quantity::TimeMs;
use clap::Args;
use serde::Serialize;

use crate::cli::{
    chaos::write,
    failure::{Exit, Failure, Outcome},
    output::{Render, fields, lines},
    session::Session,
};

/// Longest campaign, in minutes.
const MINUTES_MAX: u64 = 24 * 60;

/// Many seeds.
#[derive(Debug, Clone, Args)]
pub struct SimulateArguments {
    /// Which seeds: one, or a range such as 0..1000 without its end
    #[arg(long, value_name = "RANGE", default_value = "0..1000", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// No seed begins after this time
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    pub minutes: Option<u64>,
    /// Seeds side by side; as many as there are processors by default
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: Option<u8>,
    /// Failures after which it stops
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=FAILURES_MAX as i64))]
    pub failures: u8,
    /// Fails, too, when a fault never happened or a move of the lifecycle was never made
    #[arg(long)]
    pub complete: bool,
    /// Takes faults out of each failure for as long as it still fails, and writes it to a file here
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// Writes the figures to a file, too
    #[arg(long, value_name = "FILE.json")]
    pub figures: Option<PathBuf>,
}

/// One seed again.
#[derive(Debug, Clone, Args)]
pub struct ReplayArguments {
    /// The seed, or a file that `--save` wrote
    #[arg(value_name = "SEED|FILE.toml")]
    pub seed: String,
}

/// What a campaign says.
#[derive(Debug, Serialize)]
struct Figures {
    seeds: u64,
    held: u64,
    run_twice_with_equal_traces: u64,
    failed: u64,
    blocks: u64,
    calls_acknowledged: u64,
    healed_ms_p50: Option<u64>,
    healed_ms_p95: Option<u64>,
    healed_ms_max: Option<u64>,
    slowest_seed: Option<u64>,
    seconds: f64,
    seeds_a_minute: f64,
    never_happened: Vec<String>,
    coverage: serde_json::Map<String, serde_json::Value>,
    failures: Vec<FailureView>,
}

#[derive(Debug, Serialize)]
struct FailureView {
    seed: u64,
    at_us: u64,
    violation: String,
    plan: FaultPlan,
    repeat: String,
}

/// What a replay says.
#[derive(Debug, Serialize)]
struct ReplayView {
    seed: u64,
    plan: FaultPlan,
    story: Vec<StoryLine>,
    height: Option<u64>,
    trace: Option<String>,
    violation: Option<String>,
}

#[derive(Debug, Serialize)]
struct StoryLine {
    at_us: u64,
    what: String,
}

/// Runs seeds.
pub(super) fn simulate(arguments: &SimulateArguments, session: &Session) -> Outcome {
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let campaign = Campaign {
        seeds: arguments.seeds.clone(),
        threads: arguments.threads.map_or(available, usize::from),
        within: arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        failures_max: usize::from(arguments.failures),
    };
    let is_live = io::stderr().is_terminal() && !session.global.quiet;
    let tally = quietly(|| {
        campaign.run(&|done, failure| {
            if let Some(failure) = failure.filter(|_| !session.global.quiet) {
                tell(is_live, failure);
            }
            show(is_live, done);
        })
    });
    if is_live {
        eprint!("\r\x1b[K");
    }
    let saved = arguments.save.as_deref().map(|directory| save(directory, &tally)).transpose()?;
    let figures = Figures::of(&tally);
    if let Some(file) = &arguments.figures {
        write(file, &serde_json::to_string_pretty(&figures).expect("figures have only string keys"))?;
    }
    let (failed, missing) = (figures.failed, figures.never_happened.clone());
    session.print(&figures)?;
    for file in saved.into_iter().flatten() {
        session.suggest(&format!("althing chaos replay {}", file.display()));
    }
    if failed > 0 {
        return Err(Failure::with_help(
            Exit::EndedBadly,
            format!("{failed} of the seeds failed"),
            "each names the command that repeats it",
        ));
    }
    if arguments.complete && !missing.is_empty() {
        return Err(Failure::with_help(
            Exit::EndedBadly,
            format!("these never happened: {}", missing.join(", ")),
            "run more seeds; what stays away over thousands is not reached by the generator",
        ));
    }
    Ok(())
}

/// Runs a seed again and tells what happens.
pub(super) fn replay(arguments: &ReplayArguments, session: &Session) -> Outcome {
    let (number, plan) = chosen(&arguments.seed)?;
    let Replay { plan, story, outcome } = quietly(|| simulation::replay(number, plan));
    let (report, violation) = match outcome {
        Ok(report) => (Some(report), None),
        Err(Broken { violation, at_us, .. }) => (None, Some(format!("{at_us} µs: {violation}"))),
    };
    let has_failed = violation.is_some();
    session.print(&ReplayView {
        seed: number,
        plan,
        story: story.into_iter().map(|(at_us, what)| StoryLine { at_us, what }).collect(),
        height: report.as_ref().map(|report| report.height.get()),
        trace: report.as_ref().map(|report| report.trace.to_string()),
        violation,
    })?;
    if has_failed { Err(Failure::new(Exit::EndedBadly, "an invariant does not hold")) } else { Ok(()) }
}

/// A seed draws its faults; a file says which.
fn chosen(text: &str) -> Outcome<(u64, FaultPlan)> {
    if let Ok(number) = text.parse() {
        return Ok((number, FaultPlan::draw(number)));
    }
    let path = Path::new(text);
    if !path.exists() {
        return Err(Failure::with_help(
            Exit::Usage,
            format!("`{text}` is neither a number nor a file"),
            "give the number that a failure names, or a file of `althing chaos simulate --save`",
        ));
    }
    let found = FoundSeed::read(path).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    Ok((found.seed, found.plan))
}

/// A panic of the simulated code is a finding and not this program's own: it is told with the failure.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let done = work();
    std::panic::set_hook(before);
    done
}

/// A campaign runs for minutes or hours: what fails is told when it does.
fn tell(is_live: bool, failure: &Broken) {
    let mut err = io::stderr().lock();
    let erase = if is_live { "\r\x1b[K" } else { "" };
    // Nobody may be listening on stderr; the table at the end says it, too.
    let _heard = writeln!(err, "{erase}seed {} fails: {}", failure.seed, failure.violation);
}

fn show(is_live: bool, done: u64) {
    if is_live && done.is_multiple_of(10) {
        let mut err = io::stderr().lock();
        // Nobody may be listening on stderr; there is no other place to say so.
        let _heard = write!(err, "\r\x1b[K{done} seeds").and_then(|()| err.flush());
    }
}

fn save(directory: &Path, tally: &Tally) -> Outcome<Vec<PathBuf>> {
    let failed = |error| {
        Failure::new(Exit::EndedBadly, format!("cannot make the directory {}: {error}", directory.display()))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let mut files = Vec::new();
    for failure in &tally.failures {
        let smallest = seed::minimised(failure.seed, &failure.plan);
        let Some(Broken { seed, plan, violation, .. }) = smallest else { continue };
        let file = directory.join(format!("seed-{seed}.toml"));
        let found = FoundSeed { seed, found: violation.to_string(), plan: *plan };
        write(&file, &found.to_string())?;
        files.push(file);
    }
    Ok(files)
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("`{text}` is not a number from 0 to {}", u64::MAX))
    };
    let Some((from, to)) = text.split_once("..") else {
        let only = number(text)?;
        return Ok(only..only.saturating_add(1));
    };
    let (from, to) = (number(from)?, number(to)?);
    if from < to { Ok(from..to) } else { Err(format!("the range {from}..{to} holds no seed")) }
}

impl Figures {
    fn of(tally: &Tally) -> Self {
        let failed = tally.failures.len() as u64;
        let seconds = tally.took.as_secs_f64();
        let seeds = tally.held + failed;
        Self {
            seeds,
            held: tally.held,
            run_twice_with_equal_traces: tally.equal,
            failed,
            blocks: tally.blocks,
            calls_acknowledged: tally.acknowledged,
            healed_ms_p50: tally.healed_percentile_ms(50),
            healed_ms_p95: tally.healed_percentile_ms(95),
            healed_ms_max: tally.healed_ms.last().map(|(ms, _)| *ms),
            slowest_seed: tally.healed_ms.last().map(|(_, seed)| *seed),
            seconds,
            seeds_a_minute: 60.0 * f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / seconds.max(0.001),
            never_happened: tally.coverage.missing(),
            coverage: tally.coverage.rows().map(|(what, times)| (what, times.into())).collect(),
            failures: tally.failures.iter().map(FailureView::of).collect(),
        }
    }
}

impl FailureView {
    fn of(failure: &Broken) -> Self {
        Self {
            seed: failure.seed,
            at_us: failure.at_us,
            violation: failure.violation.to_string(),
            plan: *failure.plan,
            repeat: simulation::repeat_command(failure.seed),
        }
    }
}

impl Render for Figures {
    fn table(&self, _now: TimeMs) -> String {
        let ms = |value: Option<u64>| value.map(|ms| format!("{ms} ms"));
        let mut text = fields([
            (
                "seeds",
                Some(format!("{} in {:.1} s, {:.0} a minute", self.seeds, self.seconds, self.seeds_a_minute)),
            ),
            ("held", Some(format!("{}, {} of them twice", self.held, self.run_twice_with_equal_traces))),
            ("failed", Some(self.failed.to_string())),
            ("blocks", Some(self.blocks.to_string())),
            ("acknowledged", Some(self.calls_acknowledged.to_string())),
            ("healed p50", ms(self.healed_ms_p50)),
            ("healed p95", ms(self.healed_ms_p95)),
            ("healed max", ms(self.healed_ms_max)),
            ("slowest seed", self.slowest_seed.map(|seed| seed.to_string())),
        ]);
        text.push('\n');
        let rows = self.coverage.iter().map(|(what, times)| format!("{times:>9}  {what}\n"));
        text.extend(rows);
        let failures = self.failures.iter().map(|FailureView { seed, at_us, violation, repeat, .. }| {
            format!("\nseed {seed}, {at_us} µs: {violation}\n  repeat: {repeat}\n")
        });
        text.extend(failures);
        text
    }

    fn names(&self) -> Vec<String> {
        self.failures.iter().map(|failure| failure.seed.to_string()).collect()
    }
}

impl Render for ReplayView {
    fn table(&self, _now: TimeMs) -> String {
        let story: Vec<String> = self
            .story
            .iter()
            .map(|line| {
                format!(
                    "{:>11.3} s  {}",
                    std::time::Duration::from_micros(line.at_us).as_secs_f64(),
                    line.what
                )
            })
            .collect();
        let plan = toml_of(&self.plan);
        let verdict = self.violation.as_ref().map_or_else(
            || format!("everything held up to height {}", self.height.unwrap_or_default()),
            Clone::clone,
        );
        format!("seed {}\n\n{plan}\n{}\n{verdict}\n", self.seed, lines(&story))
    }

    fn names(&self) -> Vec<String> {
        vec![self.seed.to_string()]
    }
}

fn toml_of(plan: &FaultPlan) -> String {
    toml::to_string(plan).expect("a plan is a table of numbers")
}
