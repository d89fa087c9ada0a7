//! Owns the plan: the dry run of a document against the ledger's record of what is applied where.
//!
//! A plan leaves an executor nothing to choose: each step names its target, its action, the state it expects
//! to find and the action that undoes it. Its hash is what reviewers and voters sign.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::PlannedAct,
    digest::{Digest, Purpose},
    document::Action,
    name::{OrgId, TargetId},
};

/// The dry run of one document.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Plan {
    /// Digest of the document that it was made from.
    pub document: Digest,
    /// Steps in the document's order.
    pub steps: Vec<PlannedStep>,
    /// Acts in the document's order.
    pub acts: Vec<PlannedAct>,
}

/// One step, fully decided.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Index of the stage that it belongs to; 0 is the canary.
    pub stage: u8,
    /// Where.
    pub target: TargetId,
    /// Who owns the target, and so whose executors carry the step out.
    pub owner: OrgId,
    /// What.
    pub action: Action,
    /// What the ledger says is applied to the resource now; the executor refuses when the target differs.
    pub before: Option<Action>,
    /// What undoes the step.
    pub undo: Action,
}

impl Plan {
    /// The plan hash: binds the document, every step, every precondition and undo, and what every act replaces.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_object(Purpose::Plan, self)
    }
}
