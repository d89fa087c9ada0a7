//! Owns the answer to "why is it where it is": every condition of the next move with its figures, and who may vote
//! with what weight.

use althing_contracts::{
    name::MemberId,
    proposal::Proposal,
    quantity::TimeMs,
    stage::Stage,
    state::State,
    tally::TallyTest,
    transaction::{ReviewVerdict, StepOutcome},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{proposal::ProposalSummary, vote::threshold};

/// Why a proposal is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainView {
    /// Where it stands.
    pub proposal: ProposalSummary,
    /// What has to hold for the next move.
    pub conditions: Vec<ConditionView>,
    /// Everyone who has weight, with what they can do.
    pub voters: Vec<VoterView>,
    /// What may be asked for as it stands.
    pub allowed: Vec<String>,
}

/// One condition of the next move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConditionView {
    /// Its name.
    pub name: String,
    /// Whether it holds.
    pub met: bool,
    /// The figures, in words.
    pub detail: String,
    /// When the ledger judges it or gives it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
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
    /// Whether a ballot would be taken.
    pub may_vote: bool,
    /// Why not, or how the voter has voted.
    pub reason: String,
}

impl ExplainView {
    /// Explains a proposal of `state`.
    pub fn new(state: &State, proposal: &Proposal) -> Self {
        Self {
            proposal: ProposalSummary::new(proposal),
            conditions: conditions(proposal, state.time()),
            voters: proposal.electorate.weights.keys().map(|member| voter(state, proposal, member)).collect(),
            allowed: state.allowed_moves(proposal.id).into_iter().map(str::to_owned).collect(),
        }
    }
}

fn voter(state: &State, proposal: &Proposal, member: &MemberId) -> VoterView {
    let (electorate, vote) = (&proposal.electorate, &proposal.vote);
    let cast = vote.ballots.get(member);
    let heard =
        vote.speaker(member, electorate).and_then(|speaker| Some((speaker, vote.ballots.get(speaker)?)));
    let (may_vote, reason) = match (cast, state.may_vote(proposal.id, member)) {
        (Some(choice), _) => (false, format!("has voted {}", super::kebab(choice))),
        (None, Ok(_)) => match heard {
            Some((speaker, choice)) => {
                (true, format!("heard through {speaker}: {}; may vote itself", super::kebab(choice)))
            }
            None => (true, "may vote".to_owned()),
        },
        (None, Err(reject)) => (false, reject.to_string()),
    };
    VoterView {
        member: member.to_string(),
        weight: electorate.own(member).get(),
        ballot: electorate.ballot(member, vote.entrusted(member, electorate)).sum().get(),
        delegate: electorate.delegates.get(member).map(ToString::to_string),
        may_vote,
        reason,
    }
}

/// Every condition of the move that comes next, in the order in which they are judged.
pub(crate) fn conditions(proposal: &Proposal, now: TimeMs) -> Vec<ConditionView> {
    match proposal.stage {
        Stage::Submitted | Stage::Review => vec![reviews(proposal)],
        Stage::Voting => count(proposal),
        Stage::Confirming => {
            let mut conditions = count(proposal);
            conditions.push(clock(
                proposal,
                now,
                "confirm-period",
                "keeps passing until the confirm period ends",
            ));
            conditions
        }
        Stage::Queued => queued(proposal, now),
        Stage::Canary | Stage::Rollout(_) => vec![steps(proposal), health(proposal)],
        Stage::Verifying => vec![health(proposal)],
        Stage::RollingBack => vec![undone(proposal)],
        Stage::Executed | Stage::RolledBack | Stage::RollbackFailed | Stage::Auditing => {
            vec![audit(proposal)]
        }
        Stage::Failed => vec![resumes(proposal)],
        Stage::Disputed => vec![disputed(proposal)],
        Stage::Closed
        | Stage::Rejected
        | Stage::Defeated
        | Stage::Vetoed
        | Stage::Superseded
        | Stage::Expired
        | Stage::Cancelled => Vec::new(),
    }
}

fn condition(proposal: &Proposal, name: &str, met: bool, detail: String) -> ConditionView {
    ConditionView { name: name.to_owned(), met, detail, until_ms: proposal.deadline.map(TimeMs::get) }
}

fn reviews(proposal: &Proposal) -> ConditionView {
    let approved = proposal.reviews.values().filter(|verdict| **verdict == ReviewVerdict::Approve).count();
    let needed = usize::from(proposal.parameters.reviewers);
    let own = proposal.author.org();
    let detail = format!("{approved} of {needed} sign-offs from organisations other than {own}");
    condition(proposal, "reviews", approved >= needed, detail)
}

fn count(proposal: &Proposal) -> Vec<ConditionView> {
    proposal.count().tests.iter().map(|test| tally_test(proposal, test)).collect()
}

fn tally_test(proposal: &Proposal, test: &TallyTest) -> ConditionView {
    let kind = super::kebab(&test.kind);
    let asked = match kind.as_str() {
        "objection" => format!("must stay below {}", threshold(test.threshold)),
        _ => format!("needs {}", threshold(test.threshold)),
    };
    condition(proposal, &kind, test.holds, format!("{} of {}, {asked}", test.part, test.whole))
}

fn clock(proposal: &Proposal, now: TimeMs, name: &str, what: &str) -> ConditionView {
    let met = proposal.deadline.is_none_or(|deadline| deadline <= now);
    condition(proposal, name, met, what.to_owned())
}

fn queued(proposal: &Proposal, now: TimeMs) -> Vec<ConditionView> {
    let eta = proposal.eta.unwrap_or(now);
    let timelock = ConditionView {
        name: "timelock".to_owned(),
        met: eta <= now,
        detail: "the timelock has to run out".to_owned(),
        until_ms: Some(eta.get()),
    };
    let (name, detail) = if proposal.document.acts.is_empty() {
        ("claim", "an executor of the first stage's targets has to claim a step")
    } else {
        ("enactment", "the ledger carries it out by itself when everything else is met")
    };
    let claim = ConditionView {
        name: name.to_owned(),
        met: false,
        detail: detail.to_owned(),
        until_ms: Some(eta.after(proposal.parameters.execute_by).get()),
    };
    let signatures = proposal.parameters.cosign.map(|needed| {
        let (signed, from) = (proposal.cosigned_by.len(), proposal.cosigning_organisations());
        let detail = format!(
            "{signed} of {} guardians have signed, of {from} of {} organisations other than {}",
            needed.guardians,
            needed.organisations,
            proposal.author.org()
        );
        ConditionView {
            until_ms: claim.until_ms,
            ..condition(proposal, "cosign", proposal.is_cosigned(), detail)
        }
    });
    [Some(timelock), signatures, Some(claim)].into_iter().flatten().collect()
}

/// The steps of the stage that is carried out.
fn stage_steps(proposal: &Proposal) -> impl Iterator<Item = usize> {
    let stage = proposal.execution.stage;
    proposal
        .plan
        .steps
        .iter()
        .enumerate()
        .filter(move |(_, step)| step.stage == stage)
        .map(|(index, _)| index)
}

fn steps(proposal: &Proposal) -> ConditionView {
    let done = |index: &usize| {
        let progress = proposal.execution.steps.get(*index);
        progress.and_then(|progress| progress.outcome.as_ref()) == Some(&StepOutcome::Done)
    };
    let (done, all) = (stage_steps(proposal).filter(done).count(), stage_steps(proposal).count());
    condition(proposal, "steps", done == all, format!("{done} of {all} steps of this stage are done"))
}

fn health(proposal: &Proposal) -> ConditionView {
    let reports = || proposal.execution.health.values().flat_map(|by_org| by_org.iter());
    let healthy = reports().filter(|(_, report)| report.healthy).count();
    let mut detail = format!(
        "{healthy} of {} attestations are healthy; each target needs one of its owner and one of another organisation",
        reports().count()
    );
    if let Some((org, report)) = reports().find(|(_, report)| !report.healthy) {
        detail = format!("{detail}; {org}: {}", report.reason);
    }
    condition(proposal, "health", false, detail)
}

fn undone(proposal: &Proposal) -> ConditionView {
    let all = proposal.execution.steps.iter().filter(|step| step.may_have_effect()).count();
    let left = proposal.execution.steps.iter().filter(|step| step.needs_undo()).count();
    let cause = proposal
        .execution
        .rollback_cause
        .as_ref()
        .map_or(String::new(), |cause| format!("; because: {cause}"));
    let detail = format!("{} of {all} steps are undone{cause}", all.saturating_sub(left));
    condition(proposal, "rollback", left == 0, detail)
}

fn audit(proposal: &Proposal) -> ConditionView {
    let (found, needed) = (proposal.attestations.len(), usize::from(proposal.parameters.attestations));
    condition(proposal, "audit", found >= needed, format!("{found} of {needed} auditors have attested"))
}

fn resumes(proposal: &Proposal) -> ConditionView {
    let detail = format!(
        "nothing took effect; resumed {} of {} times, and has to be resumed again",
        proposal.execution.retries, proposal.parameters.retries
    );
    condition(proposal, "resume", false, detail)
}

fn disputed(proposal: &Proposal) -> ConditionView {
    let detail = "an auditor found something that does not hold; a corrective proposal is needed".to_owned();
    condition(proposal, "dispute", false, detail)
}
