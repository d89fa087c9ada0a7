//! A whole life breaks nothing; each planted defect is noticed by the invariant that is there for it.

use super::*;
use crate::{
    act::{Act, Subject},
    block::Header,
    digest::Digest,
    document::Action,
    document::ProposalDocument,
    event::Event,
    ledger::Executed,
    name::{Line, MemberId},
    quantity::{DurationMs, Fence, Sequence, TimeMs},
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, deploy, healthy, line, member, name, unhealthy},
    transaction::{Call, Choice, HealthReport, ReviewVerdict, StepOutcome, Transaction, VerifiedTransaction},
};

mod attempt;
mod dormancy;
mod expiry;
mod keys;
mod precedence;
mod separation;
mod voice;

const STAGES: &[&[&str]] = &[&["acme-north"], &["birch-north"]];

/// One block as it was executed.
#[derive(Clone)]
struct Seen {
    header: Header,
    transactions: Vec<VerifiedTransaction>,
    events: Vec<Event>,
    after: State,
}

/// A ledger in the making, with everything that happened on it.
struct Life {
    world: World,
    seen: Vec<Seen>,
}

impl Life {
    fn block(&mut self, later: DurationMs, calls: &[(&str, Role, Call)]) {
        let signed: Vec<Transaction> =
            calls.iter().map(|(sender, role, call)| self.world.sign(sender, *role, call.clone())).collect();
        self.signed(later, &signed);
    }

    fn signed(&mut self, later: DurationMs, signed: &[Transaction]) {
        let transactions: Vec<_> = signed.iter().map(|signed| self.world.verify(signed)).collect();
        let (_, Executed { state, events, outcomes, header }) = self.world.block(later, signed);
        assert_eq!(outcomes.len(), signed.len(), "every call takes effect");
        self.seen.push(Seen { header, transactions, events, after: state });
    }

    fn one(&mut self, sender: &str, role: Role, call: Call) {
        self.block(DurationMs::new(5), &[(sender, role, call)]);
    }

    fn deadline(&mut self) {
        let due = self.world.state.next_deadline().unwrap();
        self.block(due.since(self.world.state.time()).max(DurationMs::new(1)), &[]);
    }

    fn submit(&mut self, document: ProposalDocument) -> ProposalId {
        self.submit_as("acme/author", document)
    }

    fn submit_as(&mut self, author: &str, document: ProposalDocument) -> ProposalId {
        let plan = self.world.state.plan(&document).unwrap();
        let id = ProposalId::derive(self.world.network(), &member(author), Sequence::new(1), plan.document);
        self.one(author, Role::Author, Call::Submit { document, plan_hash: plan.hash() });
        id
    }

    fn queued() -> (Self, ProposalId) {
        Self::queued_with(deploy("2", STAGES))
    }

    fn queued_with(document: ProposalDocument) -> (Self, ProposalId) {
        let mut life = Self { world: World::new(4), seen: Vec::new() };
        let id = life.submit(document);
        let review = life.world.review_call(id, ReviewVerdict::Approve);
        life.one("birch/author", Role::Reviewer, review);
        let vote = life.world.vote_call(id, Choice::For);
        let ballots = ["acme/author", "birch/author", "cedar/author"];
        life.block(DurationMs::new(5), &ballots.map(|voter| (voter, Role::Voter, vote.clone())));
        life.deadline();
        life.deadline();
        assert_eq!(life.world.state.proposal(id).unwrap().stage, Stage::Queued);
        (life, id)
    }

    fn carry_out(&mut self, id: ProposalId, step: u16) {
        let planned = &self.world.state.proposal(id).unwrap().plan.steps[usize::from(step)];
        let executor = format!("{}/executor", planned.owner);
        self.one(&executor, Role::Executor, Call::Claim { proposal: id, step });
        let progress = &self.world.state.proposal(id).unwrap().execution.steps[usize::from(step)];
        let fence = progress.claim.as_ref().unwrap().fence;
        let (outcome, evidence) = (StepOutcome::Done, Digest::ZERO);
        self.one(&executor, Role::Executor, Call::Receipt { proposal: id, step, fence, outcome, evidence });
    }

    fn judge(&mut self, id: ProposalId, step: u16, by: &[&str], health: &HealthReport) {
        let stage = self.world.state.proposal(id).unwrap().execution.stage;
        let call = Call::AttestHealth { proposal: id, stage, step, health: health.clone() };
        let calls: Vec<_> = by.iter().map(|attester| (*attester, Role::Executor, call.clone())).collect();
        self.block(DurationMs::new(5), &calls);
    }

    /// From submission to executed.
    fn executed() -> (Self, ProposalId) {
        Self::executed_with(deploy("2", STAGES), &healthy())
    }

    fn executed_with(document: ProposalDocument, health: &HealthReport) -> (Self, ProposalId) {
        let (mut life, id) = Self::queued_with(document);
        life.deadline();
        for (step, owner) in [(0, "acme/executor"), (1, "birch/executor")] {
            life.carry_out(id, step);
            life.judge(id, step, &[owner, "delta/executor"], health);
        }
        for (step, owner) in [(0, "acme/executor"), (1, "birch/executor")] {
            life.judge(id, step, &[owner, "delta/executor"], health);
        }
        assert_eq!(life.world.state.proposal(id).unwrap().stage, Stage::Auditing);
        (life, id)
    }

    /// From submission to rolled back after an unhealthy second stage.
    fn rolled_back() -> Self {
        let (mut life, id) = Self::queued();
        life.deadline();
        life.carry_out(id, 0);
        life.judge(id, 0, &["acme/executor", "delta/executor"], &healthy());
        life.carry_out(id, 1);
        life.judge(id, 1, &["birch/executor"], &unhealthy());
        life.carry_out(id, 1);
        life.carry_out(id, 0);
        life
    }

    fn judged(&self) -> Vec<Violation> {
        let mut historian = Historian::default();
        let judge = |seen: &Seen| {
            let Seen { header, transactions, events, after } = seen;
            // The trail remembers what was before and reads no earlier state.
            historian.observe(&View { before: after, header, transactions, events, after })
        };
        self.seen.iter().flat_map(judge).collect()
    }

    /// The invariants that are broken after a change of the events.
    fn broken(mut self, mut change: impl FnMut(&mut Vec<Event>)) -> Vec<Invariant> {
        self.seen.iter_mut().for_each(|seen| change(&mut seen.events));
        let mut broken: Vec<_> = self.judged().into_iter().map(|violation| violation.invariant).collect();
        broken.dedup();
        broken
    }
}

fn executed() -> Life {
    Life::executed().0
}

#[test]
fn whole_lives_break_nothing() {
    assert_eq!(executed().judged(), []);
    assert_eq!(Life::rolled_back().judged(), []);
}

/// Two targets on which little depends, so that the change is routine.
fn routine(voters: &[(&str, Choice)], deadlines: usize) -> (Life, ProposalId) {
    let mut genesis = crate::testing::genesis(4);
    genesis.targets.values_mut().for_each(|target| target.tier = crate::genesis::Tier::Low);
    let mut life = Life { world: World::with(genesis), seen: Vec::new() };
    let id = life.submit(deploy("2", STAGES));
    let ballots: Vec<_> = voters
        .iter()
        .map(|(voter, choice)| (*voter, Role::Voter, life.world.vote_call(id, *choice)))
        .collect();
    life.block(DurationMs::new(5), &ballots);
    (0..deadlines).for_each(|_| life.deadline());
    (life, id)
}

#[test]
fn routine_and_promoted_lives_break_nothing() {
    let seen = ["acme/author", "birch/author", "cedar/author"].map(|voter| (voter, Choice::For));
    let (life, id) = routine(&seen, 2);
    assert_eq!(life.world.state.proposal(id).unwrap().stage, Stage::Queued);
    assert_eq!(life.judged(), []);
    let (mut life, id) = routine(&[("acme/author", Choice::For)], 1);
    assert!(life.world.state.proposal(id).unwrap().vote.promoted);
    let vote = life.world.vote_call(id, Choice::For);
    let ballots = ["birch/author", "cedar/author"].map(|voter| (voter, Role::Voter, vote.clone()));
    life.block(DurationMs::new(5), &ballots);
    (0..3).for_each(|_| life.deadline());
    assert_eq!(life.world.state.proposal(id).unwrap().stage, Stage::Queued);
    life.carry_out(id, 0);
    assert_eq!(life.judged(), []);
}

#[test]
fn g3_thresholds_other_than_those_pinned_are_noticed() {
    let lowered = executed().broken(|events| {
        for event in events {
            if let Event::Tallied { tally, .. } = event {
                tally.tests[0].threshold =
                    crate::constitution::Threshold::AtLeast(crate::quantity::Ratio::ONE_TENTH);
            }
        }
    });
    assert_eq!(lowered, [Invariant::Approval]);
}

#[test]
fn g3_a_step_before_the_end_of_the_timelock_is_noticed() {
    let (mut life, id) = Life::executed();
    let queued = life.seen.iter().position(|seen| {
        seen.events.iter().any(|event| matches!(event, Event::StageChanged { to: Stage::Queued, .. }))
    });
    let at: TimeMs = life.seen[queued.unwrap()].header.time;
    for seen in life.seen.iter_mut().skip(queued.unwrap() + 1) {
        seen.header.time = at.after(DurationMs::new(1));
    }
    let violation = &life.judged()[0];
    assert_eq!((violation.invariant, violation.proposal), (Invariant::Approval, Some(id)));
    assert!(violation.message.ends_with("before its timelock ends"), "{violation}");
}

#[test]
fn g3_a_step_that_too_few_guardians_have_signed_is_noticed() {
    let life = || {
        let mut genesis = crate::testing::genesis(4);
        let target = genesis.targets.get_mut(&crate::testing::target("acme-north")).unwrap();
        target.tier = crate::genesis::Tier::High;
        let mut life = Life { world: World::with(genesis), seen: Vec::new() };
        let id = life.submit(deploy("2", &[&["acme-north"]]));
        let review = life.world.review_call(id, ReviewVerdict::Approve);
        let others = ["birch/author", "cedar/author"];
        life.block(DurationMs::new(5), &others.map(|reviewer| (reviewer, Role::Reviewer, review.clone())));
        let vote = life.world.vote_call(id, Choice::For);
        let ballots = ["acme/author", "birch/author", "cedar/author"];
        life.block(DurationMs::new(5), &ballots.map(|voter| (voter, Role::Voter, vote.clone())));
        (0..3).for_each(|_| life.deadline());
        let proposal = life.world.state.proposal(id).unwrap();
        let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
        let cosign = Call::Cosign { proposal: id, revision, plan_hash };
        let guardians = ["birch/guardian", "cedar/guardian"];
        life.block(DurationMs::new(5), &guardians.map(|guardian| (guardian, Role::Guardian, cosign.clone())));
        life.carry_out(id, 0);
        life
    };
    assert!(life().judged().is_empty());
    let unsigned = life().broken(|events| {
        events.retain(
            |event| !matches!(event, Event::Cosigned { guardian, .. } if guardian.org_str() == "cedar"),
        );
    });
    assert_eq!(unsigned, [Invariant::Approval]);
    let own = life().broken(|events| {
        for event in events {
            if let Event::Cosigned { guardian, .. } = event
                && guardian.org_str() == "cedar"
            {
                *guardian = member("acme/guardian");
            }
        }
    });
    assert_eq!(own, [Invariant::Approval]);
}

/// A life in which another constitution comes into force.
fn amended() -> Life {
    let world = World::new(4);
    let constitution = world.next_rules(|rules| {
        let standard = rules.tracks.get_mut(&crate::constitution::Track::Standard).unwrap();
        standard.voting = DurationMs::from_hours(100);
    });
    let mut life = enacted(crate::testing::amend(constitution));
    assert_eq!(life.world.state.constitution().version, 2);
    life.submit_as("birch/author", deploy("2", STAGES));
    life
}

/// A life in which acts of the constitutional track are carried out.
fn enacted(document: ProposalDocument) -> Life {
    let mut life = Life { world: World::new(4), seen: Vec::new() };
    let id = life.submit(document);
    let review = life.world.review_call(id, ReviewVerdict::Approve);
    let others = ["birch/author", "cedar/author", "delta/author"];
    life.block(DurationMs::new(5), &others.map(|reviewer| (reviewer, Role::Reviewer, review.clone())));
    let vote = life.world.vote_call(id, Choice::For);
    let ballots = ["acme/author", "birch/author", "cedar/author"];
    life.block(DurationMs::new(5), &ballots.map(|voter| (voter, Role::Voter, vote.clone())));
    (0..2).for_each(|_| life.deadline());
    let proposal = life.world.state.proposal(id).unwrap();
    let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
    let cosign = Call::Cosign { proposal: id, revision, plan_hash };
    let guardians = ["birch/guardian", "cedar/guardian"];
    life.block(DurationMs::new(5), &guardians.map(|guardian| (guardian, Role::Guardian, cosign.clone())));
    life.deadline();
    life
}

#[test]
fn g3_rules_that_were_not_decided_by_this_text_in_time_and_in_order_are_noticed() {
    assert!(amended().judged().is_empty(), "{:?}", amended().judged());
    let of = |change: fn(&mut u32, &mut Digest)| {
        let broken = amended().broken(|events| {
            for event in events {
                if let Event::Amended { version, constitution, .. } = event {
                    change(version, constitution);
                }
            }
        });
        assert_eq!(broken, [Invariant::Approval]);
    };
    of(|version, _| *version = 3);
    of(|_, constitution| *constitution = Digest::ZERO);
    let undecided = amended().broken(|events| {
        events.retain(|event| !matches!(event, Event::StageChanged { to: Stage::Queued, .. }));
    });
    assert!(undecided.contains(&Invariant::Approval));
    let unsigned = amended().broken(|events| events.retain(|event| !matches!(event, Event::Cosigned { .. })));
    assert_eq!(unsigned, [Invariant::Approval]);
    let silent = amended().broken(|events| events.retain(|event| !matches!(event, Event::Amended { .. })));
    assert_eq!(silent, [Invariant::Approval], "the next proposal is pinned to rules that nobody decided");
    let mut early = amended();
    let at = early.seen.iter().position(|seen| matches!(seen.events.first(), Some(Event::Amended { .. })));
    let queued = early.seen[at.unwrap() - 1].header.time;
    early.seen[at.unwrap()].header.time = queued;
    assert!(early.judged().iter().any(|found| found.message.ends_with("before its timelock ends")));
}

#[test]
fn g3_a_change_of_who_takes_part_that_was_not_decided_like_this_is_noticed() {
    let joined = || {
        let voter = member("acme/voter");
        let record = crate::testing::record(&voter, 5, &[Role::Voter]);
        enacted(crate::testing::acts(vec![Act::SetMember { member: voter, record }]))
    };
    assert!(joined().judged().is_empty(), "{:?}", joined().judged());
    let of = |change: fn(&mut Subject, &mut Digest)| {
        let broken = joined().broken(|events| {
            for event in events {
                if let Event::Enacted { subject, record, .. } = event {
                    change(subject, record);
                }
            }
        });
        assert_eq!(broken, [Invariant::Approval]);
    };
    of(|subject, _| *subject = Subject::Member(member("birch/voter")));
    of(|_, record| *record = Digest::ZERO);
    let unsigned = joined().broken(|events| events.retain(|event| !matches!(event, Event::Cosigned { .. })));
    assert_eq!(unsigned, [Invariant::Approval]);
}

#[test]
fn g3_a_queue_without_sign_off_or_a_passing_count_is_noticed() {
    let unreviewed =
        executed().broken(|events| events.retain(|event| !matches!(event, Event::Reviewed { .. })));
    assert_eq!(unreviewed, [Invariant::Approval]);
    let uncounted =
        executed().broken(|events| events.retain(|event| !matches!(event, Event::Tallied { .. })));
    assert_eq!(uncounted, [Invariant::Approval]);
}

#[test]
fn g3_a_count_that_does_not_follow_from_its_ballots_or_its_figures_is_noticed() {
    let mut lost = false;
    let uncast = executed().broken(|events| {
        let voted = events.iter().position(|event| matches!(event, Event::Voted { .. }));
        if let Some(index) = voted.filter(|_| !std::mem::replace(&mut lost, voted.is_some())) {
            events.remove(index);
        }
    });
    assert_eq!(uncast, [Invariant::Approval]);
    let misread = executed().broken(|events| {
        for event in events {
            if let Event::Tallied { tally, .. } = event {
                tally.tests[0].part = 0;
            }
        }
    });
    assert_eq!(misread, [Invariant::Approval]);
}

#[test]
fn g4_an_effect_that_happens_twice_is_noticed() {
    let twice = executed().broken(|events| {
        let done = events.iter().find(|event| matches!(event, Event::StepReported { .. })).cloned();
        events.extend(done);
    });
    assert!(twice.contains(&Invariant::SingleEffect), "{twice:?}");
}

#[test]
fn g4_a_fence_that_was_given_before_is_noticed() {
    let reused = executed().broken(|events| {
        for event in events {
            if let Event::StepClaimed { fence, .. } | Event::StepReported { fence, .. } = event {
                *fence = Fence::new(1);
            }
        }
    });
    assert_eq!(reused, [Invariant::SingleEffect]);
}

#[test]
fn g9_a_transaction_that_comes_again_or_too_late_is_noticed() {
    let mut life = executed();
    let repeated = life.seen[0].transactions.clone();
    life.seen[1].transactions.extend(repeated);
    assert_eq!(life.judged()[0].invariant, Invariant::SingleUse);
    let mut late = executed();
    late.seen[0].header.time = TimeMs::MAX;
    assert_eq!(late.judged()[0].invariant, Invariant::SingleUse);
}

#[test]
fn g11_a_receipt_without_its_claim_is_noticed() {
    let unclaimed =
        executed().broken(|events| events.retain(|event| !matches!(event, Event::StepClaimed { .. })));
    assert_eq!(unclaimed, [Invariant::Receipts]);
    let by_another = executed().broken(|events| {
        for event in events {
            if let Event::StepReported { executor, .. } = event {
                *executor = MemberId::new("delta/executor").unwrap();
            }
        }
    });
    assert_eq!(by_another, [Invariant::Receipts]);
}

#[test]
fn g11_a_stage_left_without_a_receipt_or_with_one_witness_is_noticed() {
    let unreported =
        executed().broken(|events| events.retain(|event| !matches!(event, Event::StepReported { .. })));
    assert_eq!(unreported, [Invariant::Receipts]);
    for witness in ["acme", "birch", "delta"] {
        let unseen = executed().broken(|events| {
            events.retain(
                |event| !matches!(event, Event::HealthAttested { org, .. } if org.as_str() == witness),
            );
        });
        assert_eq!(unseen, [Invariant::Receipts], "without {witness}");
    }
}

#[test]
fn g11_a_target_that_serves_nothing_is_healthy_without_figures() {
    let mut document = deploy("2", STAGES);
    for step in document.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        let artefact = Digest::of_artefact(b"settings");
        step.action = Action::Configure { file: name("settings"), version: name("2"), artefact };
    }
    let health = HealthReport { samples: 0, succeeded: 0, ..healthy() };
    let (life, _) = Life::executed_with(document, &health);
    assert_eq!(life.judged(), []);
}

#[test]
fn g11_a_target_called_healthy_against_its_own_figures_is_noticed() {
    let glossed = Life::rolled_back().broken(|events| {
        for event in events {
            if let Event::HealthAttested { health, .. } = event {
                health.healthy = true;
                health.reason = Line::new("").unwrap();
            }
        }
    });
    assert_eq!(glossed, [Invariant::Receipts]);
}

#[test]
fn g11_a_rollback_that_leaves_an_effect_is_noticed() {
    let left = Life::rolled_back()
        .broken(|events| events.retain(|event| !matches!(event, Event::StepReported { undo: true, .. })));
    assert_eq!(left, [Invariant::Receipts]);
}
