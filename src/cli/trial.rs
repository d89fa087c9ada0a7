//! Owns meshes that exist only to be asked what the rules make of something: made-up members with a role each, and keys that
//! nobody has, since nothing is signed in a rehearsal.

use std::collections::BTreeMap;

use althing_contracts::{
    constitution::Constitution,
    digest::{Digest, Purpose},
    document::{
        Action, HealthCheck, ProposalDocument, RollbackPlan, ServiceLevel, StageDocument, StepDocument,
    },
    genesis::{GENESIS_SCHEMA, Genesis, MemberRecord, OrganisationRecord, TargetRecord, ValidatorRecord},
    name::{Line, MemberId, Name, OrgId, Prose, TargetId},
    quantity::{DurationMs, TimeMs, Weight},
    role::Role,
    signature::PublicKey,
    state::State,
};

use super::failure::{Exit, Failure, Outcome};

/// A mesh of organisations, each with the weight of its voter. Each has an author, a reviewer, a voter, an executor and a
/// guardian; the first one has an auditor too.
///
/// # Errors
/// The rules cannot be in force in it, or a target is not one of it.
pub(super) fn mesh(
    whose: &str,
    constitution: Constitution,
    organisations: &BTreeMap<OrgId, u64>,
    targets: BTreeMap<TargetId, TargetRecord>,
) -> Outcome<State> {
    let mut genesis = Genesis {
        schema: GENESIS_SCHEMA,
        name: named("trial")?,
        time: TimeMs::new(1),
        constitution,
        organisations: BTreeMap::new(),
        members: BTreeMap::new(),
        observers: BTreeMap::new(),
        targets,
    };
    for (org, weight) in organisations {
        let validator =
            ValidatorRecord { node: key(&format!("{org} node")), consensus: key(&format!("{org} vote")) };
        genesis.organisations.insert(org.clone(), OrganisationRecord { weight: Weight::new(1), validator });
        let mut roles = vec![Role::Author, Role::Reviewer, Role::Voter, Role::Executor, Role::Guardian];
        if genesis.organisations.len() == 1 {
            roles.push(Role::Auditor);
        }
        for role in roles {
            let weight = Weight::new(if role == Role::Voter { *weight } else { 0 });
            let keys = BTreeMap::from([(role, key(&format!("{org} {role}")))]);
            genesis.members.insert(member(org, role)?, MemberRecord { weight, keys });
        }
    }
    State::genesis(&genesis).map_err(|error| {
        let reason =
            std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        Failure::new(Exit::Usage, format!("{whose}: {error}{reason}"))
    })
}

/// A change in these stages that says everything the hard rules ask a change to say.
///
/// # Errors
/// Never: its texts are constants.
pub(super) fn change(state: &State, stages: Vec<Vec<StepDocument>>) -> Outcome<ProposalDocument> {
    let reason = Prose::new("a trial").map_err(|error| broken(&error))?;
    let mut document = ProposalDocument::of_acts(Line::shortened("a trial"), reason, Vec::new());
    let success = state.constitution().hard_rules.health_success_min;
    document.slo = Some(ServiceLevel { success, latency_p95_ms: DurationMs::new(250) });
    document.health = Some(HealthCheck {
        path: Line::shortened("/health"),
        samples: 1_000,
        success,
        latency_p95_ms: DurationMs::new(250),
        within_ms: DurationMs::new(60_000),
    });
    document.rollback = Some(RollbackPlan::Previous);
    for (index, steps) in stages.into_iter().enumerate() {
        document.stages.push(StageDocument { name: named(&format!("stage-{index}"))?, steps });
    }
    Ok(document)
}

/// The deployment of a service that every target can take.
///
/// # Errors
/// Never: its texts are constants.
pub(super) fn deployment() -> Outcome<Action> {
    let artefact = Digest::of_artefact(b"v2");
    Ok(Action::Deploy { service: named("web")?, version: named("v2")?, artefact, instances: 1 })
}

/// The member of an organisation that holds a role.
///
/// # Errors
/// Never: an organisation's name is part of a member's.
pub(super) fn member(org: &OrgId, role: Role) -> Outcome<MemberId> {
    MemberId::new(&format!("{org}/{role}")).map_err(|error| broken(&error))
}

/// A name.
///
/// # Errors
/// The text is none.
pub(super) fn named(text: &str) -> Outcome<Name> {
    Name::new(text).map_err(|error| broken(&error))
}

fn key(label: &str) -> PublicKey {
    PublicKey::Ed25519(*Digest::of(Purpose::Evidence, label.as_bytes()).as_bytes())
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::EndedBadly, error.to_string())
}
