//! Owns the provider `local`: supervised child processes and configuration files on this machine.
//!
//! Each target has one worker task that owns its state file, effect log and processes; orders to one target are
//! strictly serial. Services outlive the node: a restarted node adopts them. Refuses programs, files and artefacts
//! that are not on the target's allow list, orders below the highest fence seen, and targets that have moved.

use std::{collections::BTreeMap, sync::Arc};

use althing_contracts::{
    document::{Action, HealthCheck},
    name::{Name, TargetId},
    quantity::Fence,
    transaction::HealthReport,
};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::worker::{Command, Worker};
use crate::port::{
    Clock, Effect, Prober, Provider, ProviderError, ProviderOrder, ProviderPlan, TargetContext,
};

pub mod artefact;
pub mod config;
pub mod effects;
pub mod listen;
pub mod process;
mod roll;
mod spawn;
pub mod state_file;
mod supervise;
mod worker;

pub use config::{CommandTemplate, LocalTarget};
pub use worker::OpenError;

/// Name of the provider in a target's record.
pub const NAME: &str = "local";
/// Requests to one target that wait; the executor has one at a time, people a few.
const QUEUE_LEN_MAX: usize = 32;

/// The provider: one worker a target.
#[derive(Clone)]
pub struct LocalProvider {
    workers: Arc<BTreeMap<TargetId, mpsc::Sender<Command>>>,
    prober: Arc<dyn Prober>,
}

impl LocalProvider {
    /// Opens every target's state, adopts the processes that still run and starts those that should.
    ///
    /// # Errors
    /// A configuration that cannot work, or a state file or effect log that cannot be read.
    pub fn open(
        targets: BTreeMap<TargetId, LocalTarget>,
        clock: &Arc<dyn Clock>,
        prober: Arc<dyn Prober>,
    ) -> Result<Self, OpenError> {
        let open = |(id, config): (TargetId, LocalTarget)| {
            let worker = Worker::open(id.clone(), config, Arc::clone(clock))?;
            Ok((id, worker))
        };
        let workers = targets.into_iter().map(open).collect::<Result<Vec<_>, OpenError>>()?;
        let start = |(id, worker): (TargetId, Worker)| {
            let (sender, commands) = mpsc::channel(QUEUE_LEN_MAX);
            tokio::spawn(worker::keep(worker, commands));
            (id, sender)
        };
        Ok(Self { workers: Arc::new(workers.into_iter().map(start).collect()), prober })
    }

    /// Ends every service of every target, for a mesh that ends with its process.
    pub async fn shutdown_services(&self) {
        for worker in self.workers.values() {
            let (reply, done) = oneshot::channel();
            if worker.send(Command::StopServices { reply }).await.is_ok() {
                // A worker that is gone has no services to end.
                let _gone = done.await;
            }
        }
    }

    async fn ask<T>(
        &self,
        target: &TargetId,
        command: impl FnOnce(oneshot::Sender<Result<T, ProviderError>>) -> Command,
    ) -> Result<T, ProviderError> {
        let worker = self.workers.get(target).ok_or_else(|| {
            ProviderError::Refused(format!("the provider local has no target {target} in its configuration"))
        })?;
        let (reply, answer) = oneshot::channel();
        let full = "the target has too many requests waiting; try again";
        worker.try_send(command(reply)).map_err(|_| ProviderError::Retry(full.to_owned()))?;
        let gone = |_| ProviderError::Unknown(format!("the worker of {target} ended"));
        answer.await.map_err(gone)?
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn plan(&self, target: &TargetContext, action: &Action) -> Result<ProviderPlan, ProviderError> {
        let (record, action) = (target.record.clone(), action.clone());
        self.ask(&target.id, |reply| Command::Plan { record, action, reply }).await
    }

    async fn read(
        &self,
        target: &TargetContext,
        resource: &Name,
        fence: Fence,
    ) -> Result<Option<Action>, ProviderError> {
        let resource = resource.clone();
        self.ask(&target.id, |reply| Command::Read { resource, fence, reply }).await
    }

    async fn apply(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        let (order, id) = (order.clone(), &order.target.id);
        self.ask(id, |reply| Command::CarryOut { order: Box::new(order), undo: false, reply }).await
    }

    async fn undo(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        let (order, id) = (order.clone(), &order.target.id);
        self.ask(id, |reply| Command::CarryOut { order: Box::new(order), undo: true, reply }).await
    }

    async fn health(
        &self,
        target: &TargetContext,
        check: &HealthCheck,
    ) -> Result<HealthReport, ProviderError> {
        Ok(self.prober.probe(&target.record.endpoints, check).await)
    }
}

#[cfg(test)]
pub(crate) mod tests;
