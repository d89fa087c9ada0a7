//! The kept corpus, and inputs drawn from a seed, through every target: a crash that was found once stays found.

use std::{fs, path::Path};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{TARGETS, seeds};

/// Inputs drawn for each target, and the longest of them.
const DRAWN: usize = 60;
const DRAWN_LEN_MAX: usize = 600;

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

#[test]
fn every_target_holds_on_the_kept_corpus() {
    for (name, target) in TARGETS {
        let kept = corpus().join(name);
        for input in fs::read_dir(&kept).unwrap_or_else(|error| panic!("{}: {error}", kept.display())) {
            let bytes = fs::read(input.unwrap().path()).unwrap();
            target(&bytes);
        }
    }
}

#[test]
fn every_target_holds_on_sound_inputs_and_on_changed_ones() {
    let directory = tempfile::tempdir().unwrap();
    seeds::write(directory.path()).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    for (name, target) in TARGETS {
        let Ok(inputs) = fs::read_dir(directory.path().join(name)) else { continue };
        for input in inputs {
            let sound = fs::read(input.unwrap().path()).unwrap();
            target(&sound);
            for _ in 0..DRAWN {
                let mut changed = sound.clone();
                for _ in 0..random.random_range(1..4) {
                    let place = random.random_range(0..changed.len());
                    changed[place] = random.random();
                }
                changed.truncate(random.random_range(1..=changed.len()));
                target(&changed);
            }
        }
    }
}

#[test]
fn every_target_holds_on_drawn_inputs() {
    let mut random = StdRng::seed_from_u64(11);
    for (_, target) in TARGETS {
        for _ in 0..DRAWN {
            let len = random.random_range(0..DRAWN_LEN_MAX);
            let bytes: Vec<u8> = (0..len).map(|_| random.random()).collect();
            target(&bytes);
        }
    }
}

#[test]
#[ignore = "writes the first inputs of the corpus"]
fn the_seeds_are_written() {
    seeds::write(&corpus()).unwrap();
}
