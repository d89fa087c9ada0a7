//! Owns the way from a call to a final transaction at one node: a lane for each key, one transaction under way in each,
//! submitted again with the same bytes until it is settled. It does what the submitter does, on the queue's time.

use std::collections::{BTreeMap, VecDeque};

use althing_actors::{
    auditor::state::Subject,
    executor::{journal::StepKey, state::JudgeKey},
    journal::JournalError,
    ledger::{mempool::PooledTransaction, message::Final, state::Now},
    signer::{
        message::{Sign, SignError},
        state::SignerState,
    },
};
use althing_contracts::{
    digest::Digest,
    name::MemberId,
    quantity::{DurationMs, Sequence},
    reject::Reject,
    role::Role,
    state::State,
    transaction::{Call, TransactionId, UnverifiedTransaction},
};
use bytes::Bytes;

/// How often a sequence that was taken is tried again.
const TRIES_MAX: usize = 8;
/// How long what an executor or an auditor asks may take effect; longer than any run.
const VALIDITY: DurationMs = DurationMs::from_hours(1);
/// How long what a person asks may: some of it waits for a stage that never comes.
const PERSON_VALIDITY: DurationMs = DurationMs::new(5_000);
/// After this time the asker is told that the outcome is unknown; the lane goes on.
const PATIENCE_US: u64 = 30_000_000;

/// Who asked, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    /// A person, or nobody any more.
    Person,
    /// The executor, to take a step.
    Claim(StepKey),
    /// The executor, to report a step.
    Report(StepKey),
    /// The executor, to judge a target.
    Judge(JudgeKey),
    /// The auditor.
    Audit(Subject),
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is final.
    Final(Final),
    /// The rules or the signer said no.
    Refused(String),
    /// Not known in time.
    Unknown,
}

/// The lanes of one node in one life.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<(MemberId, Role), Lane>);

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<(Ticket, Call)>,
    under_way: Option<UnderWay>,
    next: Sequence,
}

#[derive(Debug)]
struct UnderWay {
    ticket: Ticket,
    call: Call,
    transaction: PooledTransaction,
    tries: usize,
    since_us: u64,
}

/// The surroundings of a signature.
pub(super) struct Desk<'a> {
    pub(super) signer: &'a mut SignerState,
    pub(super) state: &'a State,
    pub(super) network: Digest,
    pub(super) now: Now,
}

/// What goes out of the lanes.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) transactions: Vec<PooledTransaction>,
    pub(super) answers: Vec<(Ticket, Answer)>,
}

impl Lanes {
    /// Puts a call at the end of its lane.
    pub(super) fn ask(&mut self, ticket: Ticket, member: &MemberId, role: Role, call: Call) {
        self.0.entry((member.clone(), role)).or_default().queue.push_back((ticket, call));
    }

    /// Whether the key has a call that is not settled.
    pub(super) fn is_busy(&self, member: &MemberId, role: Role) -> bool {
        self.0.get(&(member.clone(), role)).is_some_and(Lane::is_busy)
    }

    /// The keys that have a call that is not settled, with how many wait and what is under way.
    pub(super) fn busy(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|(_, lane)| lane.is_busy()).map(|((member, role), lane)| {
            let under_way = lane.under_way.as_ref().map(|it| &it.call);
            format!("{member} as {role:?}: {} wait behind {under_way:?}", lane.queue.len())
        })
    }

    /// Signs what can be under way. No signature leaves before its use is durable.
    pub(super) fn sign(&mut self, desk: &mut Desk<'_>) -> Result<Outgoing, JournalError> {
        let mut outgoing = Outgoing::default();
        for ((member, role), lane) in &mut self.0 {
            while lane.under_way.is_none()
                && let Some((ticket, call)) = lane.queue.pop_front()
            {
                match lane.begin(member, *role, ticket, call, 1, desk) {
                    Ok(transaction) => outgoing.transactions.push(transaction),
                    Err(SignError::Journal(error)) => return Err(error),
                    Err(refused) => outgoing.answers.push((ticket, Answer::Refused(refused.to_string()))),
                }
            }
        }
        desk.signer.record()?;
        Ok(outgoing)
    }

    /// Everything under way, to be submitted again, and answers to those who waited long enough.
    pub(super) fn again(&mut self, now: Now) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for under_way in self.0.values_mut().filter_map(|lane| lane.under_way.as_mut()) {
            outgoing.transactions.push(under_way.transaction.clone());
            if under_way.since_us.saturating_add(PATIENCE_US) <= now.monotonic_us {
                let ticket = std::mem::replace(&mut under_way.ticket, Ticket::Person);
                outgoing.answers.push((ticket, Answer::Unknown));
            }
        }
        outgoing
    }

    /// A transaction is final; the asker's answer if it was under way here.
    pub(super) fn finalise(&mut self, found: Final) -> Option<(Ticket, Answer)> {
        let lane = self.lane_of(found.id)?;
        let UnderWay { ticket, transaction, .. } = lane.under_way.take()?;
        let sequence = transaction.verified.body().sequence;
        lane.next = if found.events.is_empty() { Sequence::ZERO } else { sequence.next() };
        Some((ticket, Answer::Final(found)))
    }

    /// The rules refused a transaction. One whose sequence was taken is signed again with the next [`Self::sign`].
    pub(super) fn refuse(&mut self, id: TransactionId, reject: &Reject) -> Option<(Ticket, Answer)> {
        let lane = self.lane_of(id)?;
        let UnderWay { ticket, call, tries, .. } = lane.under_way.take()?;
        if let Reject::Sequence { expected, .. } = reject {
            lane.next = *expected;
            if tries < TRIES_MAX {
                lane.queue.push_front((ticket, call));
                return None;
            }
        }
        Some((ticket, Answer::Refused(reject.to_string())))
    }

    fn lane_of(&mut self, id: TransactionId) -> Option<&mut Lane> {
        let is_it =
            |lane: &&mut Lane| lane.under_way.as_ref().is_some_and(|it| it.transaction.verified.id() == id);
        self.0.values_mut().find(is_it)
    }
}

impl Lane {
    fn is_busy(&self) -> bool {
        self.under_way.is_some() || !self.queue.is_empty()
    }

    fn begin(
        &mut self,
        member: &MemberId,
        role: Role,
        ticket: Ticket,
        call: Call,
        tries: usize,
        desk: &mut Desk<'_>,
    ) -> Result<PooledTransaction, SignError> {
        let validity = if ticket == Ticket::Person { PERSON_VALIDITY } else { VALIDITY };
        let request = Sign {
            member: member.clone(),
            role,
            sequence: desk.state.next_sequence(member, role).max(self.next),
            not_after: desk.state.time().max(desk.now.wall).after(validity),
            call: call.clone(),
            span: tracing::Span::none(),
        };
        let signed = desk.signer.sign(request, desk.state, desk.now.wall)?;
        let unverified =
            UnverifiedTransaction::decode(&signed.bytes, desk.network).expect("it was encoded a moment ago");
        let transaction =
            PooledTransaction { bytes: Bytes::from(signed.bytes), verified: unverified.assume_verified() };
        let kept = transaction.clone();
        self.under_way = Some(UnderWay { ticket, call, transaction, tries, since_us: desk.now.monotonic_us });
        Ok(kept)
    }
}
