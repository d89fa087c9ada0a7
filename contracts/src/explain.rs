//! Owns the explanation of where a proposal stands: what can come next, when, on which conditions with which figures, and
//! who may do something about it, or why not.
//!
//! Everyone who explains a proposal shows this one value. It decides nothing: who may act is found by asking the rules
//! themselves, on a copy.

mod condition;
mod outlook;
mod part;

pub use condition::{Bound, Condition, Unit};

use crate::{
    name::MemberId,
    proposal::Proposal,
    quantity::{Revision, TimeMs, Weight},
    role::Role,
    stage::Stage,
    state::State,
    transaction::{AuditVerdict, Choice, ProposalId},
};

/// Where a proposal stands and what can come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Which.
    pub proposal: ProposalId,
    /// Which edition.
    pub revision: Revision,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: TimeMs,
    /// When the ledger acts by itself.
    pub deadline: Option<TimeMs>,
    /// Why it is there, where the stage alone does not say.
    pub cause: Option<String>,
    /// What can come next, the way forward first. Empty when nothing can.
    pub next: Vec<Outlook>,
    /// What members can do, and who of them.
    pub parts: Vec<Part>,
    /// Everyone who has weight in the vote.
    pub voters: Vec<Voter>,
}

/// A stage that can come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Which.
    pub to: Stage,
    /// Not before; `None` as soon as the conditions hold.
    pub earliest: Option<TimeMs>,
    /// Not after; `None` when nothing ends the time for it.
    pub latest: Option<TimeMs>,
    /// All have to hold.
    pub conditions: Vec<Condition>,
}

/// Something that members can do while a proposal stands where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The call's name.
    pub call: &'static str,
    /// The role that it needs.
    pub role: Role,
    /// Whether the way forward waits for it.
    pub is_awaited: bool,
    /// Who may.
    pub may: Vec<MemberId>,
    /// Who has the role and may not.
    pub may_not: Vec<Barred>,
}

/// Who may not do something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// Who.
    pub member: MemberId,
    /// Stable code of the reason: that of the refusal, or `done` when the member has done it.
    pub code: &'static str,
    /// The reason, in words.
    pub why: String,
}

/// A voter of the proposal's electorate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Who.
    pub member: MemberId,
    /// The voter's own weight, after the cap for members.
    pub weight: Weight,
    /// What a ballot of the voter counts, or would count, with what others have entrusted to it, under the caps.
    pub ballot: Weight,
    /// Who speaks for the voter as long as it casts no ballot.
    pub delegate: Option<MemberId>,
    /// The ballot through which the voter's weight is heard: whose it is, and what it says.
    pub heard: Option<(MemberId, Choice)>,
}

impl State {
    /// Explains where a proposal stands.
    #[must_use]
    pub fn explain(&self, id: ProposalId) -> Option<Explanation> {
        let proposal = self.proposal(id)?;
        Some(Explanation {
            proposal: id,
            revision: proposal.revision,
            stage: proposal.stage,
            since: proposal.stage_since,
            deadline: proposal.deadline,
            cause: cause(proposal),
            next: self.outlook(id),
            parts: part::of(self, proposal),
            voters: proposal.electorate.weights.keys().map(|member| voter(proposal, member)).collect(),
        })
    }

    /// What can come next of a proposal, the way forward first.
    #[must_use]
    pub fn outlook(&self, id: ProposalId) -> Vec<Outlook> {
        self.proposal(id).map(|proposal| outlook::of(proposal, self.registry())).unwrap_or_default()
    }
}

impl Explanation {
    /// The conditions of the way forward.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.next.first().into_iter().flat_map(|forward| &forward.conditions)
    }
}

fn cause(proposal: &Proposal) -> Option<String> {
    let unsound = || {
        proposal.attestations.iter().find_map(|(auditor, verdict)| match verdict {
            AuditVerdict::Sound => None,
            AuditVerdict::Unsound { finding } => Some(format!(
                "{auditor} found that something does not hold: {finding}; a corrective proposal is needed"
            )),
        })
    };
    let broken = proposal.findings.first().map(|finding| finding.message.to_string());
    match proposal.stage {
        Stage::Disputed => unsound(),
        Stage::Vetoed => proposal.vetoed_by.as_ref().map(|guardian| format!("vetoed by {guardian}")),
        _ => broken.or_else(|| proposal.execution.rollback_cause.as_ref().map(ToString::to_string)),
    }
}

fn voter(proposal: &Proposal, member: &MemberId) -> Voter {
    let (electorate, vote) = (&proposal.electorate, &proposal.vote);
    let speaker = vote.speaker(member, electorate);
    Voter {
        member: member.clone(),
        weight: electorate.own(member),
        ballot: electorate.ballot(member, vote.entrusted(member, electorate)).sum(),
        delegate: electorate.delegates.get(member).cloned(),
        heard: speaker.and_then(|speaker| Some((speaker.clone(), *vote.ballots.get(speaker)?))),
    }
}
