//! Owns refusals: what the rules say no to, the same on every node.

mod step;

pub use step::StepRefusal;

pub use crate::lifecycle::batch::{BATCH_MAX, BatchRefusal};

use crate::{
    attempt::ContentId,
    constitution::Track,
    delegation::DelegationRefusal,
    digest::Digest,
    document::Action,
    emergency::{EmergencyId, EmergencyStage},
    name::{MemberId, Name, TargetId},
    quantity::{BondPoints, Fence, Height, Revision, Sequence, TimeMs},
    recovery::KeyRefusal,
    role::Role,
    stage::Stage,
    transaction::ProposalId,
};

/// Why a transaction has no effect. Stable `code`s are part of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// The sender is not a member.
    #[error("{member} is not a member of this mesh")]
    NotAMember {
        /// Who.
        member: MemberId,
    },
    /// The member does not hold the role, or not with this key.
    #[error("{member} does not hold the role {role} with this key")]
    NotInRole {
        /// Who.
        member: MemberId,
        /// Which role.
        role: Role,
    },
    /// The call belongs to another role.
    #[error("a {role} may not do this; it needs the role {needed}")]
    WrongRole {
        /// As sent.
        role: Role,
        /// As needed.
        needed: Role,
    },
    /// Not the sender's next sequence.
    #[error("sequence {found} is not the next one of {member}, which is {expected}")]
    Sequence {
        /// Who.
        member: MemberId,
        /// As sent.
        found: Sequence,
        /// As needed.
        expected: Sequence,
    },
    /// Too late.
    #[error("the transaction was valid until {not_after} and the ledger's time is {time}")]
    Late {
        /// As sent.
        not_after: TimeMs,
        /// Of the block.
        time: TimeMs,
    },
    /// No such proposal.
    #[error("there is no proposal {proposal}")]
    UnknownProposal {
        /// Which.
        proposal: ProposalId,
    },
    /// The call speaks of no proposal.
    #[error("the call names no proposal")]
    NoProposal,
    /// The constitution has no such track.
    #[error("the constitution has no {track} track")]
    NoTrack {
        /// Which.
        track: Track,
    },
    /// Another edition is current.
    #[error("revision {found} is not the current one, which is {current}")]
    Revision {
        /// As sent.
        found: Revision,
        /// As needed.
        current: Revision,
    },
    /// The plan is not what the sender saw.
    #[error("the plan hash is {current} now, not {found}; plan again and look at the difference")]
    PlanMoved {
        /// As sent.
        found: Digest,
        /// As planned now.
        current: Digest,
    },
    /// The lifecycle does not allow the move.
    #[error("{input} is not possible while the proposal is {stage}; possible now: {}", list(allowed))]
    IllegalMove {
        /// Where the proposal stands.
        stage: Stage,
        /// What was asked.
        input: &'static str,
        /// What may be asked.
        allowed: Vec<&'static str>,
    },
    /// The document is outside its bounds.
    #[error("{field} {problem}")]
    Document {
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A target nobody registered.
    #[error("no organisation owns a target {target}")]
    UnknownTarget {
        /// Which.
        target: TargetId,
    },
    /// The author has too many open proposals.
    #[error("{author} has {max} proposals open, which is the most; one has to end first")]
    TooManyOpen {
        /// Who.
        author: MemberId,
        /// The limit.
        max: u16,
    },
    /// The content failed a short time ago.
    #[error("what it asks for has failed {failures} times and may be submitted again at {until}")]
    Cooldown {
        /// What it asks for.
        content: ContentId,
        /// How often that has failed, as far as it is remembered.
        failures: u8,
        /// The end of the cooldown.
        until: TimeMs,
    },
    /// The author has too few free points for the bond.
    #[error("its bond is {price} points and {author} has {free} free; they come back with what ends")]
    Bond {
        /// Who.
        author: MemberId,
        /// The bond.
        price: BondPoints,
        /// What is free.
        free: BondPoints,
    },
    /// The sender's own organisation may not do this.
    #[error("{member} belongs to the author's organisation; another one has to do this")]
    OwnOrganisation {
        /// Who.
        member: MemberId,
    },
    /// Not the proposal's author.
    #[error("only its author {author} may do this")]
    NotTheAuthor {
        /// Who may.
        author: MemberId,
    },
    /// The voter had no weight when the proposal was opened.
    #[error("{member} had no weight when this proposal was opened")]
    NotEligible {
        /// Who.
        member: MemberId,
    },
    /// The sender already did this, differently.
    #[error("{member} has already done this and said otherwise")]
    AlreadyDone {
        /// Who.
        member: MemberId,
    },
    /// The step does not exist or is not due.
    #[error("step {step} cannot be taken: {why}")]
    Step {
        /// Index of the step.
        step: u16,
        /// What stands against it.
        why: StepRefusal,
    },
    /// The receipt's fence is not the step's.
    #[error("fence {found} is not the step's, which is {current}")]
    Fence {
        /// As sent.
        found: Fence,
        /// As given by the ledger.
        current: Fence,
    },
    /// The member may not act on the target.
    #[error("{member} is not an executor of {target}")]
    NotAnExecutor {
        /// Who.
        member: MemberId,
        /// Where.
        target: TargetId,
    },
    /// The guardian's vetoes are used up.
    #[error("{member} has used all {max} vetoes")]
    VetoesSpent {
        /// Who.
        member: MemberId,
        /// The limit.
        max: u16,
    },
    /// The proposal's track asks for no signature of a guardian.
    #[error("a proposal of the {track} track needs no co-signature")]
    NothingToCosign {
        /// Which track.
        track: Track,
    },
    /// The retry budget is used up.
    #[error("the execution was resumed as often as allowed")]
    RetriesSpent,
    /// The evidence does not show what it says.
    #[error("the evidence does not hold: {problem}")]
    Evidence {
        /// What is wrong.
        problem: &'static str,
    },
    /// The auditor speaks of a block that is not on this ledger.
    #[error("block {found} at height {height} is not on this ledger")]
    OtherHistory {
        /// Where.
        height: Height,
        /// As sent.
        found: Digest,
    },
    /// A block that does not follow the last one.
    #[error("a block at height {height} and time {time} cannot follow height {last} at {last_time}")]
    OutOfOrder {
        /// Of the block.
        height: Height,
        /// Of the block.
        time: TimeMs,
        /// Of the state.
        last: Height,
        /// Of the state.
        last_time: TimeMs,
    },
    /// The voter may not let another speak for it, or not so.
    #[error("the delegation cannot be taken: {why}")]
    Delegation {
        /// What stands against it.
        why: DelegationRefusal,
    },
    /// The resource is not what the plan found.
    #[error("{resource} on {target} has moved since the plan was made")]
    TargetMoved {
        /// Where.
        target: TargetId,
        /// What.
        resource: Name,
        /// What is applied now.
        applied: Option<Box<Action>>,
    },
    /// No such emergency.
    #[error("there is no emergency {emergency}")]
    UnknownEmergency {
        /// As sent.
        emergency: EmergencyId,
    },
    /// This very declaration was made before; it works once.
    #[error("emergency {emergency} was declared before and is {stage}; each declaration works once")]
    EmergencyUsed {
        /// Which.
        emergency: EmergencyId,
        /// Where it stands.
        stage: EmergencyStage,
    },
    /// The emergency does not stand where this could be done.
    #[error("{input} is not possible while emergency {emergency} is {stage}")]
    EmergencyMove {
        /// Which.
        emergency: EmergencyId,
        /// Where it stands.
        stage: EmergencyStage,
        /// What was asked.
        input: &'static str,
    },
    /// Only who signed it may end an emergency before its time is over.
    #[error("emergency {emergency} runs until {until}; before that only a guardian who signed it may end it")]
    EmergencyRuns {
        /// Which.
        emergency: EmergencyId,
        /// Its expiry.
        until: TimeMs,
    },
    /// A measure that an emergency ordered on which the members have not spoken.
    #[error("emergency {by} ordered this measure, and the members have not judged it so far")]
    MeasureUnjudged {
        /// Which.
        by: EmergencyId,
    },
    /// Too many emergencies at once.
    #[error("the members have {max} emergencies to judge, which is the most; one has to be judged first")]
    TooManyEmergencies {
        /// The limit.
        max: usize,
    },
    /// The guardian has declared another emergency, which may still be signed.
    #[error("emergency {emergency} is declared by the same guardian and may still be signed; one at a time")]
    DeclarationOpen {
        /// Which.
        emergency: EmergencyId,
    },
    /// The guardian's term is over.
    #[error("the term of the guardian {member} is over; the members may give another one")]
    TermOver {
        /// Who.
        member: MemberId,
    },
    /// The guardian's power is suspended.
    #[error(
        "{member} signed emergency {by}, which was not ratified, and has no power until the members give it back"
    )]
    PowerSuspended {
        /// Who.
        member: MemberId,
        /// By which.
        by: EmergencyId,
    },
    /// A guardian against the judgement over guardians.
    #[error("no guardian may veto the own removal, nor what is decided about the powers of guardians alone")]
    VetoOnGuardians,
    /// An emergency halts the track.
    #[error("emergency {by} halts the {track} track until {until}")]
    TrackHalted {
        /// Which track.
        track: Track,
        /// Which emergency.
        by: EmergencyId,
        /// Its expiry.
        until: TimeMs,
    },
    /// Too few take part for anything but the least.
    #[error(
        "governance is dormant since {since}: nothing but what is routine, and an awakening, is taken until enough voters \
         have decided on one"
    )]
    Dormant {
        /// When it fell dormant.
        since: TimeMs,
    },
    /// The ballot on several proposals is not taken.
    #[error("the ballot is not taken on any of the proposals: {0}")]
    Batch(#[from] BatchRefusal),
    /// The key is not replaced, or not so.
    #[error("the key is not replaced: {0}")]
    Key(#[from] KeyRefusal),
    /// An emergency suspends the key.
    #[error("emergency {by} suspends the executor {member} until {until}")]
    ExecutorSuspended {
        /// Who.
        member: MemberId,
        /// Which emergency.
        by: EmergencyId,
        /// Its expiry.
        until: TimeMs,
    },
}

fn list(allowed: &[&'static str]) -> String {
    if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
}

impl Reject {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAMember { .. } => "not-a-member",
            Self::NotInRole { .. } => "not-in-role",
            Self::WrongRole { .. } => "wrong-role",
            Self::Sequence { .. } => "sequence",
            Self::Late { .. } => "late",
            Self::NoTrack { .. } => "no-track",
            Self::NoProposal => "no-proposal",
            Self::UnknownProposal { .. } => "unknown-proposal",
            Self::Revision { .. } => "revision",
            Self::PlanMoved { .. } => "plan-moved",
            Self::IllegalMove { .. } => "illegal-move",
            Self::Document { .. } => "document",
            Self::UnknownTarget { .. } => "unknown-target",
            Self::TooManyOpen { .. } => "too-many-open",
            Self::Cooldown { .. } => "cooldown",
            Self::Bond { .. } => "bond",
            Self::OwnOrganisation { .. } => "own-organisation",
            Self::NotTheAuthor { .. } => "not-the-author",
            Self::NotEligible { .. } => "not-eligible",
            Self::AlreadyDone { .. } => "already-done",
            Self::Step { .. } => "step",
            Self::Fence { .. } => "fence",
            Self::NotAnExecutor { .. } => "not-an-executor",
            Self::VetoesSpent { .. } => "vetoes-spent",
            Self::NothingToCosign { .. } => "nothing-to-cosign",
            Self::RetriesSpent => "retries-spent",
            Self::Evidence { .. } => "evidence",
            Self::OtherHistory { .. } => "other-history",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::TargetMoved { .. } => "target-moved",
            Self::UnknownEmergency { .. } => "unknown-emergency",
            Self::EmergencyUsed { .. } => "emergency-used",
            Self::EmergencyMove { .. } => "emergency-move",
            Self::EmergencyRuns { .. } => "emergency-runs",
            Self::MeasureUnjudged { .. } => "measure-unjudged",
            Self::TooManyEmergencies { .. } => "too-many-emergencies",
            Self::DeclarationOpen { .. } => "declaration-open",
            Self::TermOver { .. } => "term-over",
            Self::PowerSuspended { .. } => "power-suspended",
            Self::VetoOnGuardians => "veto-on-guardians",
            Self::TrackHalted { .. } => "track-halted",
            Self::ExecutorSuspended { .. } => "executor-suspended",
            Self::Delegation { .. } => "delegation",
            Self::Dormant { .. } => "dormant",
            Self::Batch(_) => "batch",
            Self::Key(_) => "key",
        }
    }

    /// Whether the same transaction may be taken later. A sequence that was used never is.
    #[must_use]
    pub fn can_waiting_help(&self) -> bool {
        match self {
            Self::Sequence { found, expected, .. } => found > expected,
            Self::TooManyOpen { .. } | Self::Bond { .. } => true,
            Self::Step { why, .. } => matches!(
                why,
                StepRefusal::Timelocked { .. }
                    | StepRefusal::NotCosigned { .. }
                    | StepRefusal::Awaits { .. }
                    | StepRefusal::Held { .. }
                    | StepRefusal::TargetBusy { .. }
                    | StepRefusal::StageAhead
                    | StepRefusal::UndoOrder { .. }
            ),
            _ => false,
        }
    }
}
