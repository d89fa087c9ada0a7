//! Owns the entrance of a transaction: who sends, in which role, in which order, and whether it is a repeat.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    event::Event,
    lifecycle::{self, Cast, Move},
    name::MemberId,
    proposal::Proposal,
    quantity::{Revision, TimeMs},
    reject::Reject,
    role::Role,
    state::{Applied, Hold, Registry, State, timer::Timer},
    transaction::{Call, ProposalId, TransactionBody, VerifiedTransaction},
};

impl State {
    pub(super) fn enter(&mut self, transaction: &VerifiedTransaction) -> Result<Applied, Reject> {
        let body = transaction.body();
        self.check_sender(transaction)?;
        check_role(body)?;
        if body.not_after < self.registry.time {
            return Err(Reject::Late { not_after: body.not_after, time: self.registry.time });
        }
        if lifecycle::is_repeat(self, body) {
            return Ok(Applied::Same);
        }
        let expected = self.next_sequence(&body.sender, body.role);
        if body.sequence != expected {
            return Err(Reject::Sequence { member: body.sender.clone(), found: body.sequence, expected });
        }
        let mut events = Vec::new();
        self.take(body, &mut events)?;
        self.registry.member_mut(&body.sender)?.sequences.insert(body.role, body.sequence);
        Ok(Applied::New(events))
    }

    fn check_sender(&self, transaction: &VerifiedTransaction) -> Result<(), Reject> {
        let TransactionBody { sender, role, .. } = transaction.body();
        let member = self.member(sender).ok_or_else(|| Reject::NotAMember { member: sender.clone() })?;
        if member.keys.get(role) != Some(&transaction.key()) {
            return Err(Reject::NotInRole { member: sender.clone(), role: *role });
        }
        self.registry.check_not_suspended(sender, *role)
    }

    fn take(&mut self, body: &TransactionBody, events: &mut Vec<Event>) -> Result<(), Reject> {
        match &body.call {
            Call::Submit { document, plan_hash } => {
                let proposal = lifecycle::submit(self, body, document, *plan_hash, events)?;
                self.insert(proposal);
                Ok(())
            }
            Call::ReportEquivocation { evidence } => self.registry.record_equivocation(evidence, events),
            Call::DeclareEmergency { declaration } => {
                lifecycle::emergency::declare(self, &body.sender, declaration, events)
            }
            Call::SignEmergency { emergency } => {
                lifecycle::emergency::sign(self, &body.sender, *emergency, events)
            }
            Call::EndEmergency { emergency } => {
                lifecycle::emergency::end(self, (&body.sender, body.role), *emergency, events)
            }
            Call::AttestEmergency { emergency, verdict, height, block } => lifecycle::emergency::attest(
                self,
                &body.sender,
                *emergency,
                verdict,
                (*height, *block),
                events,
            ),
            Call::Delegate { track, to, expires } => {
                self.registry.delegate(&body.sender, (*track, to), *expires, events)
            }
            Call::Revoke { track } => self.registry.revoke(&body.sender, *track, events),
            Call::VoteBatch { editions, choice } => {
                lifecycle::batch::vote(self, &body.sender, (editions, *choice), events)
            }
            Call::ReplaceKey { claim } => self.replace_key((&body.sender, body.role), claim, events),
            Call::SignRecovery { claim } => self.sign_recovery(&body.sender, claim, events),
            Call::StopRecovery { member, role } => {
                self.stop_recovery((&body.sender, body.role), (member.clone(), *role), events)
            }
            call => {
                let id = call.proposal().ok_or(Reject::NoProposal)?;
                self.with_proposal(id, events, |cast| {
                    lifecycle::step(cast, Move::Call { sender: &body.sender, role: body.role, call })
                })
            }
        }
    }

    /// Runs one transition on a proposal, keeps the indexes in step with it, and brings about what follows of its end.
    pub(crate) fn with_proposal(
        &mut self,
        id: ProposalId,
        events: &mut Vec<Event>,
        transition: impl FnOnce(&mut Cast<'_>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        let mut ended = BTreeSet::from_iter(self.run(id, events, transition)?);
        // One generation after the other, so that a thousand that end with one another need no more stack than one.
        while !ended.is_empty() {
            let mut next = BTreeSet::new();
            for (other, motion) in self.moved_by(&ended) {
                // What is overtaken may be superseded; what is released and not queued so far goes on as if it had never waited.
                if let Ok(Some(id)) = self.run(other, events, |cast| lifecycle::step(cast, motion)) {
                    next.insert(id);
                }
            }
            ended = next;
        }
        Ok(())
    }

    /// One transition alone; yields the proposal when it has ended by it.
    fn run(
        &mut self,
        id: ProposalId,
        events: &mut Vec<Event>,
        transition: impl FnOnce(&mut Cast<'_>) -> Result<(), Reject>,
    ) -> Result<Option<ProposalId>, Reject> {
        let stored = self.proposals.get_mut(&id).ok_or(Reject::UnknownProposal { proposal: id })?;
        let (before, from) = (Standing::of(stored), stored.stage);
        let mut cast = Cast { proposal: Arc::make_mut(stored), registry: &mut self.registry, events };
        transition(&mut cast)?;
        let (stored, after) = (Arc::clone(stored), Standing::of(stored));
        self.registry.touched.proposal(id);
        self.reindex(id, before, after);
        if before.revision != after.revision || before.open != after.open {
            self.registry.precedence.note(&stored);
        }
        if !before.open || after.open {
            return Ok(None);
        }
        lifecycle::emergency::settle(self, id, events);
        self.registry.settle_attempt(&stored, from, events);
        self.drop_void_recoveries();
        Ok(Some(id))
    }

    pub(crate) fn insert(&mut self, proposal: Proposal) {
        let (id, after) = (proposal.id, Standing::of(&proposal));
        self.registry.precedence.note(&proposal);
        self.proposals.insert(id, Arc::new(proposal));
        self.registry.touched.proposal(id);
        self.reindex(id, Standing::default(), after);
    }

    fn reindex(&mut self, id: ProposalId, before: Standing, after: Standing) {
        if before.deadline != after.deadline {
            if let Some(deadline) = before.deadline {
                self.deadlines.remove(&(deadline, Timer::Proposal(id)));
            }
            if let Some(deadline) = after.deadline {
                self.deadlines.insert((deadline, Timer::Proposal(id)), ());
            }
        }
        match (before.open, after.open) {
            (false, true) => drop(self.open.insert(id, ())),
            (true, false) => drop(self.open.remove(&id)),
            _ => {}
        }
    }

    /// What the end of proposals does to others: it may have moved what they were planned against or are decided by, and what
    /// waited for those alone may begin when they are carried out.
    fn moved_by(&self, ended: &BTreeSet<ProposalId>) -> Vec<(ProposalId, Move<'static>)> {
        let registry = &self.registry;
        let motion = |proposal: &Proposal| {
            let waited = proposal.document.after.iter().any(|id| ended.contains(id));
            let is_free = || registry.awaited(&proposal.document).next().is_none();
            match lifecycle::overtaken(proposal, registry) {
                Some(cause) => Some(Move::Overtaken(cause)),
                None => (waited && is_free()).then_some(Move::Released),
            }
        };
        self.open_proposals().filter_map(|proposal| Some((proposal.id, motion(proposal)?))).collect()
    }

    /// Proposals that an author opened and that have not ended.
    pub(crate) fn open_count(&self, author: &MemberId) -> usize {
        let own = |proposal: &&Proposal| proposal.author == *author && proposal.judges().is_none();
        self.open_proposals().filter(own).count()
    }

    pub(crate) fn registry_mut(&mut self) -> &mut super::Registry {
        &mut self.registry
    }

    pub(crate) const fn registry(&self) -> &super::Registry {
        &self.registry
    }
}

impl Registry {
    /// Refuses what an executor signs whom an emergency suspends.
    pub(crate) fn check_not_suspended(&self, sender: &MemberId, role: Role) -> Result<(), Reject> {
        match self.holds.on_executor(sender).filter(|_| role == Role::Executor) {
            Some(Hold { by, until }) => Err(Reject::ExecutorSuspended { member: sender.clone(), by, until }),
            None => Ok(()),
        }
    }
}

/// What the indexes know of a proposal.
#[derive(Clone, Copy, Default)]
struct Standing {
    deadline: Option<TimeMs>,
    open: bool,
    revision: Revision,
}

impl Standing {
    fn of(proposal: &Proposal) -> Self {
        Self { deadline: proposal.deadline, open: proposal.is_open(), revision: proposal.revision }
    }
}

fn check_role(body: &TransactionBody) -> Result<(), Reject> {
    let needed = lifecycle::role_of(&body.call);
    if needed.contains(&body.role) {
        return Ok(());
    }
    let needed = needed.first().copied().unwrap_or(Role::Author);
    Err(Reject::WrongRole { role: body.role, needed })
}
