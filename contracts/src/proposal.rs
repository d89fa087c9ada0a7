//! Owns the record of one proposal on the ledger: content, sign-offs, ballots, execution, audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    constitution::{Track, TrackParameters},
    digest::Digest,
    document::ProposalDocument,
    name::{MemberId, OrgId},
    plan::Plan,
    quantity::{Fence, Height, Revision, TimeMs, Weight},
    rules::Finding,
    stage::Stage,
    tally::TallyReport,
    transaction::{AuditVerdict, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome},
};

/// One proposal.
#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// Who opened it.
    pub author: MemberId,
    /// Which edition is current.
    pub revision: Revision,
    /// Height of the block that took the current revision.
    pub submitted_at: Height,
    /// The change.
    pub document: Arc<ProposalDocument>,
    /// What it does, step by step.
    pub plan: Arc<Plan>,
    /// The plan's hash, bound to reviews and ballots.
    pub plan_hash: Digest,
    /// Its class.
    pub track: Track,
    /// Thresholds and periods pinned at submission.
    pub parameters: Arc<TrackParameters>,
    /// Version of the constitution pinned at submission.
    pub constitution: u32,
    /// Who may vote with what weight: the members as of the height before submission.
    pub electorate: Arc<Electorate>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: TimeMs,
    /// When the ledger acts on it by itself, if it does.
    pub deadline: Option<TimeMs>,
    /// Broken hard rules; not empty exactly when the rules refused it.
    pub findings: Vec<Finding>,
    /// Sign-offs of the current revision.
    pub reviews: BTreeMap<MemberId, ReviewVerdict>,
    /// The vote of the current revision.
    pub vote: Vote,
    /// End of the timelock, once queued.
    pub eta: Option<TimeMs>,
    /// What executors did.
    pub execution: Execution,
    /// What auditors found.
    pub attestations: BTreeMap<MemberId, AuditVerdict>,
}

/// Who may vote on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Electorate {
    /// Weight of each voter after the cap for members.
    pub weights: BTreeMap<MemberId, Weight>,
    /// Organisations with at least one voter.
    pub organisations: BTreeSet<OrgId>,
    /// Sum of all raw weights.
    pub total: Weight,
}

/// The ballots of one revision.
#[derive(Debug, Clone, PartialEq, Default, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// When it began.
    pub opened: TimeMs,
    /// When it ends, extensions included.
    pub closes: TimeMs,
    /// Whether an optimistic vote was turned into a full one.
    pub promoted: bool,
    /// The outcome as last evaluated inside the late window, to notice a flip.
    pub last_outcome: Option<bool>,
    /// Chain over the ballots in the order cast: `H(previous ‖ voter ‖ choice)`.
    pub ballots_digest: Digest,
    /// One ballot a voter.
    pub ballots: BallotBox,
    /// Weight by organisation and choice, before the cap for organisations: for, against, abstain.
    pub by_org: BTreeMap<OrgId, [Weight; 3]>,
    /// The last count.
    pub tally: Option<TallyReport>,
}

/// Ballots with cheap copies: structure is shared between the states of successive blocks.
pub type BallotBox = crate::shared_map::SharedMap<MemberId, Choice>;

/// What executors did about a proposal.
#[derive(Debug, Clone, PartialEq, Default, BorshSerialize, BorshDeserialize)]
pub struct Execution {
    /// One entry a step of the plan, in its order.
    pub steps: Vec<StepProgress>,
    /// Index of the stage that is carried out or judged.
    pub stage: u8,
    /// Since when.
    pub stage_since: TimeMs,
    /// Judgements of the current stage by step and organisation.
    pub health: BTreeMap<u16, BTreeMap<OrgId, HealthReport>>,
    /// Failed executions resumed so far.
    pub retries: u8,
    /// Why it is rolled back, once it is.
    pub rollback_cause: Option<String>,
}

/// How far one step is.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct StepProgress {
    /// The claim in force.
    pub claim: Option<StepClaim>,
    /// What was reported of the action.
    pub outcome: Option<StepOutcome>,
    /// What was reported of the undo.
    pub undo_outcome: Option<StepOutcome>,
}

/// Who holds a step.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StepClaim {
    /// Who.
    pub executor: MemberId,
    /// The fencing token.
    pub fence: Fence,
    /// Until when nobody else may take it.
    pub until: TimeMs,
    /// Whether it is the undo that is claimed.
    pub undo: bool,
}

/// What executors should do next about a proposal: derived from the record, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Its plan hash.
    pub plan_hash: Digest,
    /// What is due.
    pub work: Work,
}

/// A piece of work that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Claim this step (or its undo), then carry it out under the fence given.
    Step {
        /// Index of the step.
        step: u16,
        /// Whether it is the undo.
        undo: bool,
        /// The claim in force, if it is held; the holder carries it out.
        claim: Option<StepClaim>,
    },
    /// Probe this step's target and attest.
    Judge {
        /// Stage judged; the number of stages stands for the final verification.
        stage: u8,
        /// Index of the step whose target is probed.
        step: u16,
        /// Organisations that have attested.
        attested: BTreeSet<OrgId>,
    },
}
