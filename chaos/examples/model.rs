//! Explores the model and says what was found: `model [--short] [--only governance|execution|consensus]`. Writes `target/chaos/model.json`.

use std::{fs, path::Path, process::ExitCode, thread};

use althing_chaos::model::{self, Scope};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scope =
        if arguments.iter().any(|argument| argument == "--short") { Scope::Short } else { Scope::Full };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    let parts: Vec<&str> =
        model::PARTS.into_iter().filter(|part| only.is_none_or(|only| only == part)).collect();
    let mut outcomes = Vec::new();
    model::explore(&parts, scope, threads, |outcome| {
        print!("{outcome}");
        outcomes.push(outcome);
    });
    let states: usize = outcomes.iter().map(|outcome| outcome.states).sum();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    let holds = outcomes.iter().all(model::Outcome::holds);
    println!(
        "together: {states} states in {seconds:.0} s, {}",
        if holds { "all holds" } else { "NOT ALL HOLDS" }
    );
    let report = serde_json::json!({
        "scope": format!("{scope:?}").to_lowercase(),
        "states": states,
        "seconds": seconds,
        "threads": threads,
        "holds": holds,
        "models": outcomes,
    });
    if only.is_some() {
        return if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let path = Path::new("target/chaos/model.json");
    let written = fs::create_dir_all("target/chaos").and_then(|()| fs::write(path, format!("{report:#}\n")));
    if let Err(error) = written {
        eprintln!("{} cannot be written: {error}", path.display());
        return ExitCode::FAILURE;
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
