//! Owns the hunt: plants the bugs of the zoo into a copy of the sources, builds it, and lets the simulation look for each
//! of them. It ends badly when one is not found.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use althing_chaos::{
    simulation::campaign::{Campaign, Tally},
    zoo::{AWAKE, Bug, Zoo},
};
use serde::{Deserialize, Serialize};

/// Seeds after which a bug counts as not found: as many as one run of the simulation in CI has.
const SEEDS_MAX: u64 = 10_000;
/// Seeds in which nothing may be found while every bug is asleep.
const ASLEEP_SEEDS: u64 = 2_000;
/// The name of no bug.
const NONE: &str = "none";

/// How a hunt ended.
#[derive(Debug, Serialize, Deserialize)]
struct Hunt {
    bug: String,
    seed: Option<u64>,
    seeds_run: u64,
    seconds: f64,
    found: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["hunt", bug] => hunt(bug),
        ["all"] => all(None),
        ["all", only] => all(Some(only)),
        _ => Err("usage: zoo all [BUG], or in a planted build: zoo hunt BUG".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zoo: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<bool, Box<dyn std::error::Error>>;

/// In a planted build: looks for the bug that is awake.
fn hunt(bug: &str) -> Outcome {
    std::panic::set_hook(Box::new(|_| ()));
    let seeds = if bug == NONE { ASLEEP_SEEDS } else { SEEDS_MAX };
    let campaign = Campaign { seeds: 0..seeds, threads: 2, within: None, failures_max: 1 };
    let Tally { held, failures, took, .. } = campaign.run(&|_, _| ());
    let first = failures.first();
    let found = Hunt {
        bug: bug.to_owned(),
        seed: first.map(|failure| failure.seed),
        seeds_run: held + failures.len() as u64,
        seconds: took.as_secs_f64(),
        found: first.map(|failure| failure.violation.to_string()),
    };
    println!("{}", serde_json::to_string(&found)?);
    Ok(first.is_some())
}

/// Plants, builds, and hunts every bug, or one, whose hunt takes the place of the one before it.
fn all(only: Option<&str>) -> Outcome {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let zoo = Zoo::read(&sources)?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| sources.join("target"), PathBuf::from);
    let copy = target.join("zoo/sources");
    zoo.plant(&sources, &copy)?;
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--workspace", "--bin", "zoo"])
        .current_dir(&copy)
        // Two checkouts in one target directory take each other's libraries for their own.
        .env("CARGO_TARGET_DIR", target.join("zoo/target"))
        .output()?;
    if !built.status.success() {
        let why = String::from_utf8_lossy(&built.stderr).into_owned();
        return Err(format!("the planted sources do not build:\n{why}").into());
    }
    let binary = target.join("zoo/target/release/zoo");
    // Where every machine writes its figures, wherever it is built.
    let figures = sources.join("target/chaos");
    let file = figures.join("zoo.json");
    let mut hunts = match only {
        Some(only) => hunted(&file, |name| name != only && zoo.bugs.iter().any(|bug| bug.name == name))?,
        None => Vec::new(),
    };
    if hunts.first().is_none_or(|hunt| hunt.bug != NONE) {
        hunts.insert(0, hunt_one(&binary, None)?);
    }
    let chosen = zoo.bugs.iter().filter(|bug| only.is_none_or(|only| bug.name == only));
    for bug in chosen {
        hunts.push(hunt_one(&binary, Some(bug))?);
    }
    fs::create_dir_all(figures)?;
    fs::write(&file, serde_json::to_string_pretty(&hunts)?)?;
    let (asleep, awake) = hunts.split_first().ok_or("no hunt")?;
    let missed: Vec<&str> =
        awake.iter().filter(|hunt| hunt.seed.is_none()).map(|hunt| hunt.bug.as_str()).collect();
    println!("{} of {} bugs found; {}", awake.len() - missed.len(), awake.len(), file.display());
    if let Some(found) = &asleep.found {
        println!("with every bug asleep: {found}");
    }
    if !missed.is_empty() {
        println!("not found: {}", missed.join(", "));
    }
    Ok(missed.is_empty() && asleep.found.is_none())
}

/// The hunts of an earlier run that still stand, the one with every bug asleep among them.
fn hunted(file: &Path, stands: impl Fn(&str) -> bool) -> Result<Vec<Hunt>, Box<dyn std::error::Error>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut hunts: Vec<Hunt> = serde_json::from_slice(&text)?;
    hunts.retain(|hunt| hunt.bug == NONE || stands(&hunt.bug));
    Ok(hunts)
}

fn hunt_one(binary: &Path, bug: Option<&Bug>) -> Result<Hunt, Box<dyn std::error::Error>> {
    let name = bug.map_or(NONE, |bug| bug.name.as_str());
    let output = Command::new(binary).args(["hunt", name]).env(AWAKE, name).output()?;
    let hunt: Hunt = serde_json::from_slice(&output.stdout)?;
    let about = bug.map_or("every bug asleep", |bug| bug.about.as_str());
    let seeds = hunt.seeds_run;
    match &hunt.found {
        Some(found) => {
            let line = found.lines().next().unwrap_or_default();
            println!("{name:<36} {seeds:>5} seeds {:>6.1} s  {about}: {line:.120}", hunt.seconds);
        }
        None => println!("{name:<36} {seeds:>5} seeds {:>6.1} s  {about}: nothing found", hunt.seconds),
    }
    Ok(hunt)
}
