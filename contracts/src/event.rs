//! Owns events: what happened on the ledger, in order, each under its block's events root.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::Subject,
    attempt::ContentId,
    constitution::Track,
    digest::Digest,
    emergency::{Declaration, EmergencyId},
    expiry::Expiring,
    name::{Line, MemberId, OrgId, TargetId},
    quantity::{BondPoints, EventSequence, Fence, Height, Revision, TimeMs},
    role::Role,
    rules::Finding,
    signature::PublicKey,
    stage::Stage,
    tally::TallyReport,
    transaction::{AuditVerdict, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome},
};

/// An event with its place on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EventRecord {
    /// Number on the ledger, from 1, without gaps.
    pub sequence: EventSequence,
    /// Block that caused it.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
    /// What happened.
    pub event: Event,
}

/// What happened. Tags are part of the format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "type")]
pub enum Event {
    /// A proposal was received.
    Submitted {
        /// Which.
        proposal: ProposalId,
        /// By whom.
        author: MemberId,
        /// Which edition.
        revision: Revision,
        /// Hash of its plan.
        plan_hash: Digest,
    },
    /// A proposal moved to another stage.
    StageChanged {
        /// Which.
        proposal: ProposalId,
        /// From where.
        from: Stage,
        /// To where.
        to: Stage,
        /// Why, for people.
        cause: Line,
    },
    /// The hard rules refused a proposal.
    RulesBroken {
        /// Which.
        proposal: ProposalId,
        /// Every rule that was broken.
        findings: Vec<Finding>,
    },
    /// A review was recorded.
    Reviewed {
        /// Which.
        proposal: ProposalId,
        /// By whom.
        reviewer: MemberId,
        /// The verdict.
        verdict: ReviewVerdict,
        /// Remark.
        reason: Line,
    },
    /// A ballot was recorded.
    Voted {
        /// Which.
        proposal: ProposalId,
        /// By whom.
        voter: MemberId,
        /// The choice.
        choice: Choice,
    },
    /// A vote was extended because its outcome flipped late.
    VotingExtended {
        /// Which.
        proposal: ProposalId,
        /// The new end.
        until: TimeMs,
    },
    /// A vote was counted.
    Tallied {
        /// Which.
        proposal: ProposalId,
        /// The figures with every test.
        tally: TallyReport,
    },
    /// An optimistic vote was not seen by enough organisations and became a full vote.
    Promoted {
        /// Which.
        proposal: ProposalId,
    },
    /// An executor took a step.
    StepClaimed {
        /// Which.
        proposal: ProposalId,
        /// Index of the step.
        step: u16,
        /// Where it acts.
        target: TargetId,
        /// Who acts.
        executor: MemberId,
        /// The fence given.
        fence: Fence,
        /// Whether it is the step's undo.
        undo: bool,
    },
    /// An executor reported.
    StepReported {
        /// Which.
        proposal: ProposalId,
        /// Index of the step.
        step: u16,
        /// Where it acted.
        target: TargetId,
        /// Who acted.
        executor: MemberId,
        /// Under which fence.
        fence: Fence,
        /// Whether it was the step's undo.
        undo: bool,
        /// What happened.
        outcome: StepOutcome,
        /// Digest of the executor's evidence.
        evidence: Digest,
    },
    /// A target was judged.
    HealthAttested {
        /// Which.
        proposal: ProposalId,
        /// Stage judged.
        stage: u8,
        /// Target judged.
        target: TargetId,
        /// By whom.
        attester: MemberId,
        /// Whose.
        org: OrgId,
        /// What was measured.
        health: HealthReport,
    },
    /// A failed execution was taken up again.
    Resumed {
        /// Which.
        proposal: ProposalId,
        /// Retries left.
        retries_left: u8,
    },
    /// An auditor attested.
    Attested {
        /// Which.
        proposal: ProposalId,
        /// By whom.
        auditor: MemberId,
        /// The finding.
        verdict: AuditVerdict,
    },
    /// A deadline is near or missed; nothing changed by it.
    Warned {
        /// Which.
        proposal: ProposalId,
        /// What is due.
        warning: Line,
    },
    /// A validator signed twice.
    Equivocated {
        /// Whose validator.
        org: OrgId,
        /// At which height.
        height: Height,
    },
    /// The timelock of a proposal is over: executors may claim.
    TimelockElapsed {
        /// Which.
        proposal: ProposalId,
        /// Last instant at which execution may begin.
        execute_by: TimeMs,
    },
    /// A guardian signed what was decided.
    Cosigned {
        /// Which.
        proposal: ProposalId,
        /// By whom.
        guardian: MemberId,
    },
    /// Another constitution is in force.
    Amended {
        /// The proposal that put it there.
        proposal: ProposalId,
        /// Its version.
        version: u32,
        /// Its digest.
        constitution: Digest,
    },
    /// The ledger changed what it knows of the mesh.
    Enacted {
        /// The proposal that decided it.
        proposal: ProposalId,
        /// What was changed.
        subject: Subject,
        /// Digest of what is in force about it now.
        record: Digest,
    },
    /// A guardian declared an emergency and signed it.
    EmergencyDeclared {
        /// Which.
        emergency: EmergencyId,
        /// By whom.
        guardian: MemberId,
        /// What is ordered, why, and until when.
        declaration: Declaration,
        /// Last instant for the other signatures.
        signed_by: TimeMs,
    },
    /// Another guardian signed an emergency.
    EmergencySigned {
        /// Which.
        emergency: EmergencyId,
        /// By whom.
        guardian: MemberId,
    },
    /// Too few guardians signed an emergency in time.
    EmergencyLapsed {
        /// Which.
        emergency: EmergencyId,
    },
    /// Enough guardians signed: the measures of an emergency hold.
    EmergencyActivated {
        /// Which.
        emergency: EmergencyId,
        /// The proposal by which the members judge it.
        proposal: ProposalId,
        /// When the measures end by themselves.
        expires: TimeMs,
    },
    /// The measures of an emergency ended.
    EmergencyLifted {
        /// Which.
        emergency: EmergencyId,
        /// Who took it back, if it did not just expire.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<MemberId>,
    },
    /// The members stand by an emergency.
    EmergencyRatified {
        /// Which.
        emergency: EmergencyId,
        /// The proposal by which they do.
        proposal: ProposalId,
    },
    /// The members did not ratify an emergency in time: its measures end and its signers lose the powers of guardians.
    EmergencyReverted {
        /// Which.
        emergency: EmergencyId,
        /// The proposal that failed.
        proposal: ProposalId,
        /// Who signed it.
        suspended: Vec<MemberId>,
    },
    /// An auditor attested about the use of an emergency.
    EmergencyAttested {
        /// Which.
        emergency: EmergencyId,
        /// By whom.
        auditor: MemberId,
        /// The finding.
        verdict: AuditVerdict,
    },
    /// A guardian holds the powers of one for another term.
    Reinstated {
        /// The proposal that gave them.
        proposal: ProposalId,
        /// Who.
        guardian: MemberId,
        /// Until when.
        until: TimeMs,
    },
    /// A voter lets another speak for it.
    Delegated {
        /// Who lends its voice.
        delegator: MemberId,
        /// Who speaks.
        delegate: MemberId,
        /// In votes of which track.
        track: Track,
        /// In votes on what is submitted from here on.
        from: TimeMs,
        /// Until here.
        expires: TimeMs,
    },
    /// A voter speaks for itself again.
    Revoked {
        /// Who.
        delegator: MemberId,
        /// Who does not speak for it any more.
        delegate: MemberId,
        /// In votes of which track.
        track: Track,
    },
    /// A proposal failed: what it asks for may not be submitted again for a while.
    CooldownBegan {
        /// Which.
        proposal: ProposalId,
        /// What it asks for.
        content: ContentId,
        /// How often that has failed, as far as it is remembered.
        failures: u8,
        /// Not submitted before this.
        until: TimeMs,
    },
    /// Points of an author's account stand for an open proposal, in the place of those that did before.
    BondHeld {
        /// For which.
        proposal: ProposalId,
        /// Whose.
        author: MemberId,
        /// How many.
        points: BondPoints,
    },
    /// A proposal needs its bond no more.
    BondSettled {
        /// Which.
        proposal: ProposalId,
        /// Whose points they are.
        author: MemberId,
        /// How many.
        points: BondPoints,
        /// When they come back, if not at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost_until: Option<TimeMs>,
    },
    /// Something is about to expire unless people act.
    ExpiryNear {
        /// What.
        #[serde(flatten)]
        expiring: Expiring,
        /// When.
        at: TimeMs,
    },
    /// Too few took part in one vote after the other: governance is dormant.
    Dormant {
        /// The last of the votes.
        proposal: ProposalId,
        /// How many there were in a row.
        votes: u16,
    },
    /// A member has another key for a role.
    KeyReplaced {
        /// Whose.
        member: MemberId,
        /// For which role.
        role: Role,
        /// The key that signs nothing any more.
        replaces: PublicKey,
        /// The new one.
        key: PublicKey,
        /// The colleagues who recovered it; none when its holder replaced it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recovered_by: Vec<MemberId>,
    },
    /// A colleague says that a member's key is lost.
    RecoverySigned {
        /// Whose.
        member: MemberId,
        /// Which one.
        role: Role,
        /// The key to come in its place.
        key: PublicKey,
        /// Who says so.
        signer: MemberId,
    },
    /// Enough colleagues say that a member's key is lost: it is another one soon, unless somebody stops it.
    RecoveryAgreed {
        /// Whose.
        member: MemberId,
        /// Which one.
        role: Role,
        /// The key to come in its place.
        key: PublicKey,
        /// When.
        due: TimeMs,
    },
    /// A recovery was refused by the holder of the key, or lost the word of a colleague.
    RecoveryStopped {
        /// Whose key.
        member: MemberId,
        /// Which one.
        role: Role,
        /// Who stopped it; nobody when the new key has come to be another's, or too few of those who signed are still there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<MemberId>,
    },
    /// Enough have decided that they are there: governance is not dormant any more.
    Awake {
        /// The proposal by which they have.
        proposal: ProposalId,
    },
}

impl Event {
    /// The proposal that it is about.
    #[must_use]
    pub const fn proposal(&self) -> Option<ProposalId> {
        match self {
            Self::Submitted { proposal, .. }
            | Self::StageChanged { proposal, .. }
            | Self::RulesBroken { proposal, .. }
            | Self::Reviewed { proposal, .. }
            | Self::Voted { proposal, .. }
            | Self::VotingExtended { proposal, .. }
            | Self::Tallied { proposal, .. }
            | Self::Promoted { proposal }
            | Self::StepClaimed { proposal, .. }
            | Self::StepReported { proposal, .. }
            | Self::HealthAttested { proposal, .. }
            | Self::Resumed { proposal, .. }
            | Self::Attested { proposal, .. }
            | Self::Warned { proposal, .. }
            | Self::TimelockElapsed { proposal, .. }
            | Self::Cosigned { proposal, .. }
            | Self::Amended { proposal, .. }
            | Self::Enacted { proposal, .. }
            | Self::EmergencyRatified { proposal, .. }
            | Self::EmergencyReverted { proposal, .. }
            | Self::Reinstated { proposal, .. }
            | Self::CooldownBegan { proposal, .. }
            | Self::BondHeld { proposal, .. }
            | Self::BondSettled { proposal, .. }
            | Self::Dormant { proposal, .. }
            | Self::Awake { proposal } => Some(*proposal),
            Self::ExpiryNear { expiring, .. } => expiring.proposal(),
            Self::Equivocated { .. }
            | Self::KeyReplaced { .. }
            | Self::RecoverySigned { .. }
            | Self::RecoveryAgreed { .. }
            | Self::RecoveryStopped { .. }
            | Self::Delegated { .. }
            | Self::Revoked { .. }
            | Self::EmergencyDeclared { .. }
            | Self::EmergencySigned { .. }
            | Self::EmergencyLapsed { .. }
            | Self::EmergencyActivated { .. }
            | Self::EmergencyLifted { .. }
            | Self::EmergencyAttested { .. } => None,
        }
    }

    /// The emergency that it is about.
    #[must_use]
    pub const fn emergency(&self) -> Option<EmergencyId> {
        match self {
            Self::EmergencyDeclared { emergency, .. }
            | Self::EmergencySigned { emergency, .. }
            | Self::EmergencyLapsed { emergency }
            | Self::EmergencyActivated { emergency, .. }
            | Self::EmergencyLifted { emergency, .. }
            | Self::EmergencyRatified { emergency, .. }
            | Self::EmergencyReverted { emergency, .. }
            | Self::EmergencyAttested { emergency, .. }
            | Self::ExpiryNear { expiring: Expiring::Emergency { emergency }, .. } => Some(*emergency),
            _ => None,
        }
    }
}
