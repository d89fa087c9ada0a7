//! Owns the state of the ledger and the one door into its rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    certificate::Roster,
    constitution::Constitution,
    digest::Digest,
    document::{Action, ProposalDocument},
    event::Event,
    genesis::{Genesis, GenesisError, TargetRecord},
    name::{MemberId, Name, OrgId, TargetId},
    plan::Plan,
    proposal::{Order, Proposal},
    quantity::{EventSequence, Height, Sequence, TimeMs, Weight},
    reject::Reject,
    role::Role,
    signature::PublicKey,
    transaction::{ProposalId, VerifiedTransaction},
};

/// Everything the rules know: a value; a copy shares structure and costs next to nothing.
#[derive(Debug, Clone)]
pub struct State {
    _todo: (),
}

/// What asks the state to change.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A block begins: everything that fell due by its time happens first, in the order (deadline, id).
    Begin {
        /// The block's height.
        height: Height,
        /// The block's time.
        time: TimeMs,
    },
    /// A transaction of the block.
    Transaction(&'a VerifiedTransaction),
}

/// What an accepted input did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It took effect.
    New(Vec<Event>),
    /// It had taken effect before.
    Same,
}

/// A registered member.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Member {
    /// Voting weight.
    pub weight: Weight,
    /// One key for each role held.
    pub keys: BTreeMap<Role, PublicKey>,
    /// Last sequence used in each role.
    pub sequences: BTreeMap<Role, Sequence>,
    /// Vetoes used.
    pub vetoes: u16,
}

/// A governed target with what the ledger knows is applied to it.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Target {
    /// As registered.
    pub record: TargetRecord,
    /// The last action that took effect on each resource.
    pub applied: BTreeMap<Name, Action>,
    /// The proposal that acts on it.
    pub busy: Option<ProposalId>,
}
