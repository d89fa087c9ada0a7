//! Every call to a disk in whole lives of proposals meets every fault once.

use std::thread;

use serde_json::json;

use crate::{
    figures,
    simulation::{DiskFault, FaultPlan, Meets, NodeDisk, mesh::WATCHED, people::Mood, run_plan},
};

/// The seeds of which the first is taken whose lives keep disks busy.
const SEEDS: std::ops::Range<u64> = 51..91;
/// Every how many calls one meets a fault in each test run; the soak takes each.
const STRIDE: u64 = 61;

/// Lives without other faults: from the first call to the end of every proposal.
const LIVES: FaultPlan = FaultPlan { chaos_us: 3_000_000, mood: Mood::Agreed, ..FaultPlan::CALM };

fn fail_every(stride: u64) {
    let busy = |seed: u64| {
        let [log, journals] = run_plan(seed, LIVES).unwrap().operations;
        (log > 100 && journals > 50).then_some((seed, log, journals))
    };
    let (seed, log, journals) = SEEDS.into_iter().find_map(busy).expect("some lives keep disks busy");
    let calls = |disk, count| (1..=count).step_by(usize::try_from(stride).unwrap()).map(move |at| (disk, at));
    let calls: Vec<_> = calls(NodeDisk::Log, log).chain(calls(NodeDisk::Journals, journals)).collect();
    let halves = calls.split_at(calls.len() / 2);
    thread::scope(|scope| {
        for half in [halves.0, halves.1] {
            scope.spawn(move || {
                for ((disk, operation), meets) in
                    half.iter().flat_map(|call| Meets::ALL.map(|meets| (*call, meets)))
                {
                    let fault = DiskFault { node: WATCHED, disk, operation, meets };
                    let plan = FaultPlan { disk_fault: Some(fault), ..LIVES };
                    run_plan(seed, plan).unwrap_or_else(|failure| panic!("{fault:?}: {failure}"));
                }
            });
        }
    });
    let figures = json!({ "calls": calls.len(), "of": log + journals, "faults": Meets::ALL });
    println!("{figures}");
    figures::keep("disk-calls", &figures);
}

#[test]
fn calls_to_disks_may_fail() {
    fail_every(STRIDE);
}

#[test]
#[ignore = "every call: `make long-tests`"]
fn every_call_to_a_disk_may_fail() {
    fail_every(1);
}
