//! Owns what guardians do in what they take for an emergency, and what they should not.

use althing_contracts::{
    act::Act,
    constitution::Track,
    document::ProposalDocument,
    emergency::{Declaration, Emergency, EmergencyId, EmergencyStage, Measure},
    name::{MemberId, TargetId},
    quantity::DurationMs,
    role::Role,
    state::State,
    testing::{amend, line},
    transaction::Call,
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom as _};

use super::Mood;

/// Most of what another guardian declared is signed, little is declared, and little of it is taken back.
pub(super) fn guard(random: &mut StdRng, state: &State, mood: Mood, member: &MemberId) -> Option<Call> {
    let declared =
        pick(random, state, |it| it.stage == EmergencyStage::Declared && !it.signers.contains(member));
    if let Some(emergency) = declared.filter(|_| random.random_bool(0.6)) {
        return Some(Call::SignEmergency { emergency });
    }
    let own = pick(random, state, |it| it.is_in_force() && it.signers.contains(member));
    match random.random_range(0..100) {
        0..4 => own.map(|emergency| Call::EndEmergency { emergency }),
        4..12 if mood == Mood::Divided => declare(random, state),
        4..6 => declare(random, state),
        _ => None,
    }
}

/// A measure that nobody may order, a content that was used, a signature that comes late, an end that is not one's own to make.
pub(super) fn misbehave(random: &mut StdRng, state: &State) -> Option<Call> {
    let known = pick(random, state, |_| true);
    match (known, random.random_range(0..4)) {
        (Some(emergency), 0) => Some(Call::EndEmergency { emergency }),
        (Some(emergency), 1) => Some(Call::SignEmergency { emergency }),
        (Some(emergency), 2) => {
            let declaration = state.emergency(emergency)?.declaration.clone();
            Some(Call::DeclareEmergency { declaration })
        }
        _ => {
            let voter = state.members_with(Role::Voter).next()?.clone();
            let measures = vec![Measure::SuspendExecutor { member: voter }];
            let expires = state.time().after(DurationMs::new(1_000));
            Some(Call::DeclareEmergency {
                declaration: Declaration { measures, reason: line("coup"), expires },
            })
        }
    }
}

/// Now and then the members give somebody who lost it the power back.
pub(super) fn reinstatement(random: &mut StdRng, state: &State) -> Option<ProposalDocument> {
    let suspended: Vec<&MemberId> =
        state.members_with(Role::Guardian).filter(|id| state.check_power(id).is_err()).collect();
    let guardian = MemberId::clone(suspended.choose(random)?);
    let acts = vec![Act::Reinstate { guardian }];
    Some(ProposalDocument { title: line("power given back"), acts, ..amend(state.constitution().clone()) })
}

/// One or two measures for a time that is now and then too long.
fn declare(random: &mut StdRng, state: &State) -> Option<Call> {
    let targets: Vec<&TargetId> = state.targets().map(|(id, _)| id).collect();
    let executors: Vec<&MemberId> = state.members_with(Role::Executor).collect();
    let mut measures = Vec::new();
    for _ in 0..random.random_range(1..=2) {
        let target = TargetId::clone(targets.choose(random)?);
        measures.push(match random.random_range(0..10) {
            0..2 => {
                Measure::HaltTrack { track: *[Track::Routine, Track::Standard, Track::High].choose(random)? }
            }
            2..6 => Measure::PauseTarget { target },
            6..8 => Measure::IsolateTarget { target },
            _ => Measure::SuspendExecutor { member: MemberId::clone(executors.choose(random)?) },
        });
    }
    let length = DurationMs::new(random.random_range(500..4_200));
    let declaration = Declaration { measures, reason: line("it burns"), expires: state.time().after(length) };
    Some(Call::DeclareEmergency { declaration })
}

fn pick(random: &mut StdRng, state: &State, fits: impl Fn(&Emergency) -> bool) -> Option<EmergencyId> {
    let fitting: Vec<EmergencyId> = state.emergencies().filter(|it| fits(it)).map(|it| it.id).collect();
    fitting.choose(random).copied()
}
