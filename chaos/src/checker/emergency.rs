//! Owns the questions about emergencies: who carried one, from when to when it held, what began in that time, what the members made
//! of it, and whether its signers used a power that it had cost them. From declarations and signatures alone, by its own sums.

use std::collections::BTreeSet;

use althing_contracts::{
    constitution::{Threshold, Track},
    digest::Digest,
    emergency::{Declaration, EmergencyId, Measure},
    name::MemberId,
    quantity::{Height, Revision, TimeMs},
    role::Role,
    stage::Stage,
    transaction::{Call, ProposalId},
};

use super::{
    Evidence, Findings, Invariant, approval,
    history::{Alert, History, StepMark},
    rules::{Law, Rules},
    sums::{Electorate, Sums},
};

/// What was said about one emergency.
struct Case<'a> {
    declaration: &'a Declaration,
    declared_by: &'a MemberId,
    signers: BTreeSet<&'a MemberId>,
    /// The rules in force when it was declared.
    pinned: Law<'a>,
    /// The block in which the last signature that it needed is.
    active: Option<StepMark>,
    /// The block in which a signer took it back.
    taken_back: Option<Height>,
    /// When the members had not ratified it.
    reverted: Option<TimeMs>,
}

pub(super) fn judge(evidence: &Evidence<'_>, history: &History, rules: &Rules<'_>, findings: &mut Findings) {
    let network = evidence.genesis.network();
    let mut cases: Vec<Case<'_>> = Vec::new();
    for alert in &history.alerts {
        let Some(index) = take(&mut cases, alert, network, rules) else { continue };
        let has_lost = |guardian: &MemberId| {
            let lost = |case: &Case<'_>| case.reverted.is_some_and(|time| alert.at.time >= time);
            cases.iter().any(|case| lost(case) && case.signers.contains(guardian))
        };
        if has_lost(&alert.guardian) && !was_given_back(evidence, history, &alert.guardian) {
            let what = format!("{} signs at height {} without power", alert.guardian, alert.at.height);
            findings.add(Invariant::Emergency, what);
        }
        let case = &cases[index];
        let powerful = case.signers.iter().copied().filter(|signer| !has_lost(signer)).collect();
        if case.active.is_none() && case.is_carried_by(&powerful) {
            let in_force = rules.at(alert.at.height);
            let ratified = case.passes(evidence, history, &in_force, alert.at);
            let case = &mut cases[index];
            case.active = Some(alert.at);
            case.reverted = (!ratified).then(|| alert.at.time.after(in_force.constitution.emergency.ratify));
        }
    }
    // When a decision gave power back, nobody says here when: what its holder signed is left to the other judges.
    let is_clear = |case: &&Case<'_>| !case.signers.iter().any(|it| was_given_back(evidence, history, it));
    for case in cases.iter().filter(is_clear) {
        case.judge_outcome(evidence, network, findings);
        case.judge_transactions(history, findings);
    }
    let known: BTreeSet<ProposalId> = cases.iter().map(|case| case.proposal(network)).collect();
    for (id, story) in &history.stories {
        if story.editions.is_empty() && !story.ballots.is_empty() && !known.contains(id) {
            findings.add(Invariant::Emergency, format!("{id} is voted on, and nobody opened it"));
        }
    }
}

/// Adds what a guardian said, and yields the case when it was a signature.
fn take<'a>(
    cases: &mut Vec<Case<'a>>,
    alert: &'a Alert,
    network: Digest,
    rules: &Rules<'a>,
) -> Option<usize> {
    let named = |cases: &[Case<'a>], id: EmergencyId| {
        cases.iter().position(|case| EmergencyId::of(network, case.declaration) == id)
    };
    match &alert.call {
        Call::DeclareEmergency { declaration } => {
            cases.push(Case {
                declaration,
                declared_by: &alert.guardian,
                signers: BTreeSet::from([&alert.guardian]),
                pinned: rules.at(alert.at.height),
                active: None,
                taken_back: None,
                reverted: None,
            });
            cases.len().checked_sub(1)
        }
        Call::SignEmergency { emergency } => {
            let index = named(cases, *emergency)?;
            cases[index].signers.insert(&alert.guardian);
            Some(index)
        }
        Call::EndEmergency { emergency } => {
            let index = named(cases, *emergency)?;
            cases[index].taken_back.get_or_insert(alert.at.height);
            None
        }
        _ => None,
    }
}

impl Case<'_> {
    fn proposal(&self, network: Digest) -> ProposalId {
        self.declaration.judgement(network, self.declared_by).0
    }

    fn is_carried_by(&self, signers: &BTreeSet<&MemberId>) -> bool {
        let rules = &self.pinned.constitution.emergency;
        let all = self.pinned.parties.guardians();
        let organisations: BTreeSet<_> = signers.iter().map(|signer| signer.org()).collect();
        let (signed, all) = (signers.len() as u128, all as u128);
        let (numerator, denominator) = match rules.guardians {
            Threshold::AtLeast(ratio) | Threshold::MoreThan(ratio) => {
                (u128::from(ratio.numerator()), u128::from(ratio.denominator()))
            }
        };
        let enough = match rules.guardians {
            Threshold::AtLeast(_) => signed * denominator >= all * numerator,
            Threshold::MoreThan(_) => signed * denominator > all * numerator,
        };
        enough && organisations.len() >= usize::from(rules.organisations)
    }

    /// Whether the ballots pass it, by the electorate of the block in which it began.
    fn passes(&self, evidence: &Evidence<'_>, history: &History, law: &Law<'_>, begun: StepMark) -> bool {
        let id = self.proposal(evidence.genesis.network());
        let Some(story) = history.stories.get(&id) else { return false };
        let electorate = Electorate::of(law, Track::Standard, (begun.height, begun.time));
        let cast = story.ballots.iter().filter(|ballot| ballot.revision == Revision::new(1));
        let sums = Sums::of(&electorate, cast);
        law.constitution.tracks.get(&Track::Standard).is_some_and(|standard| sums.pass(&standard.scheme))
    }

    /// How the ledger says that the vote ended is how the ballots say.
    fn judge_outcome(&self, evidence: &Evidence<'_>, network: Digest, findings: &mut Findings) {
        let Some(ended) = evidence.ended.get(&self.proposal(network)) else { return };
        let is_sound = match (self.active.is_some(), self.reverted.is_some()) {
            (true, true) => ended.stage == Stage::Defeated,
            (true, false) => ended.stage == Stage::Executed,
            (false, _) => false,
        };
        if !is_sound {
            let what = format!(
                "the judgement over an emergency that {:?} signed is {}, active {:?}, reverted {:?}",
                self.signers, ended.stage, self.active, self.reverted
            );
            findings.add(Invariant::Emergency, what);
        }
    }

    /// Whether its measures held from before a block until after it.
    fn holds(&self, at: StepMark) -> bool {
        let begun = self.active.is_some_and(|active| active.height < at.height);
        let ends = self.reverted.map_or(self.declaration.expires, |time| time.min(self.declaration.expires));
        begun && at.time < ends && self.taken_back.is_none_or(|height| at.height < height)
    }

    fn judge_transactions(&self, history: &History, findings: &mut Findings) {
        for measure in &self.declaration.measures {
            match measure {
                Measure::SuspendExecutor { member } => {
                    let acts = |entry: &&super::history::Entry| {
                        entry.sender == *member && entry.role == Role::Executor && self.holds(entry.at)
                    };
                    if let Some(entry) = history.transactions.iter().find(acts) {
                        let what =
                            format!("the suspended executor {member} acts at height {}", entry.at.height);
                        findings.add(Invariant::Emergency, what);
                    }
                }
                Measure::HaltTrack { track } => {
                    for (id, story) in &history.stories {
                        let halted = story.editions.iter().find(|edition| {
                            let at = StepMark { step: 0, height: edition.height, time: edition.time };
                            self.holds(at) && approval::track_of(&self.pinned, edition) == *track
                        });
                        if let Some(edition) = halted {
                            let what =
                                format!("{id} is submitted at height {} to a halted track", edition.height);
                            findings.add(Invariant::Emergency, what);
                        }
                    }
                }
                Measure::PauseTarget { target } | Measure::IsolateTarget { target } => {
                    let isolates = matches!(measure, Measure::IsolateTarget { .. });
                    for (id, story) in &history.stories {
                        let mut first = BTreeSet::new();
                        for claim in &story.claims {
                            let of_target =
                                story.planned(claim.step).is_some_and(|step| step.target == *target);
                            // The first claim of a step is no undo; what runs was stopped when the measures began to hold.
                            let is_first = first.insert(claim.step);
                            if of_target && self.holds(*claim) && (is_first || isolates) {
                                let what =
                                    format!("{id} acts on the held {target} at height {}", claim.height);
                                findings.add(Invariant::Emergency, what);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a decision gave the guardian the power back; nobody asks here when.
fn was_given_back(evidence: &Evidence<'_>, history: &History, guardian: &MemberId) -> bool {
    let executed = history
        .stories
        .iter()
        .filter(|(id, _)| evidence.ended.get(*id).is_some_and(|ended| ended.stage == Stage::Executed));
    let mut acts =
        executed.filter_map(|(_, story)| story.editions.last().map(|last| &last.document.acts)).flatten();
    acts.any(|act| matches!(act, althing_contracts::act::Act::Reinstate { guardian: who } if who == guardian))
}
