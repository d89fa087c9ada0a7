//! Owns supervision: starts an actor again from its store after a panic, with exponential backoff, and turns the
//! node read-only after too many failures in a window. actix's own supervisor restarts an actor that stops, not
//! one that panics, and keeps its state; here a new actor reads everything from the disk again.
//!
//! An actor proves that it lives by holding its [`Lifeline`]: a panic drops the actor and so the lifeline.

use std::{collections::VecDeque, time::Duration};

use actix::{Actor, Addr, Handler, MailboxError, Message, dev::ToEnvelope};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};
use tracing::{error, info, warn};

use crate::failpoint;

pub mod metrics;

/// How long a caller waits for an actor that is being restarted.
pub const RESTART_WAIT: Duration = Duration::from_secs(5);

/// How often and how soon an actor is started again.
#[derive(Debug, Clone, Copy)]
pub struct RestartLimits {
    /// Pause before the first restart; doubles with each failure in the window.
    pub backoff_first: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Failures within the window that turn the node read-only.
    pub failures_max: usize,
    /// How long a failure counts.
    pub window: Duration,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(30),
            failures_max: 5,
            window: Duration::from_mins(10),
        }
    }
}

/// Why an actor cannot start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Watches the actors of one node. Cloned freely.
#[derive(Debug, Clone)]
pub struct Watcher {
    limits: RestartLimits,
    read_only: watch::Sender<Option<&'static str>>,
}

/// Held by an actor as long as it lives.
#[derive(Debug)]
pub struct Lifeline(Option<oneshot::Sender<()>>);

/// A supervised actor, whichever of its lives it is in. Supervision ends when nobody holds one of these any more.
#[must_use = "supervision ends when nobody holds it"]
pub struct Watched<A: Actor> {
    name: &'static str,
    address: watch::Receiver<Option<Addr<A>>>,
}

/// An actor that did not answer. What was asked may or may not have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} of this node is being restarted, what was asked may or may not have been done; try again")]
pub struct ActorUnavailable(pub &'static str);

impl Watcher {
    /// A watcher with these limits.
    pub fn new(limits: RestartLimits) -> Self {
        metrics::describe();
        Self { limits, read_only: watch::Sender::new(None) }
    }

    /// Names the actor that failed too often, once one did; the node refuses to write until it is restarted.
    pub fn read_only(&self) -> watch::Receiver<Option<&'static str>> {
        self.read_only.subscribe()
    }

    /// Starts an actor and keeps it alive until it stops in order or nobody holds the result.
    ///
    /// # Errors
    /// The first start fails: a configuration or store that cannot work is told at once, not retried.
    pub fn supervise<A, F>(&self, name: &'static str, mut start: F) -> Result<Watched<A>, StartError>
    where
        A: Actor,
        F: FnMut(Lifeline) -> Result<Addr<A>, StartError> + Send + 'static,
    {
        metrics::register(name);
        let (lifeline, ended) = Lifeline::new();
        let (sender, address) = watch::channel(Some(start(lifeline)?));
        tokio::spawn(self.clone().keep(name, start, sender, ended));
        Ok(Watched { name, address })
    }

    async fn keep<A, F>(
        self,
        name: &'static str,
        mut start: F,
        address: watch::Sender<Option<Addr<A>>>,
        mut ended: oneshot::Receiver<()>,
    ) where
        A: Actor,
        F: FnMut(Lifeline) -> Result<Addr<A>, StartError> + Send + 'static,
    {
        let mut failures = VecDeque::new();
        loop {
            let stopped = tokio::select! {
                end = &mut ended => end.is_ok(),
                () = address.closed() => true,
            };
            address.send_replace(None);
            if stopped {
                info!(actor = name, "actor stopped");
                return;
            }
            error!(actor = name, "actor panicked");
            tokio::time::sleep(self.count_failure(name, &mut failures)).await;
            if address.is_closed() {
                return;
            }
            let (lifeline, next) = Lifeline::new();
            ended = next;
            failpoint::reach("watcher.restart");
            match start(lifeline) {
                Ok(next) => {
                    failpoint::reach("watcher.restarted");
                    address.send_replace(Some(next));
                }
                Err(error) => warn!(actor = name, %error, "actor does not start"),
            }
        }
    }

    fn count_failure(&self, name: &'static str, failures: &mut VecDeque<Instant>) -> Duration {
        let now = Instant::now();
        failures.push_back(now);
        while failures.front().is_some_and(|first| now.duration_since(*first) > self.limits.window) {
            failures.pop_front();
        }
        metrics::restarted(name);
        if failures.len() >= self.limits.failures_max && self.read_only.send_replace(Some(name)).is_none() {
            error!(actor = name, failures = failures.len(), "actor failed too often, the node is read-only");
            metrics::read_only();
        }
        let doublings = u32::try_from(failures.len().saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        self.limits.backoff_first.saturating_mul(1 << doublings).min(self.limits.backoff_max)
    }
}

impl Lifeline {
    fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    /// A lifeline that nobody watches, for an actor without supervision.
    pub fn unwatched() -> Self {
        Self(None)
    }

    /// Says that the actor stops in order and is not to be started again.
    pub fn stop(&mut self) {
        if let Some(sender) = self.0.take() {
            // A watcher that is gone has nobody to tell.
            let _unwatched = sender.send(());
        }
    }
}

impl<A: Actor> std::fmt::Debug for Watched<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watched").field(&self.name).finish()
    }
}

impl<A: Actor> Clone for Watched<A> {
    fn clone(&self) -> Self {
        Self { name: self.name, address: self.address.clone() }
    }
}

impl<A: Actor> Watched<A> {
    /// Sends a message and waits for the answer; waits up to [`RESTART_WAIT`] for an actor that is restarted.
    ///
    /// # Errors
    /// The actor is gone or ended while it had the message.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, ActorUnavailable>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let _waiting = metrics::WaitingGuard::new(self.name);
        let address = self.address().await?;
        let answer = address.send(message).await;
        answer.map_err(|_: MailboxError| ActorUnavailable(self.name))
    }

    /// The address of the actor's current life.
    ///
    /// # Errors
    /// The actor stopped, or was not restarted within [`RESTART_WAIT`].
    pub async fn address(&self) -> Result<Addr<A>, ActorUnavailable> {
        let mut address = self.address.clone();
        let alive = |address: &Option<Addr<A>>| address.as_ref().is_some_and(Addr::connected);
        let found = tokio::time::timeout(RESTART_WAIT, address.wait_for(alive)).await;
        let found = found.ok().and_then(Result::ok).and_then(|address| address.clone());
        found.ok_or(ActorUnavailable(self.name))
    }
}

#[cfg(test)]
mod tests;
