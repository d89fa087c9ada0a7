use super::*;

/// Seeds of one test; together they are a few hundred.
///
/// They reach what they are there for: a fault that is never drawn proves nothing.
fn run_seeds(seeds: std::ops::Range<u64>) {
    let mut coverage = Coverage::default();
    let mut healed_ms = Vec::new();
    for seed in seeds.clone() {
        match run(seed) {
            Ok(report) => {
                coverage.add(&report.coverage);
                healed_ms.push(report.healed_after_us / 1_000);
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("seeds {seeds:?}:\n{coverage}");
    assert_eq!(coverage.missing(), [""; 0], "faults that seeds {seeds:?} never had");
    healed_ms.sort_unstable();
    let p95_ms = healed_ms[healed_ms.len() * 95 / 100];
    assert!(p95_ms <= 5_000, "the mesh goes on {p95_ms} ms (p95) after the faults ended");
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
