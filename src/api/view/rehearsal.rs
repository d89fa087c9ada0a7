//! Owns what a rehearsal is asked for and how it is told: each thing that would happen, with its time from the submission.

use althing_contracts::{
    document::ProposalDocument,
    event::Event,
    name::{MemberId, OrgId},
    rehearsal::{Rehearsal, Script},
    role::Role,
    state::State,
    transaction::Choice,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document;
use crate::api::problem::Problem;

/// Most names of one kind in a request.
const NAMES_MAX: usize = 1_000;

/// A proposal, and what is not as it should be; everyone who is not named reviews, votes for, signs and carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearseRequest {
    /// The author.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/alice")]
    pub member: MemberId,
    /// The change.
    #[schema(value_type = document::ProposalDocument)]
    pub document: ProposalDocument,
    /// Voters, or organisations all of whose voters, vote against.
    #[serde(default)]
    pub against: Vec<String>,
    /// Voters or organisations that abstain.
    #[serde(default)]
    pub abstain: Vec<String>,
    /// Voters or organisations that do not vote.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Organisations whose reviewers refuse.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub refuse: Vec<OrgId>,
    /// Whether no guardian signs.
    #[serde(default)]
    pub unsigned: bool,
    /// Index of a step that fails without an effect.
    #[serde(default)]
    pub failing_step: Option<u16>,
    /// Index of a stage whose targets are found unhealthy; the number of stages stands for the final verification.
    #[serde(default)]
    pub unhealthy_stage: Option<u8>,
}

/// A life as it would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RehearsalView {
    /// Where it would end.
    pub stage: String,
    /// How its execution would end; absent when there would be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What would happen, in order.
    pub scenes: Vec<SceneView>,
}

/// Something that would happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SceneView {
    /// How long after the submission, when everyone acts at once.
    pub after_ms: u64,
    /// The event's type, as in `/v1/events`.
    pub event: String,
    /// What, in words.
    pub detail: String,
}

impl RehearseRequest {
    /// The script over the members of `state`.
    pub fn script(&self, state: &State) -> Result<Script, Problem> {
        let mut script = Script {
            refusing: self.refuse.iter().cloned().collect(),
            unsigned: self.unsigned,
            failing_step: self.failing_step,
            unhealthy_stage: self.unhealthy_stage,
            ..Script::of(self.member.clone())
        };
        let wanted = [
            ("against", &self.against, Some(Choice::Against)),
            ("abstain", &self.abstain, Some(Choice::Abstain)),
            ("absent", &self.absent, None),
        ];
        for (field, names, choice) in wanted {
            if names.len() > NAMES_MAX {
                let detail = format!("{field} has {} names; at most {NAMES_MAX} are allowed", names.len());
                return Err(Problem::bad_request("names", detail));
            }
            for name in names {
                let voters = voters(state, name);
                if voters.is_empty() {
                    let detail = format!("{field}: {name} is no voter, and no organisation that has one");
                    return Err(Problem::bad_request("unknown-voter", detail));
                }
                script.ballots.extend(voters.into_iter().map(|voter| (voter, choice)));
            }
        }
        Ok(script)
    }
}

fn voters(state: &State, name: &str) -> Vec<MemberId> {
    let is_named = |id: &&MemberId| id.as_str() == name || id.org_str() == name;
    state.members_with(Role::Voter).filter(is_named).cloned().collect()
}

impl RehearsalView {
    /// Tells a rehearsal.
    pub fn new(rehearsal: &Rehearsal) -> Self {
        let scenes = rehearsal.scenes.iter().map(|scene| SceneView {
            after_ms: scene.after.get(),
            event: kind(&scene.event),
            detail: detail(&scene.event),
        });
        Self {
            stage: rehearsal.stage.name().to_owned(),
            ended: rehearsal.ended.map(|stage| stage.name().to_owned()),
            scenes: scenes.collect(),
        }
    }
}

fn kind(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value.get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned()
}

fn detail(event: &Event) -> String {
    match event {
        Event::Submitted { author, .. } => format!("by {author}"),
        Event::StageChanged { from, to, cause, .. } => format!("{from} → {to}: {cause}"),
        Event::RulesBroken { findings, .. } => {
            findings.iter().map(|finding| finding.message.to_string()).collect::<Vec<_>>().join("; ")
        }
        Event::Reviewed { reviewer, verdict, .. } => format!("{reviewer}: {}", super::kebab(verdict)),
        Event::Voted { voter, choice, .. } => format!("{voter}: {}", super::kebab(choice)),
        Event::VotingExtended { until, .. } => format!("until {until}"),
        Event::Tallied { tally, .. } => {
            let test = |test: &althing_contracts::tally::TallyTest| {
                let holds = if test.holds { "" } else { "not " };
                format!("{} {} of {}, {holds}enough", test.kind, test.part, test.whole)
            };
            tally.tests.iter().map(test).collect::<Vec<_>>().join("; ")
        }
        Event::Cosigned { guardian, .. } => format!("{guardian}"),
        Event::StepClaimed { step, target, executor, undo, .. } => {
            format!("{executor} takes {} {step} on {target}", word(*undo))
        }
        Event::StepReported { step, target, undo, outcome, .. } => match outcome {
            althing_contracts::transaction::StepOutcome::Done => {
                format!("{} {step} on {target} is done", word(*undo))
            }
            althing_contracts::transaction::StepOutcome::Failed { reason, .. } => {
                format!("{} {step} on {target} failed: {reason}", word(*undo))
            }
        },
        Event::HealthAttested { target, org, health, .. } => {
            format!("{org} finds {target} {}", if health.healthy { "healthy" } else { "unhealthy" })
        }
        Event::Attested { auditor, verdict, .. } => format!("{auditor}: {}", super::kebab(verdict)),
        Event::Warned { warning, .. } => warning.to_string(),
        Event::Amended { version, .. } => format!("version {version} of the constitution is in force"),
        Event::Enacted { subject, .. } => format!("{subject} is changed"),
        Event::Reinstated { guardian, .. } => format!("{guardian} holds the powers of a guardian"),
        Event::CooldownBegan { failures, until, .. } => {
            format!("failure {failures}; the same may be submitted again at {until}")
        }
        Event::BondHeld { author, points, .. } => format!("{points} points of {author}"),
        Event::BondSettled { author, points, lost_until, .. } => match lost_until {
            None => format!("{points} points go back to {author}"),
            Some(until) => format!("{points} points go back to {author} at {until}"),
        },
        Event::Dormant { votes, .. } => format!("after {votes} votes in a row that too few took part in"),
        Event::Awake { .. } => "governance is not dormant any more".to_owned(),
        Event::ExpiryNear { expiring, at } => format!("{expiring} ends at {at}"),
        // No rehearsal is of an emergency.
        Event::EmergencyDeclared { .. }
        | Event::EmergencySigned { .. }
        | Event::EmergencyLapsed { .. }
        | Event::EmergencyActivated { .. }
        | Event::EmergencyLifted { .. }
        | Event::EmergencyRatified { .. }
        | Event::EmergencyReverted { .. }
        | Event::EmergencyAttested { .. }
        | Event::Promoted { .. }
        | Event::Resumed { .. }
        | Event::Equivocated { .. }
        | Event::Delegated { .. }
        | Event::Revoked { .. }
        | Event::KeyReplaced { .. }
        | Event::RecoverySigned { .. }
        | Event::RecoveryAgreed { .. }
        | Event::RecoveryStopped { .. }
        | Event::TimelockElapsed { .. } => String::new(),
    }
}

const fn word(undo: bool) -> &'static str {
    if undo { "the undo of step" } else { "step" }
}
