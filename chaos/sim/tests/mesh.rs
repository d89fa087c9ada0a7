//! The mesh alone under faults: it heals, and a seed repeats itself. A run is a process of its own, because the
//! simulation takes over the process's clocks and random bytes.

use std::process::{Command, Output};

fn mesh(seed: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_althing-stack"))
        .args(["mesh", seed])
        .output()
        .expect("the binary was built")
}

#[test]
fn everyone_hears_everyone_after_cuts_and_crashes_and_a_seed_repeats_itself() {
    // 4: a link went dark with full buffers. 14, 16: a dark link was noticed 20 s too late.
    for seed in ["4", "14", "16"] {
        let (once, again) = (mesh(seed), mesh(seed));
        let outcome = String::from_utf8_lossy(&once.stdout);
        assert!(once.status.success(), "seed {seed}: {outcome}");
        assert_eq!(once.stdout, again.stdout, "seed {seed} does not repeat itself");
    }
}

#[test]
fn what_is_no_seed_is_refused() {
    let refused = mesh("seven");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("\"seven\" is no number"));
}
