//! Owns the model of a decision: reviews, ballots, edits, withdrawal, veto, a rival change and the passing of time,
//! in every order in which blocks can take them.

use std::sync::Arc;

use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    genesis::Tier,
    quantity::{DurationMs, TimeMs, Weight},
    role::Role,
    stage::Stage,
    testing::{World, deploy, genesis, line, member},
    transaction::{Call, Choice, ProposalId, ReviewVerdict, StepOutcome},
};
use stateright::{Model, Property};

use super::{
    Outcome, Scope,
    ledger::{Beginning, Ledger},
    notary::Notary,
    report::MOVES_MAX,
};

/// The decision of one proposal.
struct Decision {
    notary: Notary,
    initial: Ledger,
    id: ProposalId,
    rival: ProposalId,
    edited: ProposalDocument,
    reach: Reach,
}

/// Who takes part, in whose name anything may be said.
#[derive(Clone, Copy)]
struct Reach {
    reviewers: &'static [&'static str],
    voters: &'static [&'static str],
    choices: &'static [Choice],
    /// The author may edit once, and a rival change may take effect.
    disturbed: bool,
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    Review(&'static str, ReviewVerdict),
    Vote(&'static str, Choice),
    Revise,
    Cancel,
    Veto(&'static str),
    /// A rival change of the same target takes effect.
    RivalActs,
    /// Nothing happens until something falls due, or a ballot becomes late.
    Pass,
}

const MAJORITY: Reach = Reach {
    reviewers: &["birch/author", "cedar/author"],
    voters: &["acme/author", "birch/author", "cedar/author", "delta/author"],
    choices: &[Choice::For, Choice::Against, Choice::Abstain],
    disturbed: true,
};

pub(super) fn explore(scope: Scope, threads: usize, tell: &mut dyn FnMut(Outcome)) {
    let majority = match scope {
        Scope::Full => MAJORITY,
        Scope::Short => Reach {
            voters: &["acme/author", "birch/author", "cedar/author"],
            choices: &[Choice::For, Choice::Against],
            ..MAJORITY
        },
    };
    let optimistic = Reach { reviewers: &[], choices: &[Choice::For, Choice::Against], ..majority };
    tell(Outcome::of("decision by majority", Decision::new(majority, false), threads, MOVES_MAX));
    tell(Outcome::of("decision without objection", Decision::new(optimistic, true), threads, MOVES_MAX));
}

impl Decision {
    fn new(reach: Reach, routine: bool) -> Self {
        let mut genesis = genesis(4);
        genesis.constitution = genesis.constitution.divided(3_600);
        if routine {
            genesis.targets.values_mut().for_each(|target| target.tier = Tier::Low);
        }
        genesis.constitution.vetoes_per_guardian = 1;
        let mut beginning = Beginning::new(World::with(genesis));
        let rival = queue_rival(&mut beginning);
        let id = submit(&mut beginning, "acme/author", deploy("2", &[&["acme-north"]]));
        let (initial, notary) = beginning.into_parts();
        Self { notary, initial, id, rival, edited: deploy("3", &[&["acme-north"]]), reach }
    }

    fn call(&self, ledger: &Ledger, sender: &str, role: Role, call: Call) -> Option<Ledger> {
        let transaction = self.notary.sign(&ledger.state, sender, role, call);
        ledger.block(ledger.soon(), Some(&transaction)).taken()
    }

    /// The next instant at which anything changes by itself.
    fn next_instant(&self, ledger: &Ledger) -> Option<TimeMs> {
        let proposal = ledger.proposal(self.id);
        let due = ledger.state.next_deadline()?;
        let window = proposal.parameters.late_window;
        let late = TimeMs::new(proposal.vote.closes.get().saturating_sub(window.get()));
        let becomes_late = proposal.stage == Stage::Voting && late > ledger.state.time() && late < due;
        Some(if becomes_late { late } else { due.max(ledger.soon()) })
    }

    fn revise(&self, ledger: &Ledger) -> Option<Ledger> {
        let plan_hash = ledger.state.plan(&self.edited).ok()?.hash();
        let (proposal, replaces) = (self.id, ledger.proposal(self.id).revision);
        let call = Call::Revise { proposal, replaces, document: self.edited.clone(), plan_hash };
        self.call(ledger, "acme/author", Role::Author, call)
    }
}

/// A rival change of the same target, whose step is claimed and about to take effect.
fn queue_rival(beginning: &mut Beginning) -> ProposalId {
    let rival = submit(beginning, "birch/author", deploy("9", &[&["acme-north"]]));
    decide(beginning, rival);
    beginning.call("acme/executor", Role::Executor, Call::Claim { proposal: rival, step: 0 });
    rival
}

pub(super) fn submit(beginning: &mut Beginning, author: &str, document: ProposalDocument) -> ProposalId {
    let state = &beginning.ledger.state;
    let plan = state.plan(&document).expect("the document is sound");
    let sequence = state.next_sequence(&member(author), Role::Author);
    let id = ProposalId::derive(state.network(), &member(author), sequence, plan.document);
    beginning.call(author, Role::Author, Call::Submit { document, plan_hash: plan.hash() });
    id
}

/// Brings a submitted proposal through its timelock.
pub(super) fn decide(beginning: &mut Beginning, id: ProposalId) {
    approve(beginning, id);
    for _ in 0..3 {
        beginning.pass_to_deadline();
    }
}

/// Signs a proposal off and votes for it.
pub(super) fn approve(beginning: &mut Beginning, id: ProposalId) {
    let edition = |beginning: &Beginning| {
        let proposal = beginning.ledger.proposal(id);
        (proposal.revision, proposal.plan_hash)
    };
    let (revision, plan_hash) = edition(beginning);
    if beginning.ledger.stage(id) == Stage::Review {
        let (verdict, reason) = (ReviewVerdict::Approve, line(""));
        let call = Call::Review { proposal: id, revision, plan_hash, verdict, reason };
        beginning.call("cedar/author", Role::Reviewer, call);
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        let call = Call::Vote { proposal: id, revision, plan_hash, choice: Choice::For };
        beginning.call(voter, Role::Voter, call);
    }
}

impl Model for Decision {
    type State = Arc<Ledger>;
    type Action = Move;

    fn init_states(&self) -> Vec<Self::State> {
        vec![Arc::new(self.initial.clone())]
    }

    fn actions(&self, ledger: &Self::State, moves: &mut Vec<Move>) {
        let stage = ledger.stage(self.id);
        if stage.is_terminal() || ledger.proposal(self.id).execution.steps[0].claim.is_some() {
            return;
        }
        let Reach { reviewers, voters, choices, disturbed } = self.reach;
        if stage == Stage::Review {
            for verdict in [ReviewVerdict::Approve, ReviewVerdict::Refuse] {
                moves.extend(reviewers.iter().map(|reviewer| Move::Review(reviewer, verdict)));
            }
        }
        if matches!(stage, Stage::Voting | Stage::Confirming) {
            moves.extend(
                voters.iter().flat_map(|voter| choices.iter().map(|choice| Move::Vote(voter, *choice))),
            );
        }
        if disturbed {
            moves.extend([Move::Revise, Move::RivalActs]);
        }
        moves.extend([Move::Cancel, Move::Veto("birch/guardian"), Move::Pass]);
    }

    fn next_state(&self, ledger: &Self::State, action: Move) -> Option<Self::State> {
        let (id, proposal) = (self.id, ledger.proposal(self.id));
        let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
        let next = match action {
            Move::Review(reviewer, verdict) => {
                let call = Call::Review { proposal: id, revision, plan_hash, verdict, reason: line("") };
                self.call(ledger, reviewer, Role::Reviewer, call)
            }
            Move::Vote(voter, choice) => {
                let call = Call::Vote { proposal: id, revision, plan_hash, choice };
                self.call(ledger, voter, Role::Voter, call)
            }
            Move::Revise if revision.get() > 1 => None,
            Move::Revise => self.revise(ledger),
            Move::Cancel => {
                let call = Call::Cancel { proposal: id, reason: line("") };
                self.call(ledger, "acme/author", Role::Author, call)
            }
            Move::Veto(guardian) => {
                let call = Call::Veto { proposal: id, reason: line("no") };
                self.call(ledger, guardian, Role::Guardian, call)
            }
            Move::RivalActs => {
                let claim = ledger.proposal(self.rival).execution.steps[0].claim.as_ref()?;
                let (proposal, fence, outcome) = (self.rival, claim.fence, StepOutcome::Done);
                let receipt = Call::Receipt { proposal, step: 0, fence, outcome, evidence: Digest::ZERO };
                self.call(ledger, "acme/executor", Role::Executor, receipt)
            }
            Move::Pass => {
                let at = self.next_instant(ledger)?;
                ledger.block(at, None).taken()
            }
        };
        next.map(Arc::new)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("every event is a move that the model allows", |_, ledger: &Arc<Ledger>| {
                ledger.deviation.is_none()
            }),
            Property::always(
                "counted weight is within the snapshot",
                |model: &Self, ledger: &Arc<Ledger>| {
                    let proposal = ledger.proposal(model.id);
                    let tally = proposal.count();
                    let counted = [tally.weight_for, tally.weight_against, tally.weight_abstain];
                    let sum: u64 = counted.into_iter().map(Weight::get).sum();
                    let cast =
                        proposal.vote.ballots.keys().map(|voter| proposal.electorate.weights[voter].get());
                    sum <= proposal.electorate.total.get() && sum <= cast.sum()
                },
            ),
            Property::always(
                "a decision is queued only while its count passes",
                |model: &Self, ledger: &Arc<Ledger>| {
                    ledger.stage(model.id) != Stage::Queued || ledger.proposal(model.id).count().passes
                },
            ),
            Property::always(
                "no vote lasts longer than twice its period",
                |model: &Self, ledger: &Arc<Ledger>| {
                    let proposal = ledger.proposal(model.id);
                    let longest = DurationMs::new(proposal.parameters.voting.get() * 2);
                    proposal.vote.closes <= proposal.vote.opened.after(longest)
                },
            ),
            Property::eventually("it ends", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id).is_terminal()
            }),
            Property::sometimes("its timelock ends", |model: &Self, ledger: &Arc<Ledger>| {
                let proposal = ledger.proposal(model.id);
                proposal.stage == Stage::Queued && proposal.eta.is_some_and(|eta| eta <= ledger.state.time())
            }),
            Property::sometimes("a vote is extended", |model: &Self, ledger: &Arc<Ledger>| {
                let proposal = ledger.proposal(model.id);
                proposal.vote.closes > proposal.vote.opened.after(proposal.parameters.voting)
            }),
            Property::sometimes("it is defeated", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Defeated
            }),
            Property::sometimes("it is vetoed", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Vetoed
            }),
            Property::sometimes("it is withdrawn", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Cancelled
            }),
            Property::sometimes("it expires", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Expired
            }),
        ];
        if self.reach.disturbed {
            properties.push(Property::sometimes("it is overtaken", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Superseded
            }));
        }
        if self.reach.reviewers.is_empty() {
            properties.push(Property::sometimes(
                "an unseen vote becomes a full one",
                |model: &Self, ledger: &Arc<Ledger>| ledger.proposal(model.id).vote.promoted,
            ));
        } else {
            properties.push(Property::sometimes("it is refused", |model: &Self, ledger: &Arc<Ledger>| {
                ledger.stage(model.id) == Stage::Rejected
            }));
        }
        properties
    }
}
