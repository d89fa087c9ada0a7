//! Owns one target: takes its orders one after the other, keeps its state file and effect log, and looks after its
//! processes between orders.
//!
//! An order leaves three durable marks: `Begun` in the effect log, `changing` in the state file, `Done` or
//! `Reverted` in the effect log. Between the first and the last the target counts as half changed: only the same
//! order or an undo goes on from there.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use althing_contracts::{
    document::Action,
    genesis::TargetRecord,
    name::{Name, TargetId},
    quantity::Fence,
};
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{
    artefact::Store,
    config::{ConfigError, LocalTarget},
    effects::{Effects, Progress},
    state_file::{Changing, StateFileError, TargetState},
    supervise::{Notice, Supervision},
};
use crate::{
    failpoint,
    journal::JournalError,
    port::{Clock, Effect, Evidence, ProviderError, ProviderOrder, ProviderPlan},
};

/// How often logs are held at their bound.
const LOG_CHECK_EVERY: Duration = Duration::from_secs(5);

/// Pause before a worker that panicked is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(200);

/// What a worker is asked for.
#[derive(Debug)]
pub(super) enum Command {
    /// What an action would change.
    Plan { record: TargetRecord, action: Action, reply: oneshot::Sender<Result<ProviderPlan, ProviderError>> },
    /// What is applied.
    Read { resource: Name, fence: Fence, reply: oneshot::Sender<Result<Option<Action>, ProviderError>> },
    /// Carry an order out.
    CarryOut { order: Box<ProviderOrder>, undo: bool, reply: oneshot::Sender<Result<Effect, ProviderError>> },
    /// End every service; the state file keeps them.
    StopServices { reply: oneshot::Sender<()> },
}

/// The worker of one target.
pub(super) struct Worker {
    pub(super) id: TargetId,
    pub(super) config: LocalTarget,
    pub(super) store: Store,
    pub(super) state: TargetState,
    pub(super) supervision: Supervision,
    effects: Effects,
    clock: Arc<dyn Clock>,
    state_path: PathBuf,
}

/// Why a target cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory cannot be used.
    #[error("the directory {path} cannot be used")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The effect log cannot be used.
    #[error(transparent)]
    Effects(#[from] JournalError),
}

/// Keeps a target's worker alive: one that panicked is opened again from what is on the disk.
pub(super) async fn keep(first: Worker, mut commands: mpsc::Receiver<Command>) {
    let (id, config, clock) = (first.id.clone(), first.config.clone(), Arc::clone(&first.clock));
    let mut next = Some(first);
    loop {
        if let Some(worker) = next.take() {
            if AssertUnwindSafe(worker.run(&mut commands)).catch_unwind().await.is_ok() {
                return;
            }
            error!(target_id = %id, "the target's worker panicked");
        }
        tokio::time::sleep(REOPEN_AFTER).await;
        match Worker::open(id.clone(), config.clone(), Arc::clone(&clock)) {
            Ok(worker) => next = Some(worker),
            Err(error) => error!(target_id = %id, %error, "the target cannot be opened again"),
        }
    }
}

impl Worker {
    pub(super) fn open(id: TargetId, config: LocalTarget, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        config.check(&id)?;
        let directory = |source| OpenError::Directory { path: config.root.clone(), source };
        std::fs::create_dir_all(config.root.join("logs")).map_err(directory)?;
        let store = Store::open(&config.root, &config.artefacts).map_err(directory)?;
        let state_path = config.root.join("state.json");
        let state = TargetState::load(&state_path)?;
        let effects = Effects::open(&config.root.join("effects.log"))?;
        let supervision = Supervision::new();
        let mut worker = Self { id, config, store, state, supervision, effects, clock, state_path };
        worker.record_what_is_in_effect()?;
        Ok(worker)
    }

    /// An order that was cut off between its last change of the target and its last record gets that record: it is in
    /// effect, so nobody will order it again, and the log has to tell of every effect.
    fn record_what_is_in_effect(&mut self) -> Result<(), JournalError> {
        let Some(action) = self.effects.unfinished().filter(|action| self.is_in_effect(action)) else {
            return Ok(());
        };
        let facts = self.facts(action);
        self.effects.finish(facts, self.clock.now())
    }

    fn is_in_effect(&self, action: &Action) -> bool {
        let resource = action.resource();
        let applied = self.state.applied.get(resource).and_then(Action::leaves);
        !self.state.changing.contains_key(resource) && applied == action.leaves()
    }

    /// Works until nobody can ask any more. Services run on.
    async fn run(mut self, commands: &mut mpsc::Receiver<Command>) {
        self.resume().await;
        let mut log_check = tokio::time::interval(LOG_CHECK_EVERY);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                notice = self.supervision.next() => match notice {
                    Notice::Ended(end) => self.note_end(&end),
                    Notice::RestartDue(key) => self.restart(key).await,
                },
                _ = log_check.tick() => self.bound_logs(),
            }
        }
    }

    // Whoever asked may be gone; what was done stays recorded.
    async fn handle(&mut self, command: Command) {
        match command {
            Command::Plan { record, action, reply } => {
                let _gone = reply.send(self.plan(&record, &action));
            }
            Command::Read { resource, fence, reply } => {
                let _gone = reply.send(self.effects.raise(fence).and_then(|()| self.read(&resource)));
            }
            Command::CarryOut { order, undo, reply } => {
                let carried = tokio::time::timeout(order.deadline, self.carry_out(&order, undo)).await;
                let late =
                    |_| Err(ProviderError::Unknown(format!("not finished within {:?}", order.deadline)));
                let _gone = reply.send(carried.unwrap_or_else(late));
            }
            Command::StopServices { reply } => {
                self.stop_all().await;
                let _gone = reply.send(());
            }
        }
    }

    fn plan(&self, record: &TargetRecord, action: &Action) -> Result<ProviderPlan, ProviderError> {
        self.check(record, action)?;
        let before = self.read(action.resource())?;
        let changes = self.describe(before.as_ref(), record, action)?;
        Ok(ProviderPlan { before, changes })
    }

    async fn carry_out(&mut self, order: &ProviderOrder, undo: bool) -> Result<Effect, ProviderError> {
        self.effects.admit(order.fence)?;
        if let Some(evidence) = self.effects.done(&order.idempotency_key) {
            return Ok(Effect::Same(evidence.clone()));
        }
        self.check(&order.target.record, &order.action)?;
        self.fetch(&order.action).await?;
        self.expect(order, undo)?;
        self.record(order, Progress::Begun)?;
        failpoint::reach("local.begun");
        let resource = order.action.resource().clone();
        let changing = Changing { idempotency_key: order.idempotency_key.clone(), to: order.action.clone() };
        self.state.changing.insert(resource.clone(), changing);
        self.save()?;
        failpoint::reach("local.changing");
        match self.switch(order).await {
            Ok(facts) => self.conclude(order, &resource, facts),
            Err(reason) => Err(self.revert(order, &resource, reason).await),
        }
    }

    /// Refuses drift. A half-done change goes on under its own order, and any order may be undone half-way.
    fn expect(&self, order: &ProviderOrder, undo: bool) -> Result<(), ProviderError> {
        let resource = order.action.resource();
        if let Some(changing) = self.state.changing.get(resource) {
            if undo || changing.idempotency_key == order.idempotency_key {
                return Ok(());
            }
            let by = &changing.idempotency_key;
            return Err(ProviderError::Refused(format!("{resource} was left half changed by order {by}")));
        }
        let found = self.read(resource)?;
        let (wanted, expected) = (order.action.leaves(), order.expect.as_ref().and_then(Action::leaves));
        // An order that was begun and is in effect was cut off just before it could be recorded as done.
        let completed = undo || self.effects.is_begun(&order.idempotency_key);
        if found.as_ref().and_then(Action::leaves) == expected
            || (completed && found.as_ref().and_then(Action::leaves) == wanted)
        {
            return Ok(());
        }
        Err(ProviderError::Drift { expected: text(expected), found: text(found.as_ref()) })
    }

    async fn switch(&mut self, order: &ProviderOrder) -> Result<BTreeMap<String, String>, String> {
        match &order.action {
            Action::Deploy { service, version, artefact, instances } => {
                let addresses = super::listen::addresses(&order.target.record, *instances)
                    .map_err(|error| error.to_string())?;
                self.roll(service, version, *artefact, &addresses).await?;
            }
            Action::Configure { file, artefact, .. } => self.put_file(file, *artefact)?,
            Action::Remove { resource } => self.take_away(resource).await?,
        }
        Ok(self.facts(&order.action))
    }

    fn conclude(
        &mut self,
        order: &ProviderOrder,
        resource: &Name,
        facts: BTreeMap<String, String>,
    ) -> Result<Effect, ProviderError> {
        failpoint::reach("local.switched");
        match &order.action {
            Action::Remove { .. } => drop(self.state.applied.remove(resource)),
            action => drop(self.state.applied.insert(resource.clone(), action.clone())),
        }
        self.state.changing.remove(resource);
        self.save()?;
        failpoint::reach("local.applied");
        self.record(order, Progress::Done { facts: facts.clone() })?;
        failpoint::reach("local.done");
        info!(target_id = %self.id, key = order.idempotency_key, fence = %order.fence, "order took effect");
        Ok(Effect::New(Evidence { facts }))
    }

    /// Puts back what was applied before the order, so that a refusal means that nothing took effect.
    async fn revert(&mut self, order: &ProviderOrder, resource: &Name, reason: String) -> ProviderError {
        warn!(target_id = %self.id, key = order.idempotency_key, reason, "order failed, putting the target back");
        if let Err(error) = self.put_back(&order.target.record, resource).await {
            return ProviderError::Unknown(format!("{reason}; putting the target back failed: {error}"));
        }
        self.state.changing.remove(resource);
        let kept =
            self.save().and_then(|()| self.record(order, Progress::Reverted { reason: reason.clone() }));
        kept.err().unwrap_or(ProviderError::Refused(reason))
    }

    fn record(&mut self, order: &ProviderOrder, progress: Progress) -> Result<(), ProviderError> {
        let recorded = self.effects.record(order, progress, self.clock.now());
        recorded.map_err(|error| unknown(&error))
    }

    pub(super) fn save(&self) -> Result<(), ProviderError> {
        self.state.save(&self.state_path).map_err(|error| unknown(&error))
    }
}

/// An action in a few words, for people.
pub(super) fn text(action: Option<&Action>) -> String {
    match action {
        Some(Action::Deploy { service, version, artefact, instances }) => {
            format!("{service} {version} ({}) on {instances} instances", artefact.short())
        }
        Some(Action::Configure { file, version, artefact }) => {
            format!("{file} {version} ({})", artefact.short())
        }
        Some(Action::Remove { .. }) | None => "nothing".to_owned(),
    }
}

fn unknown(error: &(dyn std::error::Error + 'static)) -> ProviderError {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    error!(%error, "the provider's own record could not be written");
    ProviderError::Unknown(format!("{error}{source}"))
}
