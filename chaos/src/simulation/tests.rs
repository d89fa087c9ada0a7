use std::path::Path;

use super::{campaign::Campaign, seed::FoundSeed, *};

/// Runs seeds; what a few dozen of them reach is counted by `make simulate` over thousands.
fn run_seeds(seeds: std::ops::Range<u64>) {
    let tally = Campaign { seeds: seeds.clone(), threads: 1, within: None, failures_max: 1 }.run(&|_| ());
    if let Some(failure) = tally.failures.first() {
        panic!("{failure}");
    }
    println!("seeds {seeds:?}:\n{}", tally.coverage);
    let p95_ms = tally.healed_percentile_ms(95).unwrap_or_default();
    assert!(p95_ms <= 5_000, "the mesh goes on {p95_ms} ms (p95) after the faults ended");
}

#[test]
fn a_calm_mesh_decides_and_carries_out_what_its_people_want() {
    let report = run_plan(1, FaultPlan::CALM).unwrap();
    assert!(report.acknowledged > 20, "{report:?}");
    assert_eq!(report.round_max.get(), 0);
    assert!(report.coverage.get(super::report::ORDER) > 0, "no executor acted: {report:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 17, 92] {
        let (one, other) = (run(seed).unwrap(), run(seed).unwrap());
        assert_eq!(one, other);
    }
    assert_ne!(run(3).unwrap().trace, run(4).unwrap().trace);
}

#[test]
fn a_replay_tells_the_run_that_it_repeats() {
    let replay = replay(3, FaultPlan::draw(3));
    assert_eq!(replay.outcome.unwrap(), run(3).unwrap());
    assert!(replay.story.iter().any(|(_, what)| what.contains("submitted → review")), "{:?}", replay.story);
}

#[test]
fn every_found_seed_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The folders belong to other simulations.
    files.retain(|file| file.is_file());
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let found = FoundSeed::read(&file).unwrap();
        if let Err(failure) = found.run() {
            panic!("{}, which once found: {}\n{failure}", file.display(), found.found);
        }
    }
}

#[test]
fn a_seed_file_reads_back_as_it_was_written() {
    let found = FoundSeed { seed: 7, found: "nothing".to_owned(), plan: FaultPlan::draw(7) };
    assert_eq!(toml::from_str::<FoundSeed>(&found.to_string()).unwrap(), found);
}

#[test]
fn a_seed_file_that_asks_for_what_cannot_be_run_is_refused() {
    let refused = |plan: FaultPlan| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = FoundSeed { seed: 7, found: "nothing".to_owned(), plan };
        std::fs::write(file.path(), found.to_string()).unwrap();
        FoundSeed::read(file.path()).unwrap_err().to_string()
    };
    let calm = FaultPlan::CALM;
    for (plan, why) in [
        (FaultPlan { validators: 0, ..calm }, "`validators` is 0, and has to be 1 to 16"),
        (
            FaultPlan { people_every_us: 0, ..calm },
            "`people_every_us` is 0, and has to be 10000 to 600000000",
        ),
        (FaultPlan { crash_every_us: 1, ..calm }, "has to be 10000 to 600000000, or 0 for none"),
        (FaultPlan { drop_permille: 1_001, ..calm }, "`drop_permille` is 1001, and has to be 0 to 1000"),
    ] {
        let text = refused(plan);
        assert!(text.ends_with(why), "{text}");
    }
}

#[test]
fn every_drawn_plan_can_be_run() {
    for seed in 0..1_000 {
        assert_eq!(FaultPlan::draw(seed).check(), Ok(()), "seed {seed}");
    }
    assert_eq!(FaultPlan::CALM.check(), Ok(()));
}

macro_rules! seeds {
    ($($name:ident: $range:expr;)*) => { $(
        #[test]
        fn $name() {
            run_seeds($range);
        }
    )* };
}

seeds! {
    seeds_0_to_24_hold: 0..25;
    seeds_25_to_49_hold: 25..50;
    seeds_50_to_74_hold: 50..75;
    seeds_75_to_99_hold: 75..100;
}
