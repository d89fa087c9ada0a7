//! Owns what members ask for and what they are told: the bodies of every POST that changes the ledger.

use althing_actors::ledger::message::Final;
use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    event::Event,
    name::{Line, MemberId},
    proposal::Proposal,
    quantity::Revision,
    transaction::{Choice, Edition, ProposalId, ReviewVerdict},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{document, plan::FindingView, proposal::ProposalSummary};

/// Opens a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The author, whose author key the node holds.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/alice")]
    pub member: MemberId,
    /// The change.
    #[schema(value_type = document::ProposalDocument)]
    pub document: ProposalDocument,
    /// Hash of the plan that the author saw.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
}

/// Replaces the content of a proposal in review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviseRequest {
    /// The author of the proposal.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/alice")]
    pub member: MemberId,
    /// The revision that is replaced; refused when it is not the current one.
    #[schema(value_type = u32)]
    pub replaces: Revision,
    /// The change as it shall be.
    #[schema(value_type = document::ProposalDocument)]
    pub document: ProposalDocument,
    /// Hash of the new plan that the author saw.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
}

/// Signs a proposal off, or refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// The reviewer, of an organisation other than the author's.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/rita")]
    pub member: MemberId,
    /// The revision that was reviewed.
    #[schema(value_type = u32)]
    pub revision: Revision,
    /// Hash of the plan that was reviewed.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
    /// `approve` or `refuse`.
    #[schema(value_type = String)]
    pub verdict: ReviewVerdict,
    /// Remark.
    #[schema(value_type = String, max_length = 200)]
    pub reason: Line,
}

/// Signs a decision as a guardian.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CosignRequest {
    /// The guardian, of an organisation other than the author's.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/gert")]
    pub member: MemberId,
    /// The revision that is signed.
    #[schema(value_type = u32)]
    pub revision: Revision,
    /// Hash of the plan that is signed.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
}

/// Casts a ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// The voter.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// The revision that is voted on.
    #[schema(value_type = u32)]
    pub revision: Revision,
    /// Hash of the plan that is voted on.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
    /// `for`, `against` or `abstain`.
    #[schema(value_type = String)]
    pub choice: Choice,
}

/// Casts one ballot on several proposals of the routine track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The voter.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// Which editions of which proposals, 1 to 32.
    #[schema(value_type = Vec<EditionRequest>, min_items = 1, max_items = 32)]
    pub editions: Vec<Edition>,
    /// `for`, `against` or `abstain`.
    #[schema(value_type = String)]
    pub choice: Choice,
}

/// How an edition of a proposal is named.
#[derive(ToSchema)]
#[schema(as = Edition)]
pub struct EditionRequest {
    /// The proposal's whole id.
    #[schema(value_type = String)]
    pub proposal: ProposalId,
    /// The revision that is voted on.
    #[schema(value_type = u32)]
    pub revision: Revision,
    /// Hash of the plan that is voted on.
    #[schema(value_type = String)]
    pub plan_hash: Digest,
}

/// The ballots are final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// The transaction's id.
    pub transaction: String,
    /// The block that holds it.
    pub height: u64,
    /// That block's time.
    pub time_ms: u64,
    /// Whether all of them had been cast before.
    pub repeated: bool,
    /// What it caused.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Event>,
    /// Where each proposal stands after it.
    pub proposals: Vec<ProposalSummary>,
}

/// Cancels, vetoes or aborts, with a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Who acts.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/alice")]
    pub member: MemberId,
    /// Why.
    #[schema(value_type = String, max_length = 200)]
    pub reason: Line,
}

/// Continues a failed execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// The author, or an executor of a target.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/alice")]
    pub member: MemberId,
}

/// What was asked is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedView {
    /// The transaction's id.
    pub transaction: String,
    /// The block that holds it.
    pub height: u64,
    /// That block's time.
    pub time_ms: u64,
    /// Whether it had taken effect before.
    pub repeated: bool,
    /// What it caused.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Event>,
    /// Where the proposal stands after it.
    pub proposal: ProposalSummary,
    /// Broken hard rules, when they rejected a submission.
    pub findings: Vec<FindingView>,
}

impl BatchView {
    /// Shows a final ballot on several proposals.
    pub fn new<'a>(accepted: &Final, proposals: impl Iterator<Item = &'a Proposal>) -> Self {
        Self {
            transaction: accepted.id.to_string(),
            height: accepted.height.get(),
            time_ms: accepted.time.get(),
            repeated: accepted.events.is_empty(),
            events: accepted.events.clone(),
            proposals: proposals.map(ProposalSummary::new).collect(),
        }
    }
}

impl AcceptedView {
    /// Shows a final transaction about a proposal.
    pub fn new(accepted: &Final, proposal: &Proposal) -> Self {
        Self {
            transaction: accepted.id.to_string(),
            height: accepted.height.get(),
            time_ms: accepted.time.get(),
            repeated: accepted.events.is_empty(),
            events: accepted.events.clone(),
            proposal: ProposalSummary::new(proposal),
            findings: proposal.findings.iter().map(FindingView::from).collect(),
        }
    }
}
