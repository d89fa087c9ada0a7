//! Gossip under attack: a kept seed keeps its promises and repeats itself. A run is a process of its own, because the
//! simulation takes over the process's clocks and random bytes.

use std::process::{Command, Output};

fn gossip(seed: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_althing-stack"))
        .args(["gossip", seed])
        .output()
        .expect("the binary was built")
}

#[test]
fn honest_nodes_hear_each_other_among_as_many_hostile_ones_and_a_seed_repeats_itself() {
    let (once, again) = (gossip("1"), gossip("1"));
    let outcome = String::from_utf8_lossy(&once.stdout);
    assert!(once.status.success(), "{outcome}");
    assert_eq!(once.stdout, again.stdout, "the seed does not repeat itself");
}
