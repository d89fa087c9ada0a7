//! Owns the calendar: every instant at which the ledger acts by itself or by which somebody has to. All of it is read off the
//! state; no rule is repeated here.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    constitution::Track,
    delegation::Delegation,
    emergency::{Emergency, EmergencyId, EmergencyStage, Mandate},
    name::MemberId,
    proposal::Proposal,
    quantity::TimeMs,
    recovery::Recovery,
    role::Role,
    stage::Stage,
    state::State,
    transaction::ProposalId,
};

/// Something that falls due.
///
/// Entries are ordered by time, then by what happens and to what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Due {
    /// When, by the ledger's clock.
    pub at: TimeMs,
    /// What happens.
    pub occasion: Occasion,
    /// To what.
    pub subject: Subject,
}

/// What happens at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Occasion {
    /// What is not signed off by then expires.
    ReviewEnds,
    /// The ballots are counted.
    VotingEnds,
    /// What kept passing is decided.
    ConfirmationEnds,
    /// It may begin, or the ledger carries it out.
    TimelockEnds,
    /// The ledger looks again at what could not be carried out at the end of the timelock.
    EnactmentTried,
    /// What has not begun by then expires.
    BeginBy,
    /// What is not done and healthy by then is stopped.
    StageEnds,
    /// What is not undone by then has failed for good.
    RollbackEnds,
    /// Until then a failed execution may be taken up again.
    ResumeBy,
    /// By then auditors are expected to have spoken.
    AuditDue,
    /// What too few guardians have signed by then lapses.
    SigningEnds,
    /// The measures of an emergency end.
    MeasuresEnd,
    /// A guardian's powers end.
    TermEnds,
    /// A delegate speaks in what is submitted from then on.
    DelegationBegins,
    /// A voter speaks for itself again.
    DelegationEnds,
    /// A key that colleagues have recovered takes effect, unless somebody stops it.
    KeyRecovered,
}

/// To what something happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Subject {
    /// A proposal.
    Proposal(ProposalId),
    /// An emergency.
    Emergency(EmergencyId),
    /// A guardian's powers.
    Guardian(MemberId),
    /// A voter's voice on one track, and who is to speak with it.
    Voice {
        /// Whose.
        from: MemberId,
        /// On which track.
        track: Track,
        /// Who speaks.
        to: MemberId,
    },
    /// A member's key.
    Key {
        /// Whose.
        holder: MemberId,
        /// For which role.
        role: Role,
    },
}

impl State {
    /// What falls due after an entry of the calendar, or from the last block on, in its order and at most `most` of it.
    ///
    /// Its cost grows with the number of open proposals, members and emergencies, its memory with `most` alone.
    #[must_use]
    pub fn calendar(&self, after: Option<&Due>, most: usize) -> Vec<Due> {
        let mut first = BTreeSet::new();
        for due in
            self.dues().filter(|due| due.at > self.time()).filter(|due| after.is_none_or(|it| due > it))
        {
            first.insert(due);
            if first.len() > most {
                first.pop_last();
            }
        }
        first.into_iter().collect()
    }

    fn dues(&self) -> impl Iterator<Item = Due> {
        let proposals = self.timed_proposals().flat_map(of_proposal);
        let emergencies = self.emergencies().filter_map(of_emergency);
        let terms = self.mandates().filter_map(of_mandate);
        let recovered = self.recoveries().filter_map(of_recovery);
        let voices = self.members().flat_map(|(id, member)| {
            let said = member.delegations.iter();
            said.flat_map(move |(track, delegation)| of_voice(id, *track, delegation))
        });
        proposals.chain(emergencies).chain(terms).chain(recovered).chain(voices)
    }
}

fn of_proposal(proposal: &Proposal) -> impl Iterator<Item = Due> {
    let subject = Subject::Proposal(proposal.id);
    let queued = proposal.stage == Stage::Queued;
    let deadline = proposal.deadline.and_then(|at| Some((at, occasion(proposal, at)?)));
    let last = proposal.begin_by().filter(|_| queued).map(|at| (at, Occasion::BeginBy));
    let dues: BTreeSet<_> = deadline.into_iter().chain(last).collect();
    dues.into_iter().map(move |(at, occasion)| Due { at, occasion, subject: subject.clone() })
}

/// What the ledger's timer on a proposal stands for.
fn occasion(proposal: &Proposal, at: TimeMs) -> Option<Occasion> {
    Some(match proposal.stage {
        Stage::Review => Occasion::ReviewEnds,
        Stage::Voting => Occasion::VotingEnds,
        Stage::Confirming => Occasion::ConfirmationEnds,
        Stage::Queued if proposal.eta == Some(at) => Occasion::TimelockEnds,
        Stage::Queued if proposal.begin_by() == Some(at) => Occasion::BeginBy,
        Stage::Queued => Occasion::EnactmentTried,
        Stage::Canary | Stage::Rollout(_) | Stage::Verifying => Occasion::StageEnds,
        Stage::RollingBack => Occasion::RollbackEnds,
        Stage::Failed => Occasion::ResumeBy,
        Stage::Auditing => Occasion::AuditDue,
        _ => return None,
    })
}

fn of_emergency(emergency: &Emergency) -> Option<Due> {
    let declared = emergency.stage == EmergencyStage::Declared;
    let occasion = if declared { Occasion::SigningEnds } else { Occasion::MeasuresEnd };
    Some(Due { at: emergency.deadline()?, occasion, subject: Subject::Emergency(emergency.id) })
}

/// Powers that are suspended have nothing left that could end.
fn of_mandate((guardian, mandate): (&MemberId, &Mandate)) -> Option<Due> {
    let subject = Subject::Guardian(guardian.clone());
    let held = mandate.suspended_by.is_none();
    held.then_some(Due { at: mandate.until, occasion: Occasion::TermEnds, subject })
}

fn of_recovery((holder, role, recovery): (&MemberId, Role, &Recovery)) -> Option<Due> {
    let subject = Subject::Key { holder: holder.clone(), role };
    Some(Due { at: recovery.agreed?.due, occasion: Occasion::KeyRecovered, subject })
}

fn of_voice(from: &MemberId, track: Track, delegation: &Delegation) -> [Due; 2] {
    let subject = Subject::Voice { from: from.clone(), track, to: delegation.to.clone() };
    let begins = Due { at: delegation.from, occasion: Occasion::DelegationBegins, subject: subject.clone() };
    [begins, Due { at: delegation.expires, occasion: Occasion::DelegationEnds, subject }]
}

impl Occasion {
    /// The occasion's name in files and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReviewEnds => "review-ends",
            Self::VotingEnds => "voting-ends",
            Self::ConfirmationEnds => "confirmation-ends",
            Self::TimelockEnds => "timelock-ends",
            Self::EnactmentTried => "enactment-tried",
            Self::BeginBy => "begin-by",
            Self::StageEnds => "stage-ends",
            Self::RollbackEnds => "rollback-ends",
            Self::ResumeBy => "resume-by",
            Self::AuditDue => "audit-due",
            Self::SigningEnds => "signing-ends",
            Self::MeasuresEnd => "measures-end",
            Self::TermEnds => "term-ends",
            Self::DelegationBegins => "delegation-begins",
            Self::DelegationEnds => "delegation-ends",
            Self::KeyRecovered => "key-recovered",
        }
    }

    /// Who has to act before that; nobody where the clock alone decides.
    #[must_use]
    pub const fn awaits(self) -> Option<Role> {
        match self {
            Self::ReviewEnds => Some(Role::Reviewer),
            Self::VotingEnds => Some(Role::Voter),
            Self::BeginBy | Self::StageEnds | Self::RollbackEnds | Self::ResumeBy => Some(Role::Executor),
            Self::AuditDue => Some(Role::Auditor),
            Self::SigningEnds => Some(Role::Guardian),
            Self::ConfirmationEnds
            | Self::TimelockEnds
            | Self::EnactmentTried
            | Self::MeasuresEnd
            | Self::TermEnds
            | Self::DelegationBegins
            | Self::DelegationEnds
            | Self::KeyRecovered => None,
        }
    }
}

#[cfg(test)]
mod tests;
