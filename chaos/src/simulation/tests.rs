use super::*;

/// Seeds of one test; together they are a few hundred.
fn run_seeds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(failure) = run(seed) {
            panic!("{failure}");
        }
    }
}

#[test]
fn a_calm_mesh_decides_what_its_users_submit() {
    let report = run_plan(1, FaultPlan::CALM).unwrap();
    assert!(report.acknowledged > 10, "{report:?}");
    assert_eq!(report.round_max.get(), 0);
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
fn the_seed_of_the_environment_holds() {
    let Ok(seed) = std::env::var("ALTHING_SEED") else { return };
    let seed = seed.parse().expect("ALTHING_SEED is a number");
    match run(seed) {
        Ok(report) => println!("{report:?} with {:?}", FaultPlan::draw(seed)),
        Err(failure) => panic!("{failure}"),
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
    seeds_0_to_49_hold: 0..50;
    seeds_50_to_99_hold: 50..100;
    seeds_100_to_149_hold: 100..150;
    seeds_150_to_199_hold: 150..200;
    seeds_200_to_249_hold: 200..250;
    seeds_250_to_299_hold: 250..300;
}

/// The seeds above reach what they are there for: a fault that is never drawn proves nothing.
#[test]
fn rare_paths_are_reached() {
    let reports: Vec<Report> = (0..60).map(|seed| run(seed).unwrap()).collect();
    assert!(
        reports.iter().any(|report| report.round_max.get() >= 10),
        "no block was decided in a high round"
    );
    assert!(reports.iter().any(|report| report.evidence > 0), "no equivocator was found out");
    assert!(reports.iter().map(|report| report.crashes).sum::<u64>() > 200, "too few crashes");
    let mut healed: Vec<u64> = reports.iter().map(|report| report.healed_after_us / 1_000).collect();
    healed.sort_unstable();
    let p95_ms = healed[healed.len() * 95 / 100];
    assert!(p95_ms <= 5_000, "the mesh goes on {p95_ms} ms (p95) after the faults ended");
}
