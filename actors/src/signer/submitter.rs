//! Owns the way from a call to a final transaction: a lane for each key gives sequences one at a time, signs,
//! submits, and asks again with the same bytes while the outcome is unknown. Refuses to sign a second transaction
//! of a key before the first is settled, so that concurrent calls never take one sequence.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use althing_contracts::{
    name::MemberId,
    quantity::{DurationMs, Sequence, TimeMs},
    reject::Reject,
    role::Role,
    transaction::Call,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::{Instrument, debug};

use super::{
    actor::SignerActor,
    journal::KeyUse,
    message::{Sign, SignError, SignedTransaction},
    metrics,
};
use crate::{
    failpoint,
    home::Home,
    ledger::message::{Final, SubmitError},
    port::{Clock, LedgerPort},
    span,
    watcher::{ActorUnavailable, Watched},
};

/// Calls of one key that wait; more than people and executors cause in the life of one call.
pub const LANE_LEN_MAX: usize = 256;
/// How long [`Submitter::act`] waits for finality.
pub const ACT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a transaction may take effect.
pub const VALIDITY: DurationMs = DurationMs::new(10 * 60 * 1_000);
/// A key used by two nodes at once makes the sequence collide; each collision costs one of these.
const SEQUENCE_TRIES_MAX: usize = 8;
/// Signers that may be lost in a row under one call.
const SIGN_TRIES_MAX: usize = 3;
/// Longest pause before an unsettled transaction is asked for again; a new block ends it sooner.
const RESUBMIT_AFTER: Duration = Duration::from_secs(1);

/// Signs, submits and follows calls of the members whose keys this node holds. Cloned freely.
#[derive(Debug, Clone)]
pub struct Submitter {
    lanes: Arc<BTreeMap<(MemberId, Role), mpsc::Sender<Job>>>,
}

/// What the submitter needs.
#[derive(Clone)]
pub struct SubmitterOptions {
    /// The signer.
    pub signer: Watched<SignerActor>,
    /// The ledger.
    pub ledger: Arc<dyn LedgerPort>,
    /// Judges how long a transaction is valid while the ledger is idle.
    pub clock: Arc<dyn Clock>,
    /// Names the actor whose failures made the node read-only, if one did.
    pub read_only: watch::Receiver<Option<&'static str>>,
    /// Where the lanes run: the signer's own thread is best, so that a call wakes one thread less.
    pub home: Arc<dyn Home>,
}

/// Why a call has no final answer.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The signer refused.
    #[error(transparent)]
    Refused(#[from] SignError),
    /// The ledger refused or stopped.
    #[error(transparent)]
    Ledger(#[from] SubmitError),
    /// Not final in time: it may still become final.
    #[error("not final within {waited:?}; it may still become final, look at the ledger before trying again")]
    Unknown {
        /// How long was waited.
        waited: Duration,
    },
    /// Too many calls of this key wait; nothing was signed.
    #[error("{LANE_LEN_MAX} calls of this key are waiting, which is the most; try again")]
    Busy,
    /// The node refuses to write.
    #[error("this node is read-only because its {0} failed too often; look at its log and restart it")]
    ReadOnly(&'static str),
    /// The signer is being restarted; nothing was submitted.
    #[error(transparent)]
    Unavailable(#[from] ActorUnavailable),
}

#[derive(Debug)]
struct Job {
    call: Call,
    reply: oneshot::Sender<Result<Final, ActError>>,
    span: tracing::Span,
}

struct Lane {
    member: MemberId,
    role: Role,
    options: SubmitterOptions,
    next: Sequence,
}

impl ActError {
    /// What the rules said, when it was the rules that refused.
    pub const fn reject(&self) -> Option<&Reject> {
        match self {
            Self::Ledger(SubmitError::Rejected(reject))
            | Self::Refused(
                SignError::Unplannable(reject)
                | SignError::Undeclarable(reject)
                | SignError::Unclaimable(reject),
            ) => Some(reject),
            _ => None,
        }
    }
}

impl Submitter {
    /// Starts one lane for each key.
    pub fn start<'a>(
        holders: impl IntoIterator<Item = &'a (MemberId, Role)>,
        options: &SubmitterOptions,
    ) -> Self {
        let lane = |(member, role): &(MemberId, Role)| {
            let (sender, jobs) = mpsc::channel(LANE_LEN_MAX);
            let lane =
                Lane { member: member.clone(), role: *role, options: options.clone(), next: Sequence::ZERO };
            options.home.spawn(lane.run(jobs));
            ((member.clone(), *role), sender)
        };
        Self { lanes: Arc::new(holders.into_iter().map(lane).collect()) }
    }

    /// Whether this node holds the key.
    pub fn holds(&self, member: &MemberId, role: Role) -> bool {
        self.lanes.contains_key(&(member.clone(), role))
    }

    /// The members whose keys of this role the node holds, in order.
    pub fn members(&self, role: Role) -> impl Iterator<Item = &MemberId> {
        self.lanes.keys().filter(move |(_, held)| *held == role).map(|(member, _)| member)
    }

    /// Signs a call, submits it and waits at most [`ACT_DEADLINE`] until it is final.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn act(&self, member: &MemberId, role: Role, call: Call) -> Result<Final, ActError> {
        self.act_within(member, role, call, ACT_DEADLINE).await
    }

    /// As [`Self::act`] with another deadline. After it, a call whose turn has not come is dropped; one that was
    /// submitted is followed until it is settled.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn act_within(
        &self,
        member: &MemberId,
        role: Role,
        call: Call,
        deadline: Duration,
    ) -> Result<Final, ActError> {
        let purpose = KeyUse::of(&call);
        let lane = self.lanes.get(&(member.clone(), role));
        let lane = lane.ok_or_else(|| SignError::NoKey { member: member.clone(), role })?;
        let (reply, answer) = oneshot::channel();
        let span = span::of(super::actor::NAME, call.proposal());
        let job = Job { call, reply, span };
        lane.try_send(job).map_err(|_| ActError::Busy)?;
        let begun = Instant::now();
        let answer = tokio::time::timeout(deadline, answer).await;
        metrics::finality(purpose, begun.elapsed());
        answer.ok().and_then(Result::ok).unwrap_or(Err(ActError::Unknown { waited: deadline }))
    }
}

impl Lane {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(Job { call, reply, span }) = jobs.recv().await {
            if reply.is_closed() {
                continue;
            }
            let result = self.carry(call).instrument(span.clone()).await;
            if let Ok(Some(id)) = result.as_ref().map(Final::opened) {
                span::opened(&span, id);
            }
            // A caller that gave up learns the outcome from the ledger.
            let _gave_up = reply.send(result);
        }
    }

    async fn carry(&mut self, call: Call) -> Result<Final, ActError> {
        let mut outcome = Err(ActError::Busy);
        for _ in 0..SEQUENCE_TRIES_MAX {
            if let Some(actor) = *self.options.read_only.borrow() {
                return Err(ActError::ReadOnly(actor));
            }
            let (sequence, signed) = self.sign(call.clone()).await?;
            failpoint::reach("submitter.submit");
            outcome = self.follow(&signed).await.map_err(ActError::from);
            failpoint::reach("submitter.settled");
            match &outcome {
                // A repeat of what had taken effect before uses no sequence up, so the ledger is asked again.
                Ok(repeat) if repeat.events.is_empty() => self.next = Sequence::ZERO,
                Ok(_) => self.next = sequence.next(),
                Err(ActError::Ledger(SubmitError::Rejected(Reject::Sequence { expected, .. }))) => {
                    debug!(%sequence, %expected, "sequence was taken, signing again");
                    self.next = *expected;
                    continue;
                }
                Err(_) => {}
            }
            break;
        }
        outcome
    }

    async fn sign(&self, call: Call) -> Result<(Sequence, SignedTransaction), ActError> {
        let view = self.options.ledger.feed().view.borrow().clone();
        let sequence = view.state.next_sequence(&self.member, self.role).max(self.next);
        let request = Sign {
            member: self.member.clone(),
            role: self.role,
            sequence,
            not_after: self.not_after(view.state.time()),
            call,
            span: tracing::Span::current(),
        };
        let mut answer = self.ask(request.clone()).await;
        for _ in 1..SIGN_TRIES_MAX {
            if answer.is_ok() {
                break;
            }
            // A signature that was lost with its signer has not been submitted, so another one does no harm.
            answer = self.ask(request.clone()).await;
        }
        Ok((sequence, answer??))
    }

    async fn ask(&self, request: Sign) -> Result<Result<SignedTransaction, SignError>, ActorUnavailable> {
        let answer = self.options.signer.send(request).await?;
        answer.await.map_err(|_lost| ActorUnavailable(super::actor::NAME))
    }

    // An idle ledger's time stands still, so the validity counts from whichever clock is ahead.
    fn not_after(&self, ledger: TimeMs) -> TimeMs {
        ledger.max(self.options.clock.now()).after(VALIDITY)
    }

    /// Ends when the ledger settles the transaction; after `not_after` it does, one way or the other.
    async fn follow(&self, signed: &SignedTransaction) -> Result<Final, SubmitError> {
        loop {
            match self.options.ledger.submit(signed.bytes.clone()).await {
                Err(SubmitError::Unknown | SubmitError::Busy { .. }) => {}
                settled => return settled,
            }
            metrics::resubmitted();
            let mut view = self.options.ledger.feed().view;
            view.mark_unchanged();
            // Either a block came or the pause is over: ask again in both cases.
            let _either = tokio::time::timeout(RESUBMIT_AFTER, view.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests;
