//! Owns the verdict over what clients were told of proposals. Clients of one circle carry the highest height that any of
//! them was shown: what they are told has to be linearizable. Who is alone in a circle has to see each proposal move on.
//!
//! The object is the ledger as a register that moves from height to height, and every answer names the height that it
//! shows. So the order in which calls took effect is known, and judging takes one pass: an answer shows what the ledger
//! held at its height, no height that the ledger had not reached, and none below an answer that had come to its circle
//! before the call was made. Nothing else is needed: calls in the order of their heights, each height before the calls
//! that show it, are then a sequential run that keeps the order of real time. The tests compare this judge with a
//! search through every order (stateright's `LinearizabilityTester`).

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use althing_contracts::{
    event::Event,
    proposal::Proposal,
    quantity::{Height, Revision},
    stage::Stage,
    state::State,
    transaction::{ProposalId, TransactionId},
};

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its stage.
    pub stage: Stage,
    /// Its edition.
    pub revision: Revision,
}

/// Who calls, and whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Clients of one circle tell each other how high their answers were.
    pub circle: usize,
    /// The node that is called.
    pub node: usize,
}

/// Number of a call in its history.
pub type CallId = usize;

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A proposal stands so, or there is none.
    Shown(ProposalId, Option<Status>),
    /// A transaction is final in this block, or had been final before it; `None` when others judge which one.
    Done(Option<TransactionId>),
}

/// Something that happened, in the order of real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Reached(Height),
    Asked(Caller),
    Answered(CallId, Height, Told),
}

/// What clients asked and were told, and what the ledger held. A call without an answer says nothing: its outcome is
/// unknown, and whatever it wanted may be on the ledger or not.
#[derive(Debug, Default)]
pub struct History {
    marks: Vec<Mark>,
    calls: usize,
    answers: usize,
    top: Height,
    /// What the ledger may have reached before anybody asked.
    base: Height,
    ledger: Ledger,
}

/// A change of a proposal's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// This edition was received.
    Edition(Revision),
    /// It moved to this stage.
    Stage(Stage),
}

/// What the ledger did at each height.
#[derive(Debug, Default)]
struct Ledger {
    /// By block, in the order of its events.
    blocks: BTreeMap<Height, Vec<(ProposalId, Change)>>,
    transactions: BTreeMap<TransactionId, Height>,
    /// Every proposal at heights of which, perhaps, only the state is known.
    states: BTreeMap<Height, Vec<(ProposalId, Status)>>,
}

/// Each proposal's status from a height on.
type Moves = BTreeMap<ProposalId, BTreeMap<Height, Status>>;

impl History {
    /// The ledger reaches a height: from here on it may be shown.
    pub fn reached(&mut self, height: Height) {
        if height > self.top {
            self.top = height;
            self.marks.push(Mark::Reached(height));
        }
    }

    /// For a ledger of which nobody knows when it reached which height: this one, at the latest before anybody asked.
    pub fn reached_before(&mut self, height: Height) {
        self.base = self.base.max(height);
    }

    /// What a block changed, and which transactions it holds; blocks that are known are passed over.
    pub fn held(
        &mut self,
        height: Height,
        changes: impl IntoIterator<Item = (ProposalId, Change)>,
        transactions: impl IntoIterator<Item = TransactionId>,
    ) {
        if let Entry::Vacant(unknown) = self.ledger.blocks.entry(height) {
            unknown.insert(changes.into_iter().collect());
            self.ledger.transactions.extend(transactions.into_iter().map(|id| (id, height)));
        }
    }

    /// What a state holds: a node may have stopped between deciding a block and telling anybody, and nobody else may.
    pub fn stands(&mut self, state: &State) {
        let status = |it: &Proposal| (it.id, Status { stage: it.stage, revision: it.revision });
        if !self.ledger.blocks.contains_key(&state.height()) {
            self.ledger.states.insert(state.height(), state.proposals().map(status).collect());
        }
    }

    /// Somebody calls a node.
    pub fn asked(&mut self, caller: Caller) -> CallId {
        self.marks.push(Mark::Asked(caller));
        self.calls += 1;
        self.calls - 1
    }

    /// The answer to a call: the height that it names, and what it says.
    pub fn answered(&mut self, call: CallId, height: Height, told: Told) {
        self.marks.push(Mark::Answered(call, height, told));
        self.answers += 1;
    }

    /// The highest height that the ledger has reached.
    #[must_use]
    pub const fn top(&self) -> Height {
        self.top
    }

    /// Calls, and how many of them were answered.
    #[must_use]
    pub const fn counts(&self) -> (usize, usize) {
        (self.calls, self.answers)
    }

    /// What does not hold, in words; nothing when clients saw what they were promised.
    #[must_use]
    pub fn judge(&self) -> Vec<String> {
        let mut judge = Judge::new(&self.ledger, self.base);
        self.marks.iter().for_each(|mark| judge.take(*mark));
        judge.findings
    }
}

impl Change {
    /// What an event changes, if it is a proposal's status.
    #[must_use]
    pub const fn of(event: &Event) -> Option<(ProposalId, Self)> {
        match event {
            Event::Submitted { proposal, revision, .. } => Some((*proposal, Self::Edition(*revision))),
            Event::StageChanged { proposal, to, .. } => Some((*proposal, Self::Stage(*to))),
            _ => None,
        }
    }

    fn after(self, before: Option<Status>) -> Status {
        match self {
            Self::Edition(revision) => Status { stage: Stage::Submitted, revision },
            Self::Stage(stage) => {
                Status { stage, revision: before.map_or(Revision::new(1), |before| before.revision) }
            }
        }
    }
}

impl Ledger {
    /// A block says more than a state; of a height whose block is not known the state says all.
    fn moves(&self) -> Moves {
        let mut moves = Moves::new();
        let heights: BTreeSet<_> = self.blocks.keys().chain(self.states.keys()).copied().collect();
        for height in heights {
            if let Some(changes) = self.blocks.get(&height) {
                for (id, change) in changes {
                    let proposal = moves.entry(*id).or_default();
                    let before = proposal.last_key_value().map(|(_, status)| *status);
                    proposal.insert(height, change.after(before));
                }
            } else {
                for (id, status) in self.states.get(&height).into_iter().flatten() {
                    moves.entry(*id).or_default().insert(height, *status);
                }
            }
        }
        moves
    }

    /// Whether a transaction is known not to be in any block up to this height.
    fn lacks(&self, transaction: TransactionId, height: Height) -> bool {
        match self.transactions.get(&transaction) {
            Some(at) => *at > height,
            None => self.blocks.range(..=height).count() as u64 == height.get(),
        }
    }
}

/// One pass over the marks.
struct Judge<'a> {
    ledger: &'a Ledger,
    moves: Moves,
    top: Height,
    /// The highest answer of each circle.
    circles: BTreeMap<usize, Height>,
    /// Each call, with the highest answer of its circle when it was made.
    calls: Vec<(Caller, Height)>,
    findings: Vec<String>,
}

impl<'a> Judge<'a> {
    fn new(ledger: &'a Ledger, top: Height) -> Self {
        Self {
            ledger,
            moves: ledger.moves(),
            top,
            circles: BTreeMap::new(),
            calls: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn take(&mut self, mark: Mark) {
        match mark {
            Mark::Reached(height) => self.top = self.top.max(height),
            Mark::Asked(caller) => {
                let before = self.circles.get(&caller.circle).copied().unwrap_or_default();
                self.calls.push((caller, before));
            }
            Mark::Answered(call, height, told) => self.answer(call, height, told),
        }
    }

    fn answer(&mut self, call: CallId, height: Height, told: Told) {
        let Some((caller, before)) = self.calls.get(call).copied() else { return };
        let wrong = if height > self.top {
            Some(format!("the ledger had only reached {}", self.top))
        } else {
            match told {
                Told::Done(Some(id)) if self.ledger.lacks(id, height) => {
                    Some(format!("no block up to there holds {id}, which it calls final"))
                }
                Told::Done(_) => None,
                Told::Shown(..) if height < before => {
                    Some(format!("its circle had been shown {before} before it asked"))
                }
                Told::Shown(id, status) => self.mismatch(id, height, status),
            }
        };
        if let Some(wrong) = wrong {
            let Caller { circle, node } = caller;
            let what =
                format!("call {call} of circle {circle} was shown height {height} by node {node}: {wrong}");
            self.findings.push(what);
        }
        let highest = self.circles.entry(caller.circle).or_default();
        *highest = height.max(*highest);
    }

    fn mismatch(&self, id: ProposalId, height: Height, status: Option<Status>) -> Option<String> {
        let moves = self.moves.get(&id);
        let held = moves.and_then(|moves| moves.range(..=height).next_back()).map(|(_, status)| *status);
        let words = |status: Option<Status>| {
            status.map_or_else(|| "none".to_owned(), |it| format!("{}, revision {}", it.stage, it.revision))
        };
        (held != status).then(|| {
            let (shown, held) = (words(status), words(held));
            format!("{} is {shown} in the answer, and {held} on the ledger", id.digest().short())
        })
    }
}

#[cfg(test)]
mod tests;
