//! A sound run has no finding; each planted falsehood is found under the invariant that is there for it.

use althing_actors::signer::journal::KeyUse;
use althing_contracts::{
    block::Block,
    canonical,
    digest::{Digest, Purpose},
    document::ProposalDocument,
    quantity::{DurationMs, Revision, TimeMs, Weight},
    role::Role,
    testing::{World, amend, deploy, genesis, member, target},
    transaction::{Call, Choice, ReviewVerdict, StepOutcome, Transaction},
};

use super::{
    status::{Caller, Change, History, Status, Told},
    *,
};

mod attempt;
mod dormancy;
mod emergency;

/// What a short run left behind.
struct Run {
    genesis: Genesis,
    blocks: Vec<CertifiedBlock>,
    final_us: BTreeMap<Height, u64>,
    effects: Vec<EffectEntry>,
    disturbed: BTreeSet<TargetId>,
    key_uses: Vec<KeyUseRecord>,
    acknowledged: BTreeSet<TransactionId>,
    ended: BTreeMap<ProposalId, Ended>,
    told: History,
    /// How the proposal stands in the end.
    stage: Stage,
    proposal: ProposalId,
}

/// A ledger that is written by hand.
struct Scribe {
    world: World,
    run: Run,
}

impl Scribe {
    fn block(&mut self, later: DurationMs, calls: &[(&str, Role, Call)]) {
        let sign = |(sender, role, call): &(&str, Role, Call)| self.world.sign(sender, *role, call.clone());
        let signed: Vec<Transaction> = calls.iter().map(sign).collect();
        let (block, executed) = self.world.block(later, &signed);
        assert_eq!(executed.outcomes.len(), calls.len(), "every call takes effect");
        let certificate = self.world.certify(&executed.header);
        let height = executed.header.height;
        self.run.final_us.insert(height, height.get() * 1_000);
        self.run.told.held(height, executed.events.iter().filter_map(Change::of), []);
        self.run.told.reached(height);
        for transaction in &signed {
            let bytes = transaction.encode();
            self.run.key_uses.push(use_of(transaction, &bytes));
            self.run.acknowledged.insert(Digest::of(Purpose::Transaction, &bytes));
        }
        self.run.blocks.push(CertifiedBlock { block: block.encode(), certificate });
    }

    fn deadline(&mut self) {
        let due = self.world.state.next_deadline().unwrap();
        self.block(due.since(self.world.state.time()).max(DurationMs::new(1)), &[]);
    }
}

fn use_of(transaction: &Transaction, bytes: &[u8]) -> KeyUseRecord {
    let Transaction::V3 { body, .. } = transaction;
    KeyUseRecord::V1 {
        time: TimeMs::new(1),
        purpose: KeyUse::of(&body.call),
        member: body.sender.clone(),
        role: body.role,
        sequence: body.sequence,
        transaction: Digest::of(Purpose::Transaction, bytes),
        body: Digest::of(Purpose::Journal, &canonical::encode(body)),
    }
}

const SECOND: DurationMs = DurationMs::new(1_000);

/// A ledger whose first block opens this proposal.
fn begin(document: &ProposalDocument) -> Scribe {
    begin_in(World::new(4), document)
}

fn begin_in(world: World, document: &ProposalDocument) -> Scribe {
    let plan = world.state.plan(document).unwrap();
    let sequence = world.state.next_sequence(&member("acme/author"), Role::Author);
    let proposal = ProposalId::derive(world.network(), &member("acme/author"), sequence, plan.document);
    let run = Run {
        genesis: world.genesis.clone(),
        blocks: Vec::new(),
        final_us: BTreeMap::new(),
        effects: Vec::new(),
        disturbed: BTreeSet::new(),
        key_uses: Vec::new(),
        acknowledged: BTreeSet::new(),
        ended: BTreeMap::new(),
        told: History::default(),
        stage: Stage::Submitted,
        proposal,
    };
    let mut scribe = Scribe { world, run };
    let submit = Call::Submit { document: document.clone(), plan_hash: plan.hash() };
    scribe.block(SECOND, &[("acme/author", Role::Author, submit)]);
    scribe
}

impl Scribe {
    /// Opens another proposal, which the run is about from then on.
    fn propose(&mut self, document: &ProposalDocument) {
        let plan = self.world.state.plan(document).unwrap();
        let author = member("acme/author");
        let sequence = self.world.state.next_sequence(&author, Role::Author);
        self.run.proposal = ProposalId::derive(self.world.network(), &author, sequence, plan.document);
        let submit = Call::Submit { document: document.clone(), plan_hash: plan.hash() };
        self.block(SECOND, &[("acme/author", Role::Author, submit)]);
    }

    /// Signs the proposal off, votes for it and waits until it is queued.
    fn decide(&mut self, reviewers: &[&str]) {
        let proposal = self.run.proposal;
        let review = self.world.review_call(proposal, ReviewVerdict::Approve);
        let reviews = reviewers.iter().map(|reviewer| (*reviewer, Role::Reviewer, review.clone()));
        self.block(SECOND, &reviews.collect::<Vec<_>>());
        let vote = self.world.vote_call(proposal, Choice::For);
        let voters = ["acme/author", "birch/author", "cedar/author"];
        self.block(SECOND, &voters.map(|voter| (voter, Role::Voter, vote.clone())));
        self.deadline();
        self.deadline();
    }
}

/// From submission to the receipt of the only step.
fn run() -> Run {
    let document = deploy("2", &[&["acme-north"]]);
    let mut scribe = begin(&document);
    let proposal = scribe.run.proposal;
    scribe.decide(&["birch/author"]);
    scribe.deadline();
    scribe.block(SECOND, &[("acme/executor", Role::Executor, Call::Claim { proposal, step: 0 })]);
    let steps = &scribe.world.state.proposal(proposal).unwrap().execution.steps;
    let fence = steps[0].claim.as_ref().unwrap().fence;
    let at_us = scribe.world.state.height().get() * 1_000 + 1;
    scribe.run.effects.push(EffectEntry {
        at_us,
        target: target("acme-north"),
        idempotency_key: effects::key_of(&proposal, 0, false),
        fence,
        action: document.steps().next().unwrap().1.action.clone(),
        undo: false,
        changed: true,
    });
    let (outcome, evidence) = (StepOutcome::Done, Digest::ZERO);
    let receipt = Call::Receipt { proposal, step: 0, fence, outcome, evidence };
    scribe.block(SECOND, &[("acme/executor", Role::Executor, receipt)]);
    scribe.run.stage = scribe.world.state.proposal(proposal).unwrap().stage;
    scribe.run
}

/// From a voice that is lent to the claim of a step, on a change that only that voice passes.
fn lent() -> Run {
    let mut genesis = genesis(4);
    for (voter, weight) in [("acme", 125), ("birch", 40), ("cedar", 40), ("delta", 60)] {
        let voter = member(&format!("{voter}/author"));
        genesis.members.get_mut(&voter).unwrap().weight = Weight::new(weight);
    }
    let mut scribe = begin_in(World::with(genesis), &deploy("1", &[&["acme-north"]]));
    let expires = scribe.world.state.time().after(DurationMs::from_hours(1_000));
    let delegate = |to: &str| Call::Delegate { track: None, to: member(to), expires };
    scribe.block(SECOND, &[("delta/author", Role::Voter, delegate("cedar/author"))]);
    scribe.block(DurationMs::from_hours(24), &[]);
    let document = deploy("2", &[&["acme-south"]]);
    let plan = scribe.world.state.plan(&document).unwrap();
    let sequence = scribe.world.state.next_sequence(&member("acme/author"), Role::Author);
    let proposal =
        ProposalId::derive(scribe.world.network(), &member("acme/author"), sequence, plan.document);
    scribe.run.proposal = proposal;
    let submit = Call::Submit { document, plan_hash: plan.hash() };
    scribe.block(SECOND, &[("acme/author", Role::Author, submit)]);
    let review = scribe.world.review_call(proposal, ReviewVerdict::Approve);
    scribe.block(SECOND, &[("birch/author", Role::Reviewer, review)]);
    let vote = |choice| scribe.world.vote_call(proposal, choice);
    let ballots =
        [("acme/author", Choice::Against), ("birch/author", Choice::For), ("cedar/author", Choice::For)];
    let ballots = ballots.map(|(voter, choice)| (voter, Role::Voter, vote(choice)));
    scribe.block(SECOND, &ballots);
    // The proposal before it ends on the way.
    while scribe.world.state.orders().is_empty() {
        scribe.deadline();
    }
    scribe.block(SECOND, &[("acme/executor", Role::Executor, Call::Claim { proposal, step: 0 })]);
    scribe.run.stage = scribe.world.state.proposal(proposal).unwrap().stage;
    scribe.run
}

/// From submission to the block with other rules.
fn amended() -> Run {
    let rules = World::new(4).next_rules(|rules| rules.vetoes_per_guardian = 9);
    let mut scribe = begin(&amend(rules));
    let proposal = scribe.run.proposal;
    scribe.decide(&["birch/author", "cedar/author", "delta/author"]);
    let known = scribe.world.state.proposal(proposal).unwrap();
    let cosign = Call::Cosign { proposal, revision: known.revision, plan_hash: known.plan_hash };
    let guardians = ["birch/guardian", "cedar/guardian"];
    scribe.block(SECOND, &guardians.map(|guardian| (guardian, Role::Guardian, cosign.clone())));
    scribe.deadline();
    assert_eq!(scribe.world.state.constitution().version, 2);
    let height = scribe.world.state.height();
    scribe.run.ended.insert(proposal, Ended { stage: Stage::Executed, height, since: None });
    scribe.run
}

/// An end whose block nobody asks for.
const fn at_once(stage: Stage) -> Ended {
    Ended { stage, height: Height::ZERO, since: None }
}

/// The invariants that do not hold after a falsehood.
fn broken(falsify: impl FnOnce(&mut Run)) -> Vec<Invariant> {
    broken_of(run(), falsify)
}

fn broken_of(mut run: Run, falsify: impl FnOnce(&mut Run)) -> Vec<Invariant> {
    falsify(&mut run);
    let findings = judge(&Evidence {
        genesis: &run.genesis,
        blocks: &run.blocks,
        final_us: &run.final_us,
        effects: &run.effects,
        disturbed: &run.disturbed,
        key_uses: Some(&run.key_uses),
        ended: &run.ended,
        acknowledged: &run.acknowledged,
        told: Some(&run.told),
    });
    let mut invariants: Vec<_> = findings.into_iter().map(|finding| finding.invariant).collect();
    invariants.dedup();
    invariants
}

#[test]
fn a_sound_run_has_no_finding() {
    assert_eq!(broken(|_| ()), []);
    assert_eq!(broken_of(amended(), |_| ()), []);
    assert_eq!(broken_of(lent(), |_| ()), []);
}

#[test]
fn a_vote_that_only_a_voice_that_was_lent_has_passed_is_none_without_it() {
    let unheard = broken_of(lent(), |run| drop(run.blocks.remove(1)));
    assert!(unheard.contains(&Invariant::Approval), "{unheard:?}");
}

#[test]
fn rules_that_no_decision_explains_are_found() {
    assert_eq!(broken_of(amended(), |run| run.ended.clear()), [Invariant::Approval]);
    let early = |run: &mut Run| {
        // The block with the new rules, without the time that the decision had to wait before it.
        let last = run.blocks.pop().unwrap();
        run.blocks.truncate(2);
        run.blocks.push(last);
    };
    assert!(broken_of(amended(), early).contains(&Invariant::Approval));
}

#[test]
fn an_effect_that_happens_twice_or_under_an_old_fence_is_found() {
    let twice = broken(|run| run.effects.push(run.effects[0].clone()));
    assert_eq!(twice, [Invariant::Effects]);
    let remade = |changed: bool| {
        broken(|run| {
            run.disturbed.extend([target("acme-north")]);
            run.effects.push(EffectEntry { changed, ..run.effects[0].clone() });
        })
    };
    assert_eq!(remade(true), [], "somebody had taken it away");
    assert_eq!(remade(false), [Invariant::Effects]);
    let old = broken(|run| {
        let mut late = run.effects[0].clone();
        (late.fence, late.undo) = (Fence::ZERO, true);
        late.idempotency_key = effects::key_of(&run.proposal, 0, true);
        run.effects.push(late);
    });
    assert_eq!(old, [Invariant::Effects]);
}

#[test]
fn an_effect_after_a_receipt_of_a_newer_claim_is_found() {
    let late = broken(|run| {
        let at_us = run.final_us.last_key_value().unwrap().1 + 1;
        let fence = Fence::new(run.effects[0].fence.get() - 1);
        let other = ProposalId::from_digest(Digest::of_artefact(b"other"));
        let idempotency_key = effects::key_of(&other, 0, false);
        // First in the log, so that its fences do not fall.
        run.effects.insert(0, EffectEntry { at_us, idempotency_key, fence, ..run.effects[0].clone() });
    });
    assert!(late.contains(&Invariant::Effects), "{late:?}");
}

#[test]
fn a_receipt_without_an_effect_is_found_unless_the_target_was_so_before() {
    assert_eq!(broken(|run| run.effects.clear()), [Invariant::Effects]);
    let earlier = broken(|run| {
        let key = effects::key_of(&ProposalId::from_digest(Digest::of_artefact(b"earlier")), 0, false);
        run.effects[0].idempotency_key = key;
    });
    assert_eq!(earlier, [Invariant::Approval], "only that nobody approved the earlier one");
}

/// A step that was claimed and never carried out is reported undone.
#[test]
fn a_rollback_that_finds_nothing_to_undo_is_none() {
    for stage in [Stage::RollingBack, Stage::RolledBack] {
        let nothing = broken(|run| {
            run.effects.clear();
            run.ended.extend([(run.proposal, at_once(stage))]);
        });
        assert_eq!(nothing, []);
    }
}

#[test]
fn an_effect_that_stays_after_a_rollback_is_found() {
    let stays = broken(|run| run.ended.extend([(run.proposal, at_once(Stage::RolledBack))]));
    assert_eq!(stays, [Invariant::Effects]);
}

#[test]
fn an_effect_before_its_claim_or_of_another_action_is_found() {
    assert_eq!(broken(|run| run.effects[0].at_us = 0), [Invariant::Approval]);
    let other = broken(|run| {
        run.effects[0].action = Action::Remove { resource: althing_contracts::testing::name("web") };
    });
    assert_eq!(other, [Invariant::Approval]);
    assert_eq!(broken(|run| run.effects[0].target = target("acme-south")), [Invariant::Approval]);
}

#[test]
fn an_effect_before_the_time_of_the_constitution_is_found() {
    let hasty = broken(|run| {
        for track in run.genesis.constitution.tracks.values_mut() {
            track.timelock = DurationMs::from_hours(1_000);
        }
    });
    // Another constitution is another network, so that nothing in the blocks is of it.
    assert!(hasty.contains(&Invariant::Chain), "{hasty:?}");
}

#[test]
fn a_vote_that_passed_and_was_voted_down_is_found() {
    let denied = broken(|run| {
        run.ended.extend([(run.proposal, at_once(Stage::Defeated))]);
    });
    assert_eq!(denied, [Invariant::Approval]);
}

#[test]
fn an_acknowledged_transaction_that_is_nowhere_is_found() {
    let lost = broken(|run| run.acknowledged.extend([Digest::of_artefact(b"lost")]));
    assert_eq!(lost, [Invariant::Ballots]);
}

#[test]
fn a_block_that_is_taken_out_or_badly_certified_is_found() {
    let gap = broken(|run| drop(run.blocks.remove(3)));
    assert!(gap.contains(&Invariant::Chain), "{gap:?}");
    let weak = broken(|run| {
        let certificate = &mut run.blocks[1].certificate;
        while certificate.precommits.len() > 2 {
            certificate.precommits.pop_last();
        }
    });
    assert_eq!(weak, [Invariant::Chain]);
    let forged = broken(|run| {
        let other = run.blocks[2].certificate.precommits.clone();
        run.blocks[1].certificate.precommits = other;
    });
    assert_eq!(forged, [Invariant::Chain]);
}

#[test]
fn a_signature_without_a_use_is_found() {
    assert_eq!(broken(|run| drop(run.key_uses.pop())), [Invariant::Keys]);
    let again = broken(|run| run.key_uses.push(run.key_uses[0].clone()));
    assert_eq!(again, [], "the same signature made again is one");
}

#[test]
fn an_answer_that_shows_what_was_before_its_height_is_found() {
    let shown = |is_sound: bool| {
        broken(|run| {
            let stage = if is_sound { run.stage } else { Stage::Queued };
            let call = run.told.asked(Caller { circle: 0, node: 0 });
            let (height, revision) = (*run.final_us.last_key_value().unwrap().0, Revision::new(1));
            run.told.answered(call, height, Told::Shown(run.proposal, Some(Status { stage, revision })));
        })
    };
    assert_eq!(shown(true), []);
    assert_eq!(shown(false), [Invariant::Status]);
}

#[test]
fn what_is_no_block_is_found() {
    let garbage = broken(|run| run.blocks[0].block = vec![7; 9]);
    assert!(garbage.contains(&Invariant::Chain), "{garbage:?}");
    assert!(Block::decode(&[7; 9]).is_err());
}
