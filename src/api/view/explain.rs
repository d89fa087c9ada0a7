//! Owns how an explanation is shown: what the contracts say of a proposal, as clients see it. Refuses to judge anything.

use althing_contracts::{
    explain::{Barred, Condition, Explanation, Outlook, Part, Voter},
    name::MemberId,
    proposal::Proposal,
    quantity::TimeMs,
    stage::Stage,
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::proposal::ProposalSummary;

/// Why a proposal is where it is, and what can come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// Where it stands.
    pub proposal: ProposalSummary,
    /// Why it is there, where the stage alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What can come next, the way forward first; empty when nothing can.
    pub next: Vec<OutlookView>,
    /// What members can do as it stands, and who of them.
    pub parts: Vec<PartView>,
    /// Everyone who has weight in the vote.
    pub voters: Vec<VoterView>,
}

/// A stage that can come next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutlookView {
    /// Its name, for example `voting` or `rollout`.
    pub stage: String,
    /// Which rollout stage, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u8>,
    /// Not before; absent when it comes as soon as its conditions hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_ms: Option<u64>,
    /// Not after; absent when nothing ends the time for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ms: Option<u64>,
    /// All have to hold.
    pub conditions: Vec<ConditionView>,
}

/// A condition with its figures as they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConditionView {
    /// Its name, which stays, for example `turnout`, `timelock` or `cosign`.
    pub name: String,
    /// What is asked, in words.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
    /// How far it is.
    pub have: u64,
    /// How far it has to be: it holds from there on, or as long as it stays below, as `bound` says.
    pub need: u64,
    /// `at-least` or `below`.
    pub bound: String,
    /// Of how much at most, where there is a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<u64>,
    /// What is counted: `weight`, `organisations`, `members`, `steps`, `targets`, `attempts`, `milliseconds`, or `fact`
    /// for something that is so (1) or is not (0).
    pub unit: String,
}

/// Something that members can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// The call's name, for example `review` or `claim`.
    pub call: String,
    /// The role that it needs.
    pub role: String,
    /// Whether the way forward waits for it.
    pub awaited: bool,
    /// Who may.
    pub may: Vec<String>,
    /// Who might and may not, and why.
    pub may_not: Vec<BarredView>,
}

/// Who may not do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BarredView {
    /// Who.
    pub member: String,
    /// Stable code of the reason: that of the refusal, or `done` when the member has done it.
    pub code: String,
    /// The reason, in words.
    pub why: String,
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoterView {
    /// Who.
    pub member: String,
    /// The voter's own weight in this vote, after the cap for members.
    pub weight: u64,
    /// What a ballot of the voter counts, or would count, with what others have entrusted to it, under the caps.
    pub ballot: u64,
    /// Who speaks for the voter as long as it casts no ballot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<String>,
    /// Whose ballot the voter's weight is heard through: its own or a delegate's; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_through: Option<String>,
    /// What that ballot says: `for`, `against` or `abstain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

impl ExplainView {
    /// Explains a proposal of `state`; there is nothing to say about one that the state does not hold.
    pub fn new(state: &State, proposal: &Proposal) -> Option<Self> {
        let Explanation { cause, next, parts, voters, .. } = state.explain(proposal.id)?;
        Some(Self {
            proposal: ProposalSummary::new(proposal),
            cause,
            next: next.iter().map(OutlookView::from).collect(),
            parts: parts.iter().map(PartView::from).collect(),
            voters: voters.iter().map(VoterView::from).collect(),
        })
    }
}

/// The conditions of a proposal's way forward that do not hold.
pub(crate) fn unmet(state: &State, proposal: &Proposal) -> Vec<ConditionView> {
    let next = state.outlook(proposal.id);
    let forward = next.first().into_iter().flat_map(|forward| &forward.conditions);
    forward.filter(|condition| !condition.holds()).map(ConditionView::from).collect()
}

impl From<&Outlook> for OutlookView {
    fn from(outlook: &Outlook) -> Self {
        let rollout = match outlook.to {
            Stage::Rollout(index) => Some(index),
            _ => None,
        };
        Self {
            stage: outlook.to.name().to_owned(),
            rollout,
            earliest_ms: outlook.earliest.map(TimeMs::get),
            latest_ms: outlook.latest.map(TimeMs::get),
            conditions: outlook.conditions.iter().map(ConditionView::from).collect(),
        }
    }
}

impl From<&Condition> for ConditionView {
    fn from(condition: &Condition) -> Self {
        Self {
            name: condition.name.to_owned(),
            what: condition.what.clone(),
            holds: condition.holds(),
            have: condition.have,
            need: condition.need,
            bound: condition.bound.name().to_owned(),
            whole: condition.whole,
            unit: condition.unit.name().to_owned(),
        }
    }
}

impl From<&Part> for PartView {
    fn from(part: &Part) -> Self {
        Self {
            call: part.call.to_owned(),
            role: part.role.name().to_owned(),
            awaited: part.is_awaited,
            may: part.may.iter().map(MemberId::to_string).collect(),
            may_not: part.may_not.iter().map(BarredView::from).collect(),
        }
    }
}

impl From<&Barred> for BarredView {
    fn from(barred: &Barred) -> Self {
        Self { member: barred.member.to_string(), code: barred.code.to_owned(), why: barred.why.clone() }
    }
}

impl From<&Voter> for VoterView {
    fn from(voter: &Voter) -> Self {
        Self {
            member: voter.member.to_string(),
            weight: voter.weight.get(),
            ballot: voter.ballot.get(),
            delegate: voter.delegate.as_ref().map(MemberId::to_string),
            heard_through: voter.heard.as_ref().map(|(speaker, _)| speaker.to_string()),
            choice: voter.heard.as_ref().map(|(_, choice)| super::kebab(choice)),
        }
    }
}
