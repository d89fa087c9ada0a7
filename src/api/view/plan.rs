//! Owns how a plan is shown: each step with what it finds, what it does and what undoes it.

use althing_contracts::{
    act::{Act, PlannedAct},
    document::{Action, ProposalDocument},
    emergency::EmergencyId,
    genesis::MemberRecord,
    name::MemberId,
    plan::Plan,
    rules::Finding,
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    constitution::{ChangeView, changes, differences},
    document,
    time::rfc3339,
};

/// The dry run of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Give it when submitting, reviewing and voting: each is refused when the plan has moved.
    pub plan_hash: String,
    /// Digest of the document.
    pub document: String,
    /// Steps in order.
    pub steps: Vec<PlannedStepView>,
    /// Changes of the rules, or of who takes part, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<PlannedActView>,
}

/// One change of the rules, or of who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedActView {
    /// Which kind: `amend`, `ratify`, `reinstate`, or `set-` or `remove-` with what it is about.
    pub kind: String,
    /// What it changes, for example `member acme/alice`.
    pub subject: String,
    /// Digest of what it replaces; void when that has changed.
    pub replaces: String,
    /// What it changes, while what it replaces is in force.
    pub changes: Vec<ChangeView>,
}

/// One step, fully decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStepView {
    /// Index of the step.
    pub step: u16,
    /// Index of its stage; 0 is the canary.
    pub stage: u8,
    /// The stage's name.
    pub stage_name: String,
    /// Where.
    pub target: String,
    /// Who owns the target.
    pub owner: String,
    /// What is applied now; absent when nothing is.
    #[schema(value_type = Option<document::Action>)]
    pub before: Option<Action>,
    /// What will be applied.
    #[schema(value_type = document::Action)]
    pub after: Action,
    /// What undoes the step.
    #[schema(value_type = document::Action)]
    pub undo: Action,
}

/// A dry run before submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanReport {
    /// The plan.
    pub plan: PlanView,
    /// The track that the rules put it on.
    pub track: String,
    /// Hard rules that it breaks; with any, a submission is rejected at once.
    pub findings: Vec<FindingView>,
}

/// A broken hard rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// Which rule.
    pub rule: String,
    /// What broke it and what would keep it.
    pub message: String,
}

/// A document to be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The change.
    #[schema(value_type = document::ProposalDocument)]
    pub document: ProposalDocument,
}

impl PlanView {
    /// Shows a plan with the names of its document's stages, and what its acts change about the rules of `state`.
    pub fn new(state: &State, plan: &Plan, document: &ProposalDocument) -> Self {
        Self {
            plan_hash: plan.hash().to_string(),
            document: plan.document.to_string(),
            steps: steps(plan, document),
            acts: document
                .acts
                .iter()
                .zip(&plan.acts)
                .map(|(act, planned)| shown(state, act, planned))
                .collect(),
        }
    }
}

/// Shows the steps of a plan with the names of its document's stages.
pub(super) fn steps(plan: &Plan, document: &ProposalDocument) -> Vec<PlannedStepView> {
    let name_of = |stage: u8| {
        document.stages.get(usize::from(stage)).map_or_else(String::new, |stage| stage.name.to_string())
    };
    let shown = (0_u16..).zip(&plan.steps).map(|(step, planned)| PlannedStepView {
        step,
        stage: planned.stage,
        stage_name: name_of(planned.stage),
        target: planned.target.to_string(),
        owner: planned.owner.to_string(),
        before: planned.before.clone(),
        after: planned.action.clone(),
        undo: planned.undo.clone(),
    });
    shown.collect()
}

fn shown(state: &State, act: &Act, planned: &PlannedAct) -> PlannedActView {
    let subject = act.subject();
    let is_replaced = state.in_force(&subject) == planned.replaces;
    PlannedActView {
        kind: kind(act).to_owned(),
        subject: subject.to_string(),
        replaces: planned.replaces.to_string(),
        changes: if is_replaced { act_changes(state, act) } else { Vec::new() },
    }
}

const fn kind(act: &Act) -> &'static str {
    match act {
        Act::Amend { .. } => "amend",
        Act::Ratify { .. } => "ratify",
        Act::Reinstate { .. } => "reinstate",
        Act::Awaken { .. } => "awaken",
        Act::SetOrganisation { .. } => "set-organisation",
        Act::RemoveOrganisation { .. } => "remove-organisation",
        Act::SetMember { .. } => "set-member",
        Act::RemoveMember { .. } => "remove-member",
        Act::SetObserver { .. } => "set-observer",
        Act::RemoveObserver { .. } => "remove-observer",
        Act::SetTarget { .. } => "set-target",
        Act::RemoveTarget { .. } => "remove-target",
    }
}

/// What an act would put in the place of what is known now.
fn act_changes(state: &State, act: &Act) -> Vec<ChangeView> {
    let target = |id| state.target(id).map(|target| &target.record);
    let member = |id| {
        let held = state.member(id).filter(|member| !member.has_left());
        held.map(|held| MemberRecord { weight: held.weight, keys: held.keys.clone() })
    };
    match act {
        Act::Amend { constitution } => changes(state.constitution(), constitution),
        Act::Ratify { emergency } => vec![judged(state, *emergency)],
        Act::Reinstate { guardian } => vec![term(state, guardian)],
        Act::Awaken { .. } => vec![dormancy(state)],
        Act::SetOrganisation { organisation: org, record } => {
            differences(state.organisation(org), Some(record))
        }
        Act::RemoveOrganisation { organisation: org } => differences(state.organisation(org), None),
        Act::SetMember { member: id, record } => differences(member(id).as_ref(), Some(record)),
        Act::RemoveMember { member: id } => differences(member(id).as_ref(), None),
        Act::SetObserver { observer: name, record } => differences(state.observer(name), Some(record)),
        Act::RemoveObserver { observer: name } => differences(state.observer(name), None),
        Act::SetTarget { target: id, record } => differences(target(id), Some(record)),
        Act::RemoveTarget { target: id } => differences(target(id), None),
    }
}

fn judged(state: &State, emergency: EmergencyId) -> ChangeView {
    let before = state.emergency(emergency).map(|held| held.stage.to_string());
    ChangeView { parameter: format!("emergency {emergency}"), before, after: Some("ratified".to_owned()) }
}

fn dormancy(state: &State) -> ChangeView {
    let before = state.dormant_since().map(|since| format!("since {}", rfc3339(since)));
    ChangeView { parameter: "dormancy".to_owned(), before, after: Some("over".to_owned()) }
}

fn term(state: &State, guardian: &MemberId) -> ChangeView {
    let before = state.mandate(guardian).map(|mandate| match mandate.suspended_by {
        Some(by) => format!("suspended by emergency {by}"),
        None => format!("until {}", rfc3339(mandate.until)),
    });
    let after = format!("{} ms from the decision on", state.constitution().emergency.term);
    ChangeView { parameter: format!("powers of the guardian {guardian}"), before, after: Some(after) }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        Self { rule: super::kebab(&finding.rule), message: finding.message.to_string() }
    }
}
