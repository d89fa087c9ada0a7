//! Runs one seed of the full-stack simulation, or many, and says what was observed.

use std::process::ExitCode;

use althing_stack::{
    machine::Machine,
    scenario,
    swarm::{self, Swarm},
};

const USAGE: &str = "usage: althing-stack gossip|mesh|stack SEED [--trace]  or  althing-stack swarm gossip|stack FIRST SEEDS REPORT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (scenario, seed, is_shown) = match words[..] {
        ["swarm", scenario @ ("gossip" | "stack"), first, seeds, report] => {
            return swarm(scenario, first, seeds, report);
        }
        [scenario, seed] => (scenario, seed, false),
        [scenario, seed, "--trace"] => (scenario, seed, true),
        _ => return refuse(USAGE),
    };
    let Ok(seed) = seed.parse::<u64>() else {
        return refuse(&format!("the seed {seed:?} is no number; {USAGE}"));
    };
    // Before anything else: what was hashed or drawn earlier would be by the system's random bytes.
    let _machine = Machine::begin(seed, is_shown);
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("ALTHING_LOG"))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    match scenario {
        "gossip" => tell(&scenario::gossip::run(seed), scenario::gossip::Outcome::is_sound),
        "mesh" => tell(&scenario::mesh::run(seed), scenario::mesh::Outcome::is_sound),
        "stack" => tell(&scenario::stack::run(seed), scenario::stack::Outcome::is_sound),
        _ => refuse(&format!("there is no scenario {scenario:?}; {USAGE}")),
    }
}

fn swarm(scenario: &str, first: &str, seeds: &str, report: &str) -> ExitCode {
    let (Ok(first), Ok(seeds)) = (first.parse(), seeds.parse()) else {
        return refuse(&format!("the first seed {first:?} or their number {seeds:?} is no number; {USAGE}"));
    };
    match swarm::run(&Swarm { scenario: scenario.to_owned(), first, seeds, report: report.into() }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => refuse(&error),
    }
}

fn tell<T: serde::Serialize>(outcome: &T, is_sound: impl Fn(&T) -> bool) -> ExitCode {
    swarm::tell_peak();
    println!("{}", serde_json::to_string(outcome).expect("an outcome has only strings as keys"));
    if is_sound(outcome) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}
