mod disk_calls;
mod split_view;

use std::path::Path;

use super::{campaign::Campaign, seed::FoundSeed, *};
use crate::lie::Lie;

/// Runs seeds; what a few dozen of them reach is counted by `make simulate` over thousands.
fn run_seeds(seeds: std::ops::Range<u64>) {
    let tally = Campaign { seeds: seeds.clone(), threads: 1, within: None, failures_max: 1 }.run(&|_, _| ());
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

/// As many liars as the protocol bears, on a network with delays and losses.
fn lied_to(lie: Lie, validators: usize, liars: usize) -> FaultPlan {
    let calm = FaultPlan { drop_permille: 20, delay_max_us: 20_000, settles: false, ..FaultPlan::CALM };
    FaultPlan { lie: Some(lie), liars, validators, ..calm }
}

macro_rules! lies {
    ($($name:ident: $lie:ident;)*) => { $(
        #[test]
        fn $name() {
            for (validators, liars) in [(4, 1), (7, 2)] {
                for seed in 0..3 {
                    let report = run_plan(seed, lied_to(Lie::$lie, validators, liars)).unwrap();
                    let row = report.coverage.rows().find(|(what, _)| what == Lie::$lie.does());
                    assert!(row.unwrap().1 > 0, "seed {seed}: the lie was never told");
                    assert!(report.acknowledged > 0, "seed {seed}: {report:?}");
                }
            }
        }
    )* };
}

lies! {
    a_mesh_with_silent_validators_goes_on: Silent;
    a_mesh_with_validators_that_send_garbage_goes_on: Garbage;
    a_mesh_with_validators_that_vote_twice_goes_on: DoubleVotes;
    a_mesh_with_validators_that_propose_twice_goes_on: TwoBlocks;
    a_mesh_with_validators_that_propose_wrong_roots_goes_on: WrongRoot;
    a_mesh_with_validators_that_propose_far_ahead_goes_on: FarAhead;
    a_mesh_with_validators_that_withhold_blocks_goes_on: Withheld;
    a_mesh_with_validators_that_vote_for_nothing_goes_on: NilVotes;
    a_mesh_with_validators_that_repeat_old_messages_goes_on: OldVotes;
    a_mesh_with_validators_that_sign_for_another_network_goes_on: Foreign;
    a_mesh_with_validators_that_flood_goes_on: Flood;
    a_mesh_with_validators_that_vote_in_anothers_name_goes_on: Forged;
    a_mesh_with_validators_that_cut_messages_goes_on: Cut;
    a_mesh_with_validators_that_send_oversized_messages_goes_on: Oversized;
    a_mesh_with_validators_that_censor_goes_on: Censor;
}

/// Only those who were away ask for blocks, and only rounds without a decision leave locks behind.
#[test]
fn a_mesh_in_trouble_goes_on_with_validators_that_forget_their_locks_or_show_a_false_history() {
    for lie in [Lie::Amnesia, Lie::FalseHistory] {
        for (validators, liars) in [(4, 1), (7, 2)] {
            let mut told = 0;
            for seed in 0..6 {
                let plan = lied_to(lie, validators, liars);
                let plan = FaultPlan { crash_every_us: 500_000, partition_every_us: 1_000_000, ..plan };
                let report = run_plan(seed, plan).unwrap();
                told += report.coverage.rows().find(|(what, _)| what == lie.does()).unwrap().1;
            }
            assert!(told > 0, "`{lie}` was never told among {validators}");
        }
    }
}

#[test]
fn with_more_liars_than_it_bears_the_mesh_stands_still_and_does_not_fork() {
    for lie in [Lie::Silent, Lie::NilVotes] {
        for (validators, liars) in [(4, 2), (7, 3)] {
            let failure = run_plan(5, lied_to(lie, validators, liars)).unwrap_err();
            assert!(matches!(*failure.violation, Violation::Stalled { .. }), "{failure}");
            assert!(failure.to_string().contains("after 0,"), "not a block was decided: {failure}");
        }
    }
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
