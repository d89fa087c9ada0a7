//! Owns the ledger of a model's state: the real one, named by its authenticated root, with its events followed.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use althing_contracts::{
    digest::Digest,
    event::{Event, EventRecord},
    proposal::Proposal,
    quantity::{DurationMs, TimeMs},
    stage::Stage,
    state::{Applied, Input, State},
    transaction::{ProposalId, VerifiedTransaction},
};

use super::trace::Trace;

/// A ledger in the model.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) state: State,
    root: Digest,
    trace: Arc<Trace>,
    /// The first event that the model does not allow.
    pub(super) deviation: Option<Arc<str>>,
}

/// What a ledger makes of a transaction; an honest proposer leaves out what is not taken.
pub(super) enum Answer {
    /// It is in the next block, and caused this.
    Taken(Box<Ledger>, Vec<Event>),
    /// It had taken effect before.
    Same,
    /// The rules refuse it.
    Refused,
}

/// Equal roots are equal ledgers, events included: the root counts them and commits to what they did.
impl Hash for Ledger {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.root.as_bytes().hash(hasher);
        self.trace.hash(hasher);
        self.deviation.hash(hasher);
    }
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        (self.root, &self.trace, &self.deviation) == (other.root, &other.trace, &other.deviation)
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stages: Vec<String> = self.state.proposals().map(|proposal| proposal.stage.to_string()).collect();
        let (height, time) = (self.state.height(), self.state.time());
        write!(f, "height {height}, time {time}: {} {:?}", stages.join(", "), self.deviation)
    }
}

impl Ledger {
    /// A ledger whose events so far are `told`.
    pub(super) fn new(mut state: State, told: Trace) -> Self {
        let root = state.root();
        Self { state, root, trace: Arc::new(told), deviation: None }
    }

    /// The next block, at `time`, with one transaction or none.
    pub(super) fn block(&self, time: TimeMs, transaction: Option<&VerifiedTransaction>) -> Answer {
        let mut state = self.state.clone();
        let begin = Input::Begin { height: state.height().next(), time, parent: state.network() };
        let Ok(Applied::New(fell_due)) = state.apply(begin) else { return Answer::Refused };
        let caused = match transaction.map(|transaction| state.apply(Input::Transaction(transaction))) {
            None => Vec::new(),
            Some(Ok(Applied::New(caused))) => caused,
            Some(Ok(Applied::Same)) => return Answer::Same,
            Some(Err(_)) => return Answer::Refused,
        };
        let root = state.root();
        let mut next =
            Self { root, trace: Arc::clone(&self.trace), deviation: self.deviation.clone(), state };
        next.follow(self.state.event_sequence(), fell_due.iter().chain(&caused));
        Answer::Taken(Box::new(next), caused)
    }

    /// The earliest time of the next block.
    pub(super) fn soon(&self) -> TimeMs {
        self.state.time().after(DurationMs::new(1))
    }

    pub(super) fn proposal(&self, id: ProposalId) -> &Proposal {
        self.state.proposal(id).expect("the model begins with it")
    }

    pub(super) fn stage(&self, id: ProposalId) -> Stage {
        self.proposal(id).stage
    }

    fn follow<'a>(
        &mut self,
        last: althing_contracts::quantity::EventSequence,
        events: impl Iterator<Item = &'a Event>,
    ) {
        let (height, time) = (self.state.height(), self.state.time());
        let mut sequence = last;
        for event in events {
            sequence = sequence.next();
            let record = EventRecord { sequence, height, time, event: event.clone() };
            if let Err(deviation) = Arc::make_mut(&mut self.trace).take(&record) {
                self.deviation.get_or_insert_with(|| deviation.to_string().into());
            }
        }
        for proposal in self.state.proposals() {
            if self.trace.stage(proposal.id).is_some_and(|told| told != proposal.stage) {
                self.deviation.get_or_insert_with(|| "the ledger stands where no event says".into());
            }
        }
    }
}

impl Answer {
    pub(super) fn taken(self) -> Option<Ledger> {
        match self {
            Self::Taken(next, _) => Some(*next),
            Self::Same | Self::Refused => None,
        }
    }
}

/// A world whose every event is followed, so that the model may begin in the middle of a life.
pub(super) struct Beginning {
    pub(super) ledger: Ledger,
    notary: super::notary::Notary,
}

impl Beginning {
    pub(super) fn new(world: althing_contracts::testing::World) -> Self {
        let told = Trace::new(world.state.constitution());
        Self { ledger: Ledger::new(world.state.clone(), told), notary: super::notary::Notary::new(world) }
    }

    /// Makes a block of a call that the rules take.
    pub(super) fn call(
        &mut self,
        sender: &str,
        role: althing_contracts::role::Role,
        call: althing_contracts::transaction::Call,
    ) {
        let transaction = self.notary.sign(&self.ledger.state, sender, role, call);
        let next = self.ledger.block(self.ledger.soon(), Some(&transaction));
        self.ledger = next.taken().expect("the rules take it");
    }

    /// Makes an empty block at the next deadline.
    pub(super) fn pass_to_deadline(&mut self) {
        let due = self.ledger.state.next_deadline().expect("something is due");
        let next = self.ledger.block(due.max(self.ledger.soon()), None);
        self.ledger = next.taken().expect("a block can begin");
    }

    pub(super) fn into_parts(self) -> (Ledger, super::notary::Notary) {
        (self.ledger, self.notary)
    }
}
