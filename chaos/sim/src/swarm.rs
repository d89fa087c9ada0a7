//! Owns many runs: each seed is a process of its own, some of them run twice and have to repeat themselves; kept seeds
//! come first. What was observed goes into one report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use serde::Deserialize;
use serde_json::{Value, json};

mod gossip;

/// One seed in so many runs twice: 5 %, and more where a few seeds are many.
const TWICE_EVERY: u64 = 20;
const GOSSIP_TWICE_EVERY: u64 = 4;
/// Processes at once.
const WORKERS: usize = 2;
/// Kept seeds, from the workspace's directory.
const KEPT: &str = "../seeds/stack";

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// The scenario, as kept seeds and the command line name it.
    pub scenario: String,
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Where the report goes.
    pub report: PathBuf,
}

/// A seed that found something, kept for ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    scenario: String,
    seed: u64,
    #[expect(dead_code, reason = "for people")]
    found: String,
}

/// One run to make.
#[derive(Debug, Clone)]
struct Job {
    scenario: String,
    seed: u64,
    is_twice: bool,
}

/// What came of it.
#[derive(Debug)]
struct Ran {
    job: Job,
    outcome: Value,
    is_sound: bool,
    repeats: bool,
    /// Most memory that the process had.
    peak_kib: u64,
}

/// Runs a swarm, prints what failed and how to repeat it, and writes the report. `true` when nothing failed.
///
/// # Errors
/// A kept seed cannot be read, or the report cannot be written.
pub fn run(swarm: &Swarm) -> Result<bool, String> {
    let is_gossip = swarm.scenario == gossip::NAME;
    let twice_every = if is_gossip { GOSSIP_TWICE_EVERY } else { TWICE_EVERY };
    let mut jobs = kept(Path::new(KEPT))?;
    // Seeds of the mesh alone are kept with those of whole nodes.
    jobs.retain(|job| (job.scenario == gossip::NAME) == is_gossip);
    let kept = jobs.len();
    jobs.extend((swarm.first..swarm.first + swarm.seeds).map(|seed| Job {
        scenario: swarm.scenario.clone(),
        seed,
        is_twice: seed % twice_every == 0,
    }));
    jobs.reverse();
    let begun = uptime();
    let (queue, done) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
                    let ran = ran(job);
                    tell(&ran);
                    if let Ok(mut done) = done.lock() {
                        done.push(ran);
                    }
                }
            });
        }
    });
    let done = done.into_inner().map_err(|_| "a worker panicked".to_owned())?;
    let of = if is_gossip { gossip::report } else { report };
    let report = of(&done, kept, uptime() - begun);
    write(&swarm.report, &report)?;
    println!("{report:#}");
    Ok(done.iter().all(|ran| ran.is_sound && ran.repeats))
}

fn kept(directory: &Path) -> Result<Vec<Job>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", directory.display());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        files.push(entry.map_err(|error| failed(&error))?.path());
    }
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let Kept { scenario, seed, .. } =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Job { scenario, seed, is_twice: true })
    };
    files.iter().map(read).collect()
}

fn ran(job: Job) -> Ran {
    let (is_sound, once, peak_kib) = once(&job);
    let repeats = !job.is_twice || self::once(&job).1 == once;
    let outcome = serde_json::from_str(&once).unwrap_or_else(|_| json!({ "violations": ["it ended early"] }));
    Ran { job, outcome, is_sound, repeats, peak_kib }
}

/// A run in a process of its own: whether it was sound, what it observed, and its most memory.
fn once(job: &Job) -> (bool, String, u64) {
    let binary = std::env::current_exe().unwrap_or_default();
    match Command::new(binary).args([job.scenario.as_str(), &job.seed.to_string()]).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let peak = said.lines().find_map(|line| line.strip_prefix(PEAK)?.trim().parse().ok());
            let observed = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.success(), observed, peak.unwrap_or(0))
        }
        Err(error) => (false, format!("{{\"violations\":[\"no process: {error}\"]}}"), 0),
    }
}

/// What a run says of its memory before the number of KiB.
const PEAK: &str = "peak memory in KiB:";

/// Says on standard error how much memory this process had at most; it differs from run to run.
pub fn tell_peak() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!("{PEAK} {}", peak.unwrap_or("0").trim().trim_end_matches(" kB"));
}

fn tell(ran: &Ran) {
    if ran.is_sound && ran.repeats {
        return;
    }
    let Job { scenario, seed, .. } = &ran.job;
    let what =
        if ran.repeats { ran.outcome["violations"].to_string() } else { "it does not repeat itself".into() };
    eprintln!("FAILED {scenario} seed {seed} at commit {}: {what}", commit());
    eprintln!("  repeat it with: make simulate-stack SCENARIO={scenario} SEED={seed}");
}

fn report(done: &[Ran], kept: usize, wall_s: f64) -> Value {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let simulated_s: f64 = done
        .iter()
        .map(|ran| f64::from(u32::try_from(number(&ran.outcome["simulated_ms"])).unwrap_or(0)) / 1_000.0)
        .map(|seconds| seconds.max(0.0))
        .sum();
    let twice = done.iter().filter(|ran| ran.job.is_twice).count();
    let repeats = done.iter().filter(|ran| ran.job.is_twice && ran.repeats).count();
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, count) in done.iter().filter_map(|ran| ran.outcome["faults"].as_object()).flatten() {
        *faults.entry(kind.clone()).or_default() += number(count);
    }
    let heal = |which: usize| {
        let healed = done.iter().filter_map(|ran| ran.outcome["healed_ms"].get(which)?.as_u64());
        percentiles(healed.collect())
    };
    json!({
        "commit": commit(),
        "runs": done.len(),
        "kept_seeds": kept,
        "failed": failed(done),
        "ran_twice": twice,
        "repeated_themselves": repeats,
        "simulated_s": simulated_s,
        "wall_s": wall_s,
        "faults": faults,
        "blocks": done.iter().map(|ran| number(&ran.outcome["height"])).sum::<u64>(),
        "acknowledged": done.iter().map(|ran| number(&ran.outcome["acknowledged"])).sum::<u64>(),
        "heal_to_next_block_ms": heal(0),
        "heal_to_service_everywhere_ms": heal(1),
    })
}

fn percentiles(mut values: Vec<u64>) -> Value {
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len() * percent / 100).min(values.len().saturating_sub(1)));
    json!({ "p50": at(50), "p95": at(95), "max": values.last() })
}

fn write(path: &Path, report: &Value) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(path, format!("{report:#}\n")).map_err(failed)
}

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output
        .map_or_else(|_| "unknown".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Seconds since the machine started. The process's own clocks belong to the simulation.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0)
}

/// The runs in which something did not hold.
fn failed(done: &[Ran]) -> Vec<Value> {
    let failed = done.iter().filter(|ran| !(ran.is_sound && ran.repeats));
    failed
        .map(|ran| json!({ "seed": ran.job.seed, "scenario": ran.job.scenario, "outcome": ran.outcome }))
        .collect()
}
