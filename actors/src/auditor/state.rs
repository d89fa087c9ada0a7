//! Owns what one auditor knows: its own application of the ledger, its witness list, heads, alarms, and what it
//! still has to attest. Synchronous; refuses to attest anything once the ledger itself does not hold.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    certificate::{Certificate, CertificateError},
    digest::Digest,
    emergency::EmergencyId,
    genesis::{Genesis, GenesisError},
    name::{Line, MemberId},
    quantity::Height,
    stage::Stage,
    state::State,
    transaction::{AuditVerdict, Call, ProposalId},
};
use serde::Serialize;

use super::{
    alarm::{Alarm, AlarmBook},
    heads::{HeadBook, Observed, SplitView},
    judge::Judge,
    replay::{Head, Replay, Replayed},
    witness::{Witness, WitnessError, WitnessList},
};
use crate::{
    causes::with_causes,
    failpoint,
    journal::{JournalError, Shelf},
    ledger::message::{CertifiedBlock, LedgerView},
};

/// Name of the witness list.
const WITNESS: &str = "witness";
/// Name of the list of alarms.
const ALARMS: &str = "alarms";

/// What an auditor needs to begin.
#[derive(Debug, Clone)]
pub struct AuditorConfig {
    /// The member that attests; `None` makes a witness that only looks.
    pub member: Option<MemberId>,
    /// Where its witness list and alarms are kept.
    pub shelf: Shelf,
}

/// Why an auditor cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditorError {
    /// No ledger can begin with the genesis.
    #[error("no ledger can begin with this genesis")]
    Genesis(#[from] GenesisError),
    /// The witness list cannot be used.
    #[error("the witness list cannot be used")]
    Witness(#[from] WitnessError),
    /// The list of alarms cannot be used.
    #[error("the list of alarms cannot be used")]
    Alarms(#[from] JournalError),
    /// The directory cannot be made.
    #[error("the auditor's directory cannot be made")]
    Directory(#[source] std::io::Error),
}

/// What an attestation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A finished proposal.
    Proposal(ProposalId),
    /// The use of an emergency.
    Emergency(EmergencyId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proposal(id) => write!(f, "proposal {id}"),
            Self::Emergency(id) => write!(f, "emergency {id}"),
        }
    }
}

/// What an auditor says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditorStatus {
    /// Height re-applied.
    pub height: Height,
    /// Block at that height.
    pub head: Digest,
    /// State root after it, by own application.
    pub state_root: Digest,
    /// Highest height on the witness list.
    pub witnessed: Height,
    /// Alarms kept, those of earlier runs included.
    pub alarms: usize,
    /// Whether the ledger holds as far as it was re-applied.
    pub sound: bool,
}

/// The auditor's knowledge.
#[derive(Debug)]
pub struct AuditorState {
    member: Option<MemberId>,
    replay: Replay,
    witness: WitnessList,
    alarms: AlarmBook,
    heads: HeadBook,
    judge: Judge,
    /// What was found about single proposals.
    unsound: BTreeMap<ProposalId, Line>,
    /// Set by the first thing that does not hold about the ledger itself; nothing after it means anything.
    broken: bool,
    /// Whether this run has compared the length of the node's ledger with the witness list.
    length_judged: bool,
    raised: Vec<Alarm>,
}

impl AuditorState {
    /// Begins at genesis; blocks that were witnessed before are compared as they are re-applied.
    ///
    /// # Errors
    /// The genesis or the directory cannot be used.
    pub fn open(config: &AuditorConfig, genesis: &Genesis) -> Result<Self, AuditorError> {
        let place = |name| config.shelf.place(name).map_err(AuditorError::Directory);
        Ok(Self {
            member: config.member.clone(),
            replay: Replay::begin(genesis)?,
            witness: WitnessList::open(place(WITNESS)?, genesis.network())?,
            alarms: AlarmBook::open(place(ALARMS)?)?,
            heads: HeadBook::default(),
            judge: Judge::default(),
            unsound: BTreeMap::new(),
            broken: false,
            length_judged: false,
            raised: Vec::new(),
        })
    }

    /// The height to read next.
    #[must_use]
    pub fn next_height(&self) -> Height {
        self.replay.head().height.next()
    }

    /// Re-applies blocks in order and witnesses those that hold; the list is on the disk on return. Stops at the
    /// first block that does not hold, with an alarm.
    ///
    /// # Errors
    /// The disk fails.
    pub fn apply(&mut self, blocks: &[CertifiedBlock]) -> Result<usize, AuditorError> {
        let mut seen = Vec::new();
        for block in blocks {
            let Some(witness) = self.apply_one(block)? else { break };
            seen.push(witness);
        }
        failpoint::reach("auditor.applied");
        self.witness.append(&seen)?;
        failpoint::reach("auditor.witnessed");
        Ok(seen.len())
    }

    fn apply_one(&mut self, block: &CertifiedBlock) -> Result<Option<Witness>, AuditorError> {
        if self.broken {
            return Ok(None);
        }
        let height = self.next_height();
        let before = self.replay.state().clone();
        let replayed = match self.replay.apply(block) {
            Ok(replayed) => replayed,
            Err(error) => {
                self.broken = true;
                self.raise(Alarm::invalid(height, &with_causes(&error)))?;
                return Ok(None);
            }
        };
        let witness = replayed.witness();
        if let Err(rewritten) = self.witness.check(witness) {
            self.broken = true;
            self.raise((*rewritten).into())?;
            return Ok(None);
        }
        self.judge(&before, &replayed)?;
        if let Some(split) = self.heads.settle(&block.certificate) {
            self.broken = true;
            self.raise(Alarm::SplitView(split))?;
        }
        Ok(Some(witness))
    }

    /// A violation of one proposal makes that proposal unsound, any other makes the ledger unsound.
    fn judge(&mut self, before: &State, block: &Replayed) -> Result<(), AuditorError> {
        for violation in self.judge.judge(before, block, self.replay.state()) {
            let finding = Line::shortened(&violation.to_string());
            match violation.proposal {
                Some(proposal) => drop(self.unsound.entry(proposal).or_insert(finding)),
                None => self.broken = true,
            }
            self.raise(Alarm::violated(block.header.height, &violation))?;
        }
        Ok(())
    }

    /// Compares the node's view with what was re-applied and witnessed.
    ///
    /// # Errors
    /// The disk fails.
    pub fn compare(&mut self, view: &LedgerView) -> Result<(), AuditorError> {
        let own = self.replay.head();
        let shown = view.header.as_ref().map_or(Height::ZERO, |header| header.height);
        let witnessed = self.witness.height();
        if !std::mem::replace(&mut self.length_judged, true) && shown < witnessed {
            return self.raise(Alarm::HistoryShortened { witnessed, shown });
        }
        let shown_root = view.state.clone().root();
        if shown == own.height && shown != Height::ZERO && shown_root != own.state_root {
            let alarm = Alarm::StateDiffers { height: shown, own: own.state_root, shown: shown_root };
            return self.raise(alarm);
        }
        Ok(())
    }

    /// Takes the head that a peer shows.
    ///
    /// # Errors
    /// The certificate proves nothing, or the disk fails.
    pub fn observe(&mut self, head: Certificate) -> Result<Observed, ObserveError> {
        let state = self.replay.state();
        let observed = self.heads.observe(state.network(), self.replay.rosters(), head)?;
        if let Observed::Split(split) = &observed {
            self.broken = true;
            self.raise(Alarm::SplitView(SplitView::clone(split)))?;
        }
        Ok(observed)
    }

    /// The attestations that this auditor owes: finished proposals and used emergencies on which it has not spoken
    /// yet, by the ledger's own record, so that a restart repeats nothing.
    #[must_use]
    pub fn due(&self, in_flight: &BTreeSet<Subject>) -> Vec<(Subject, Call)> {
        let Some(member) = self.member.as_ref().filter(|_| !self.broken) else { return Vec::new() };
        let Head { height, digest, .. } = self.replay.head();
        let state = self.replay.state();
        let owed = state.proposals().filter(|proposal| {
            proposal.stage == Stage::Auditing
                && !proposal.attestations.contains_key(member)
                && !in_flight.contains(&Subject::Proposal(proposal.id))
        });
        let proposals = owed.map(|proposal| {
            let (proposal, verdict) = (proposal.id, self.verdict(proposal.id));
            (Subject::Proposal(proposal), Call::Attest { proposal, verdict, height, block: digest })
        });
        let used = state.emergencies().filter_map(|held| Some((held, held.activation?)));
        let owed = used.filter(|(held, _)| {
            !held.attestations.contains_key(member) && !in_flight.contains(&Subject::Emergency(held.id))
        });
        let emergencies = owed.map(|(held, activation)| {
            let (emergency, verdict) = (held.id, self.verdict(activation.proposal));
            (
                Subject::Emergency(emergency),
                Call::AttestEmergency { emergency, verdict, height, block: digest },
            )
        });
        proposals.chain(emergencies).collect()
    }

    fn verdict(&self, proposal: ProposalId) -> AuditVerdict {
        match self.unsound.get(&proposal) {
            None => AuditVerdict::Sound,
            Some(finding) => AuditVerdict::Unsound { finding: finding.clone() },
        }
    }

    /// Alarms raised since the last call.
    pub fn take_raised(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.raised)
    }

    /// All alarms kept.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        self.alarms.alarms()
    }

    /// Where the auditor stands.
    #[must_use]
    pub fn status(&self) -> AuditorStatus {
        let Head { height, digest, state_root, .. } = self.replay.head();
        AuditorStatus {
            height,
            head: digest,
            state_root,
            witnessed: self.witness.height(),
            alarms: self.alarms.alarms().len(),
            sound: !self.broken,
        }
    }

    fn raise(&mut self, alarm: Alarm) -> Result<(), AuditorError> {
        if self.alarms.raise(&alarm)? {
            self.raised.push(alarm);
        }
        Ok(())
    }
}

/// Why a head was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The certificate proves nothing.
    #[error("the head proves nothing")]
    Certificate(#[from] CertificateError),
    /// The alarm could not be kept.
    #[error(transparent)]
    Auditor(#[from] AuditorError),
}

#[cfg(test)]
mod tests;
