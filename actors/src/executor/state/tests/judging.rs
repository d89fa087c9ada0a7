//! Who judges a target, and when.

use althing_contracts::{
    document::{Action, ProposalDocument},
    testing::{healthy, unhealthy},
    transaction::StepOutcome,
};

use super::*;

/// A runner of `org` before a stage of `owner` whose steps are done and whose health nobody has judged.
fn judging(org: &str, owner: &str) -> Bench {
    judging_of(org, owner, deploy("v2", &[&[&format!("{owner}-north")]]))
}

fn judging_of(org: &str, owner: &str, document: ProposalDocument) -> Bench {
    let mut bench = Bench::of(org, document, LastTries::new());
    let (proposal, executor) = (bench.id, format!("{owner}/executor"));
    bench.world.call(&executor, Role::Executor, Call::Claim { proposal, step: 0 }).unwrap();
    let fence = bench.claim_of(0).fence;
    let done = Call::Receipt { proposal, step: 0, fence, outcome: StepOutcome::Done, evidence: Digest::ZERO };
    bench.world.call(&executor, Role::Executor, done).unwrap();
    bench.now = bench.world.state.time();
    bench
}

impl Bench {
    fn judge_key(&self) -> JudgeKey {
        JudgeKey { proposal: self.id, stage: 0, step: 0 }
    }

    /// Half a minute before the end of the minute that the document gives to its judges.
    fn half_time(&self) -> TimeMs {
        TimeMs::new(self.world.state.proposal(self.id).unwrap().deadline.unwrap().get() - 30_000)
    }

    fn attest(&mut self, org: &str, health: HealthReport) {
        let call = Call::AttestHealth { proposal: self.id, stage: 0, step: 0, health };
        self.world.call(&format!("{org}/executor"), Role::Executor, call).unwrap();
    }
}

#[test]
fn the_owner_and_the_next_organisation_judge_at_once_and_the_others_at_half_time() {
    for (owner, next, others) in
        [("birch", "cedar", ["acme", "delta"]), ("delta", "acme", ["birch", "cedar"])]
    {
        for org in [owner, next] {
            assert!(matches!(judging(org, owner).look()[..], [Output::Probe { .. }]), "{org} for {owner}");
        }
        for org in others {
            let mut bench = judging(org, owner);
            assert!(bench.look().is_empty(), "{org} for {owner}");
            let half = bench.half_time();
            assert_eq!(bench.state.wake_at(), Some(half));
            assert!(bench.pass(half.since(bench.now).saturating_sub(DurationMs::new(1))).is_empty());
            assert!(
                matches!(bench.pass(DurationMs::new(1))[..], [Output::Probe { .. }]),
                "{org} for {owner}"
            );
        }
    }
}

#[test]
fn no_third_organisation_judges_what_two_have_judged() {
    let mut bench = judging("acme", "birch");
    bench.attest("cedar", healthy());
    bench.now = bench.half_time();
    assert!(bench.look().is_empty());
}

#[test]
fn a_target_is_probed_once_and_attested_once() {
    let mut bench = judging("cedar", "birch");
    assert!(matches!(bench.look()[..], [Output::Probe { .. }]));
    assert!(bench.look().is_empty(), "the probe is under way");
    let key = bench.judge_key();
    let outputs = bench.step(Input::Probed { key, health: unhealthy() });
    let [Output::Attest { member: by, health, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((by, health), (&member("cedar/executor"), &unhealthy()));
    bench.attest("cedar", healthy());
    let height = bench.world.state.height();
    bench.look();
    assert!(bench.step(Input::Attested { key, answer: Settlement::Final(height, ()) }).is_empty());
    assert!(bench.look().is_empty(), "the ledger has it");
}

#[test]
fn an_attestation_that_the_ledger_did_not_take_is_made_anew_after_a_while() {
    let mut bench = judging("cedar", "birch");
    bench.look();
    let key = bench.judge_key();
    bench.step(Input::Probed { key, health: healthy() });
    assert!(bench.step(Input::Attested { key, answer: Settlement::Open }).is_empty());
    assert!(bench.look().is_empty());
    assert!(matches!(bench.pass(REFUSED_PAUSE)[..], [Output::Probe { .. }]));
}

fn probe_of(outputs: Vec<Output>) -> Probe {
    match outputs.into_iter().next() {
        Some(Output::Probe { probe, .. }) => *probe,
        other => panic!("expected a probe, got {other:?}"),
    }
}

#[test]
fn what_serves_is_probed_at_each_instance_and_what_serves_nothing_is_healthy_without() {
    let probe = probe_of(judging("birch", "birch").look());
    assert_eq!((probe.endpoints.len(), probe.serves), (2, true));
    assert_eq!(probe.without_requests(), None);

    let mut document = deploy("v2", &[&["birch-north"]]);
    let artefact = Digest::of_artefact(b"settings");
    let action = Action::Configure { file: name("settings"), version: name("1"), artefact };
    document.stages[0].steps[0].action = action;
    let probe = probe_of(judging_of("birch", "birch", document).look());
    assert_eq!((probe.endpoints.len(), probe.serves), (0, false));
    let report = probe.without_requests().expect("there is nothing to ask");
    assert!(report.healthy && report.samples == 0, "{report:?}");

    let unchecked = Probe { check: None, ..probe };
    let report = unchecked.without_requests().expect("there is nothing to ask by");
    assert_eq!((report.healthy, report.reason.as_str()), (false, "the proposal has no health check"));
}
