//! Owns the record of one proposal on the ledger: content, sign-offs, ballots, execution, audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    act::Act,
    constitution::{Constitution, Track, TrackParameters},
    digest::Digest,
    document::ProposalDocument,
    electorate::Electorate,
    emergency::EmergencyId,
    name::{Line, MemberId, OrgId},
    plan::Plan,
    quantity::{Fence, Height, Ratio, Revision, TimeMs},
    rules::Finding,
    stage::Stage,
    tally::{self, TallyReport},
    transaction::{AuditVerdict, HealthReport, ProposalId, ReviewVerdict, StepOutcome},
};

mod vote;

pub use vote::{BallotBox, Vote, link};

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
    /// Thresholds of the full vote that an unseen optimistic one turns into; pinned at submission.
    pub fallback: Option<Arc<TrackParameters>>,
    /// Cap for organisations pinned at submission.
    pub organisation_cap: Ratio,
    /// Version of the constitution pinned at submission.
    pub constitution: u32,
    /// Who may vote with what weight: the members as of the height before submission. Proposals share it, so
    /// a snapshot holds each electorate once and its digest here.
    #[borsh(skip)]
    pub electorate: Arc<Electorate>,
    /// Digest of the electorate.
    pub electorate_digest: Digest,
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
    /// How its execution ended, once it did.
    pub ended: Option<Ending>,
    /// The guardian who vetoed it.
    pub vetoed_by: Option<MemberId>,
    /// The guardians who signed the decision.
    pub cosigned_by: BTreeSet<MemberId>,
    /// What auditors found.
    pub attestations: BTreeMap<MemberId, AuditVerdict>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ending {
    /// [`Stage::Executed`], [`Stage::RolledBack`], [`Stage::RollbackFailed`] or [`Stage::Failed`].
    pub stage: Stage,
    /// Height of the block in which it ended; an audit has to reach it.
    pub height: Height,
}

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
    pub rollback_cause: Option<Line>,
}

/// How far one step is.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct StepProgress {
    /// The claim in force.
    pub claim: Option<StepClaim>,
    /// What was reported of the action.
    pub outcome: Option<StepOutcome>,
    /// What was reported of the undo under the claim in force.
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

impl StepProgress {
    /// Whether the action took effect, or may have because nobody has reported yet.
    #[must_use]
    pub fn may_have_effect(&self) -> bool {
        match &self.outcome {
            Some(StepOutcome::Done) => true,
            Some(StepOutcome::Failed { .. }) => false,
            None => self.claim.is_some(),
        }
    }

    /// Whether the step took or may have taken effect and is not undone.
    #[must_use]
    pub fn needs_undo(&self) -> bool {
        self.may_have_effect() && self.undo_outcome != Some(StepOutcome::Done)
    }
}

impl Proposal {
    /// Whether an author's limit counts it: it has not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.stage.is_terminal() && !matches!(self.stage, Stage::Auditing | Stage::Disputed)
    }

    /// The constitution that it puts in force, if it does.
    #[must_use]
    pub fn amendment(&self) -> Option<&Constitution> {
        self.document.acts.iter().find_map(Act::amendment)
    }

    /// The emergency that it judges, if it does.
    #[must_use]
    pub fn judges(&self) -> Option<EmergencyId> {
        self.document.acts.iter().find_map(|act| match act {
            Act::Ratify { emergency } => Some(*emergency),
            _ => None,
        })
    }

    /// From how many organisations guardians have signed the decision.
    #[must_use]
    pub fn cosigning_organisations(&self) -> usize {
        self.cosigned_by.iter().map(MemberId::org_str).collect::<BTreeSet<_>>().len()
    }

    /// Whether as many guardians have signed the decision as its track asks for.
    #[must_use]
    pub fn is_cosigned(&self) -> bool {
        self.parameters
            .cosign
            .is_none_or(|needed| needed.is_met_by(self.cosigned_by.len(), self.cosigning_organisations()))
    }

    /// The last instant to begin it, once queued.
    #[must_use]
    pub fn begin_by(&self) -> Option<TimeMs> {
        self.eta.map(|eta| eta.after(self.parameters.execute_by))
    }

    /// Counts the vote as it stands.
    #[must_use]
    pub fn count(&self) -> TallyReport {
        tally::count(&self.vote, &self.electorate, &self.parameters.scheme, self.organisation_cap)
    }

    /// The stage that follows when the one that is carried out is done and healthy.
    #[must_use]
    pub fn next_stage(&self) -> Stage {
        let next = self.execution.stage.saturating_add(1);
        match next.cmp(&self.verification_stage()) {
            std::cmp::Ordering::Less => Stage::Rollout(next),
            std::cmp::Ordering::Equal => Stage::Verifying,
            std::cmp::Ordering::Greater => Stage::Executed,
        }
    }

    /// Index of the stage that stands for the final verification.
    #[must_use]
    pub fn verification_stage(&self) -> u8 {
        u8::try_from(self.document.stages.len()).unwrap_or(u8::MAX)
    }
}
