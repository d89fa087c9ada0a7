//! Each invariant notices a violation that is planted for it, and holds for the same block without it.

use std::sync::Arc;

use crate::{
    block::Header,
    digest::Digest,
    event::Event,
    genesis::Tier,
    invariant::{Invariant, View, check_all, check_cheap},
    proposal::Proposal,
    quantity::DurationMs,
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, deploy, genesis, line, target},
    transaction::{Call, Choice, ProposalId, ReviewVerdict, StepOutcome, Transaction, VerifiedTransaction},
};

/// One block that a test may break before it is looked at.
pub(super) struct Scene {
    pub(super) before: State,
    pub(super) after: State,
    header: Header,
    transactions: Vec<VerifiedTransaction>,
    pub(super) events: Vec<Event>,
    pub(super) id: ProposalId,
}

impl Scene {
    pub(super) fn of(world: &mut World, id: ProposalId, sent: &[Transaction]) -> Self {
        let before = world.state.clone();
        let (_, executed) = world.block(DurationMs::new(10), sent);
        let transactions = sent.iter().map(|transaction| world.verify(transaction)).collect();
        let (after, header, events) = (executed.state, executed.header, executed.events);
        Self { before, after, header, transactions, events, id }
    }

    fn check(&self, invariant: Invariant) -> Result<(), String> {
        invariant.check(&self.view()).map_err(|violation| violation.to_string())
    }

    fn view(&self) -> View<'_> {
        let Self { before, after, header, transactions, events, .. } = self;
        View { before, after, header, transactions, events }
    }

    /// What is planted is no violation of `invariant`.
    pub(super) fn holds(mut self, invariant: Invariant, plant: impl FnOnce(&mut Self)) {
        plant(&mut self);
        assert_eq!(self.check(invariant), Ok(()));
    }

    /// The sound block holds everything; the broken one is noticed by `invariant`.
    pub(super) fn notices(mut self, invariant: Invariant, plant: impl FnOnce(&mut Self), message: &str) {
        check_all(&self.view()).unwrap();
        check_cheap(&self.view()).unwrap();
        plant(&mut self);
        let found = self.check(invariant).unwrap_err();
        assert!(found.contains(message), "{invariant:?} says: {found}");
        assert!(found.starts_with(invariant.id()));
    }
}

/// A block with three ballots.
pub(super) fn ballots() -> Scene {
    let mut world = World::new(4);
    world.block(DurationMs::new(1), &[]);
    let document = deploy("2", &[&["acme-north"]]);
    let plan = world.state.plan(&document).unwrap();
    let author = crate::testing::member("acme/author");
    let sequence = world.state.next_sequence(&author, Role::Author);
    let id = ProposalId::derive(world.network(), &author, sequence, plan.document);
    let call = Call::Submit { document, plan_hash: plan.hash() };
    let submitted = world.sign("acme/author", Role::Author, call);
    world.block(DurationMs::new(1), &[submitted]);
    let reviewed = world.sign("birch/author", Role::Reviewer, world.review_call(id, ReviewVerdict::Approve));
    world.block(DurationMs::new(1), &[reviewed]);
    let cast = ["acme/author", "birch/author", "cedar/author"]
        .map(|voter| world.sign(voter, Role::Voter, world.vote_call(id, Choice::For)));
    Scene::of(&mut world, id, &cast)
}

/// Makes a block at each of the next deadlines.
fn pass_deadlines(world: &mut World, count: usize) {
    for _ in 0..count {
        let due = world.state.next_deadline().unwrap();
        world.block(due.since(world.state.time()), &[]);
    }
}

/// A world with the open proposal of a change to one target of this tier.
fn submitted_on(tier: Tier) -> (World, ProposalId) {
    let mut genesis = genesis(4);
    genesis.targets.get_mut(&target("acme-north")).unwrap().tier = tier;
    let mut world = World::with(genesis);
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let submitted = world.sign("acme/author", Role::Author, Call::Submit { document, plan_hash });
    world.block(DurationMs::new(1), &[submitted]);
    let id = world.state.proposals().next().unwrap().id;
    (world, id)
}

/// A world with the open optimistic vote of a change on which little depends.
fn routine() -> (World, ProposalId) {
    submitted_on(Tier::Low)
}

/// A block in which an optimistic vote that nobody has seen becomes a full one.
fn promotion() -> Scene {
    let (mut world, id) = routine();
    let left = world.state.next_deadline().unwrap().since(world.state.time());
    world.block(left.saturating_sub(DurationMs::new(10)), &[]);
    Scene::of(&mut world, id, &[])
}

/// A block with the first claim of a change whose optimistic vote nobody has seen.
fn promoted() -> Scene {
    let (mut world, id) = routine();
    pass_deadlines(&mut world, 1);
    let cast = ["acme/author", "birch/author", "cedar/author"]
        .map(|voter| world.sign(voter, Role::Voter, world.vote_call(id, Choice::For)));
    world.block(DurationMs::new(1), &cast);
    pass_deadlines(&mut world, 3);
    let claim = world.sign("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 });
    Scene::of(&mut world, id, &[claim])
}

/// A block with the first claim of a change of a target on which much depends.
fn cosigned() -> Scene {
    let (mut world, id) = submitted_on(Tier::High);
    let others = ["birch/author", "cedar/author"];
    let reviews = others
        .map(|reviewer| world.sign(reviewer, Role::Reviewer, world.review_call(id, ReviewVerdict::Approve)));
    world.block(DurationMs::new(1), &reviews);
    let cast = ["acme/author", "birch/author", "cedar/author"]
        .map(|voter| world.sign(voter, Role::Voter, world.vote_call(id, Choice::For)));
    world.block(DurationMs::new(1), &cast);
    pass_deadlines(&mut world, 3);
    let proposal = world.state.proposal(id).unwrap();
    let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
    let signatures = ["birch/guardian", "cedar/guardian"].map(|guardian| {
        world.sign(guardian, Role::Guardian, Call::Cosign { proposal: id, revision, plan_hash })
    });
    world.block(DurationMs::new(1), &signatures);
    let claim = world.sign("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 });
    Scene::of(&mut world, id, &[claim])
}

/// A block with the claim and the receipt of the first step.
fn effects() -> Scene {
    let Scene { after, id, header, .. } = ballots();
    let mut world = World::new(4);
    (world.state, world.last) = (after, Some(header));
    pass_deadlines(&mut world, 3);
    let claim = world.sign("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 });
    world.block(DurationMs::new(1), &[claim]);
    let fence = crate::quantity::Fence::new(1);
    let outcome = StepOutcome::Done;
    let call = Call::Receipt { proposal: id, step: 0, fence, outcome, evidence: Digest::ZERO };
    let receipt = world.sign("acme/executor", Role::Executor, call);
    Scene::of(&mut world, id, &[receipt])
}

#[test]
fn g1_notices_another_state_root() {
    let plant = |scene: &mut Scene| scene.header.state_root = Digest::ZERO;
    ballots().notices(Invariant::Agreement, plant, "the state is another");
}

#[test]
fn g1_notices_a_missing_event() {
    let plant = |scene: &mut Scene| drop(scene.events.pop());
    ballots().notices(Invariant::Agreement, plant, "the events are others");
}

#[test]
fn g1_notices_a_state_that_does_not_stand_at_its_block() {
    let message = "the state stands at height 4 and not at its block";
    let plant = |scene: &mut Scene| scene.header.height = scene.header.height.next();
    ballots().notices(Invariant::Agreement, plant, message);
    let plant = |scene: &mut Scene| scene.header.time = scene.header.time.after(DurationMs::new(1));
    ballots().notices(Invariant::Agreement, plant, message);
}

#[test]
fn g2_notices_an_illegal_move() {
    let plant = |scene: &mut Scene| {
        let (proposal, cause) = (scene.id, line(""));
        scene.events.push(Event::StageChanged { proposal, from: Stage::Voting, to: Stage::Canary, cause });
    };
    ballots().notices(Invariant::LegalMoves, plant, "from voting to canary");
}

#[test]
fn g2_notices_a_change_of_stage_without_an_event() {
    let plant = |scene: &mut Scene| {
        scene.events.push(Event::StageChanged {
            proposal: scene.id,
            from: Stage::Voting,
            to: Stage::Confirming,
            cause: line(""),
        });
    };
    ballots().notices(Invariant::LegalMoves, plant, "no event says how it left confirming");
}

#[test]
fn g3_notices_a_step_of_an_undecided_proposal() {
    let plant = |scene: &mut Scene| {
        scene.events.push(Event::StepClaimed {
            proposal: scene.id,
            step: 0,
            target: crate::testing::target("acme-north"),
            executor: crate::testing::member("acme/executor"),
            fence: crate::quantity::Fence::new(1),
            undo: false,
        });
    };
    ballots().notices(Invariant::Approval, plant, "its timelock is not over");
}

#[test]
fn g3_notices_thresholds_that_change_under_an_open_vote() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.organisation_cap = crate::quantity::Ratio::ONE_HALF);
    };
    ballots().notices(Invariant::Approval, plant, "pinned at submission has changed");
}

#[test]
fn g3_notices_whatever_else_was_pinned_and_changes() {
    let changes: [fn(&mut Proposal); 6] = [
        |proposal| proposal.plan_hash = Digest::ZERO,
        |proposal| proposal.electorate_digest = Digest::ZERO,
        |proposal| proposal.constitution = 2,
        |proposal| Arc::make_mut(&mut proposal.parameters).reviewers = 0,
        |proposal| proposal.fallback = Some(Arc::clone(&proposal.parameters)),
        |proposal| proposal.vote.promoted = true,
    ];
    for change in changes {
        let plant = |scene: &mut Scene| {
            let id = scene.id;
            scene.after.tamper(id, change);
        };
        ballots().notices(Invariant::Approval, plant, "pinned at submission has changed");
    }
}

#[test]
fn g3_lets_a_promotion_put_the_pinned_thresholds_in_force_once_and_no_others() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| Arc::make_mut(&mut proposal.parameters).retries = 9);
    };
    for scene in [promotion(), promoted()] {
        assert!(scene.after.proposal(scene.id).unwrap().vote.promoted);
        scene.notices(Invariant::Approval, plant, "pinned at submission has changed");
    }
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.fallback = Some(Arc::clone(&proposal.parameters)));
    };
    promotion().notices(Invariant::Approval, plant, "pinned at submission has changed");
}

#[test]
fn g3_notices_a_step_of_a_proposal_that_the_ledger_does_not_hold() {
    let plant = |scene: &mut Scene| {
        for event in &mut scene.events {
            if let Event::StepClaimed { proposal, .. } = event {
                *proposal = ProposalId::from_digest(Digest::ZERO);
            }
        }
    };
    promoted().notices(Invariant::Approval, plant, "the ledger does not hold it");
}

#[test]
fn g3_asks_for_the_sign_off_of_every_change_but_a_promoted_one() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.vote.promoted = false);
    };
    promoted().notices(Invariant::Approval, plant, "0 of 1 have signed it off");
}

#[test]
fn g3_notices_a_step_that_too_few_guardians_have_signed() {
    let message = "too few guardians have co-signed it";
    let plant =
        |scene: &mut Scene| scene.after.tamper(scene.id, |proposal| drop(proposal.cosigned_by.pop_first()));
    cosigned().notices(Invariant::Approval, plant, message);
}

#[test]
fn g4_notices_a_second_effect() {
    let plant = |scene: &mut Scene| scene.events.push(scene.events[0].clone());
    effects().notices(Invariant::SingleEffect, plant, "step 0 took effect twice");
}

#[test]
fn g6_notices_a_lost_ballot() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| {
            proposal.vote.ballots.remove(&crate::testing::member("birch/author"));
        });
    };
    ballots().notices(Invariant::Ballots, plant, "the ballot of birch/author is lost");
}

#[test]
fn g6_notices_a_chain_that_was_rewritten() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.vote.ballots_digest = Digest::ZERO);
    };
    ballots().notices(Invariant::Ballots, plant, "the chain of ballots was broken");
}

#[test]
fn g7_notices_an_overdrawn_budget() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.execution.retries = 99);
    };
    effects().notices(Invariant::Budgets, plant, "99 of 2 attempts are used");
}

#[test]
fn g8_notices_an_auditor_who_votes() {
    let plant = |scene: &mut Scene| {
        let world = World::new(4);
        let call = Call::Cancel { proposal: scene.id, reason: line("") };
        scene.transactions.push(world.verified("acme/auditor", Role::Auditor, call));
    };
    ballots().notices(Invariant::Duties, plant, "acme/auditor wrote as auditor");
}

#[test]
fn g8_notices_a_review_by_the_authors_own_organisation() {
    let plant = |scene: &mut Scene| {
        let mut world = World::new(4);
        world.state = scene.after.clone();
        let call = world.review_call(scene.id, ReviewVerdict::Approve);
        scene.transactions.push(world.verified("acme/author", Role::Reviewer, call));
    };
    ballots().notices(Invariant::Duties, plant, "acme/author judged its own organisation");
}

#[test]
fn g8_notices_a_co_signature_of_the_authors_own_organisation() {
    let plant = |scene: &mut Scene| {
        let world = World { genesis: genesis(4), state: scene.after.clone(), last: None };
        let proposal = scene.after.proposal(scene.id).unwrap();
        let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
        let call = Call::Cosign { proposal: scene.id, revision, plan_hash };
        scene.transactions.push(world.verified("acme/guardian", Role::Guardian, call));
    };
    cosigned().notices(Invariant::Duties, plant, "acme/guardian judged its own organisation");
}

#[test]
fn g9_notices_a_transaction_that_counts_twice() {
    let plant = |scene: &mut Scene| scene.transactions.push(scene.transactions[0].clone());
    ballots().notices(Invariant::SingleUse, plant, "counts twice");
}

#[test]
fn g11_notices_an_effect_without_a_receipt() {
    let plant = |scene: &mut Scene| {
        scene.events.clear();
        scene.transactions.clear();
    };
    effects().notices(Invariant::Receipts, plant, "a target changed without a receipt");
}

#[test]
fn g11_notices_an_effect_of_a_step_that_the_plan_does_not_have() {
    let plant = |scene: &mut Scene| {
        for event in &mut scene.events {
            if let Event::StepReported { step, .. } = event {
                *step = 9;
            }
        }
    };
    effects().notices(Invariant::Receipts, plant, "a target changed without a receipt");
}

#[test]
fn g13_notices_a_proposal_that_waits_for_ever() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.deadline = None);
    };
    ballots().notices(Invariant::Progress, plant, "it waits in voting for ever");
}

#[test]
fn g14_notices_a_snapshot_that_contradicts_itself() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| drop(proposal.vote.order.remove(&0)));
    };
    ballots().notices(Invariant::Snapshot, plant, "the snapshot is refused");
}
