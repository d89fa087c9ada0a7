//! Owns the execution of a block: the same code for proposer, validator, sync and auditor.
//!
//! A block holds only transactions that take effect: one that is refused, or that had taken effect before,
//! makes the block invalid.

use crate::{
    block::{BLOCK_TRANSACTIONS_MAX, Header, PROTOCOL_VERSION},
    digest::{Digest, Purpose, merkle_root},
    event::Event,
    quantity::{Height, Round, TimeMs},
    reject::Reject,
    signature::PublicKey,
    state::{Applied, Input, State},
    transaction::{TransactionId, VerifiedTransaction},
};

/// What a block says about itself before its content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockContext {
    /// Position in the ledger.
    pub height: Height,
    /// Round in which the block is proposed.
    pub round: Round,
    /// The proposer's clock.
    pub time: TimeMs,
    /// Digest of the block before.
    pub parent: Digest,
    /// Consensus key of the proposer.
    pub proposer: PublicKey,
}

/// A block's effect.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The state after the block.
    pub state: State,
    /// Everything that happened, timers first.
    pub events: Vec<Event>,
    /// Each transaction with what it caused.
    pub outcomes: Vec<(TransactionId, Vec<Event>)>,
    /// The header that commits to all of it.
    pub header: Header,
}

/// Why a block is not one of this ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBlock {
    /// Its place or time does not follow.
    #[error("the block does not follow the last one")]
    Begin(#[source] Reject),
    /// Too many transactions.
    #[error("the block has {found} transactions, at most {BLOCK_TRANSACTIONS_MAX} are allowed")]
    TooMany {
        /// As given.
        found: usize,
    },
    /// The rules refuse one of its transactions.
    #[error("transaction {id} of the block is refused")]
    Refused {
        /// Which.
        id: TransactionId,
        /// Why.
        #[source]
        reject: Reject,
    },
    /// One of its transactions had taken effect before.
    #[error("transaction {id} of the block had taken effect before")]
    Repeated {
        /// Which.
        id: TransactionId,
    },
    /// A field of the header is not what execution yields.
    #[error("the header's {field} is not what executing the block yields")]
    Field {
        /// Which.
        field: &'static str,
    },
}

/// Builds a block from candidates in order, leaving out what does not take effect and what is too many.
///
/// A context that cannot follow `parent` yields a block that every validator refuses.
#[must_use]
pub fn build(parent: &State, context: BlockContext, candidates: &[VerifiedTransaction]) -> Executed {
    let mut run = Run::new(parent);
    // A context out of order leaves the state as it was; the header then fails at every validator.
    let _out_of_order = run.begin(context);
    for candidate in candidates {
        if run.outcomes.len() >= BLOCK_TRANSACTIONS_MAX {
            break;
        }
        // A candidate that is refused or repeated stays out; its sender learns why from the mempool's own check.
        let _left_out = run.take(candidate);
    }
    run.finish(context)
}

/// Executes a block that somebody else built.
///
/// # Errors
/// Names the first thing in the block that is not what these rules yield.
pub fn execute(
    parent: &State,
    header: &Header,
    transactions: &[VerifiedTransaction],
) -> Result<Executed, InvalidBlock> {
    if transactions.len() > BLOCK_TRANSACTIONS_MAX {
        return Err(InvalidBlock::TooMany { found: transactions.len() });
    }
    let Header { height, round, time, parent: before, proposer, .. } = *header;
    let context = BlockContext { height, round, time, parent: before, proposer };
    if parent.roster().by_consensus_key(proposer).is_none() {
        return Err(InvalidBlock::Field { field: "proposer" });
    }
    let mut run = Run::new(parent);
    run.begin(context).map_err(InvalidBlock::Begin)?;
    for transaction in transactions {
        let id = transaction.id();
        match run.take(transaction) {
            Ok(true) => {}
            Ok(false) => return Err(InvalidBlock::Repeated { id }),
            Err(reject) => return Err(InvalidBlock::Refused { id, reject }),
        }
    }
    let executed = run.finish(context);
    match first_difference(&executed.header, header) {
        None => Ok(executed),
        Some(field) => Err(InvalidBlock::Field { field }),
    }
}

/// The root over a block's events in order.
#[must_use]
pub fn events_root(events: &[Event]) -> Digest {
    let digests: Vec<Digest> = events.iter().map(|event| Digest::of_object(Purpose::Event, event)).collect();
    merkle_root(&digests)
}

#[cfg(test)]
mod tests;

struct Run {
    state: State,
    events: Vec<Event>,
    outcomes: Vec<(TransactionId, Vec<Event>)>,
}

impl Run {
    fn new(parent: &State) -> Self {
        Self { state: parent.clone(), events: Vec::new(), outcomes: Vec::new() }
    }

    fn begin(&mut self, context: BlockContext) -> Result<(), Reject> {
        let BlockContext { height, time, parent, .. } = context;
        self.apply(Input::Begin { height, time, parent }).map(drop)
    }

    /// Whether the transaction took effect.
    fn take(&mut self, transaction: &VerifiedTransaction) -> Result<bool, Reject> {
        let Some(events) = self.apply(Input::Transaction(transaction))? else { return Ok(false) };
        self.outcomes.push((transaction.id(), events));
        Ok(true)
    }

    /// What an input caused, if it took effect.
    fn apply(&mut self, input: Input<'_>) -> Result<Option<Vec<Event>>, Reject> {
        match self.state.apply(input)? {
            Applied::Same => Ok(None),
            Applied::New(events) => {
                self.events.extend(events.iter().cloned());
                Ok(Some(events))
            }
        }
    }

    fn finish(mut self, context: BlockContext) -> Executed {
        let ids: Vec<Digest> = self.outcomes.iter().map(|(id, _)| *id).collect();
        let header = Header {
            protocol: PROTOCOL_VERSION,
            network: self.state.network(),
            height: context.height,
            round: context.round,
            time: context.time,
            parent: context.parent,
            proposer: context.proposer,
            transactions_root: merkle_root(&ids),
            events_root: events_root(&self.events),
            state_root: self.state.root(),
            roster: self.state.roster().digest(),
            constitution: self.state.constitution().version,
        };
        Executed { state: self.state, events: self.events, outcomes: self.outcomes, header }
    }
}

fn first_difference(yielded: &Header, given: &Header) -> Option<&'static str> {
    let checks = [
        ("protocol", yielded.protocol == given.protocol),
        ("network", yielded.network == given.network),
        ("transactions_root", yielded.transactions_root == given.transactions_root),
        ("events_root", yielded.events_root == given.events_root),
        ("state_root", yielded.state_root == given.state_root),
        ("roster", yielded.roster == given.roster),
        ("constitution", yielded.constitution == given.constitution),
    ];
    checks.into_iter().find_map(|(field, same)| (!same).then_some(field))
}
