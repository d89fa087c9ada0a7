//! Owns what is governed, as the nodes reach it: the targets of the core simulation behind the ports for providers and
//! probes, over calls that take their time, lose their replies and come late.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use althing_actors::port::{
    Effect, Prober, Provider, ProviderError, ProviderOrder, ProviderPlan, TargetContext,
};
use althing_chaos::{
    checker::EffectEntry,
    simulation::{Coverage, target::Targets},
};
use althing_contracts::{
    document::{Action, HealthCheck},
    name::{Line, Name, TargetId},
    quantity::Fence,
    testing::{healthy, line, unhealthy},
    transaction::HealthReport,
};
use async_trait::async_trait;
use rand9::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Longest way of a call to a target, and of its reply.
const WAY_MAX_MS: u64 = 60;
/// How late a call may come after its caller was told that nobody knows.
const LATE_MAX_MS: u64 = 2_000;
/// Calls of a thousand that come late, while calls go wrong and where targets know them by their keys.
const LATE_PERMILLE: u32 = 40;

/// All targets; clones share them. They outlive every node.
#[derive(Debug, Clone)]
pub struct SimTargets(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    targets: Targets,
    random: StdRng,
    coverage: Coverage,
    /// Nothing takes effect any more.
    is_closed: bool,
}

/// The address of what a target serves.
#[must_use]
pub fn endpoint_of(target: &TargetId) -> Line {
    line(&format!("http://{target}"))
}

impl SimTargets {
    /// Targets of a seed: some keep idempotency keys, some runs have calls that go wrong.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x007a_26e7);
        let (keeps_keys, trouble_permille) =
            (random.random_bool(0.5), [0, 60, 200][random.random_range(0..3_usize)]);
        let targets = Targets::new(keeps_keys, trouble_permille);
        let inner = Inner { targets, random, coverage: Coverage::default(), is_closed: false };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Calls go right from here on.
    pub fn calm(&self) {
        self.lock().targets.calm();
    }

    /// Nothing takes effect from here on.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    /// The targets' own log.
    #[must_use]
    pub fn effects(&self) -> Vec<EffectEntry> {
        self.lock().targets.effects().to_vec()
    }

    /// What happened to calls, by kind.
    #[must_use]
    pub fn coverage(&self) -> Vec<(String, u64)> {
        self.lock().coverage.rows().filter(|(_, count)| *count > 0).collect()
    }

    async fn travel(&self) {
        let way = self.lock().random.random_range(1..=WAY_MAX_MS);
        tokio::time::sleep(Duration::from_millis(way)).await;
    }

    async fn carry_out(&self, order: &ProviderOrder, undo: bool) -> Result<Effect, ProviderError> {
        if let Some(late) = self.draw_late() {
            let (targets, order) = (self.clone(), order.clone());
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                // Nobody waits for it.
                let _unheard = targets.take(&order, undo);
            });
            return Err(ProviderError::Unknown("simulated: no answer in time".to_owned()));
        }
        self.travel().await;
        let effect = self.take(order, undo);
        self.travel().await;
        effect
    }

    fn draw_late(&self) -> Option<Duration> {
        let mut inner = self.lock();
        let may = inner.targets.is_troubled() && inner.targets.keeps_keys();
        let is_late = may && inner.random.random_range(0..1_000) < LATE_PERMILLE;
        is_late.then(|| Duration::from_millis(inner.random.random_range(1..=LATE_MAX_MS)))
    }

    fn take(&self, order: &ProviderOrder, undo: bool) -> Result<Effect, ProviderError> {
        let at_us = turmoil::sim_elapsed().unwrap_or_default().as_micros();
        let at_us = u64::try_from(at_us).unwrap_or(u64::MAX);
        let mut inner = self.lock();
        let Inner { targets, random, coverage, is_closed } = &mut *inner;
        if *is_closed {
            return Err(closed());
        }
        targets.carry_out(random, at_us, order, undo, coverage)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // One thread runs everything; a panic is reported by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> ProviderError {
    ProviderError::Retry("simulated: the run is over".to_owned())
}

#[async_trait]
impl Provider for SimTargets {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn plan(&self, _: &TargetContext, action: &Action) -> Result<ProviderPlan, ProviderError> {
        self.travel().await;
        Ok(ProviderPlan { before: None, changes: vec![format!("{action:?}")] })
    }

    async fn read(
        &self,
        target: &TargetContext,
        resource: &Name,
        fence: Fence,
    ) -> Result<Option<Action>, ProviderError> {
        self.travel().await;
        let found = {
            let mut inner = self.lock();
            let Inner { targets, random, is_closed, .. } = &mut *inner;
            if *is_closed { Err(closed()) } else { targets.read(random, &target.id, resource, fence) }
        };
        self.travel().await;
        found
    }

    async fn apply(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        self.carry_out(order, false).await
    }

    async fn undo(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        self.carry_out(order, true).await
    }

    async fn health(
        &self,
        target: &TargetContext,
        check: &HealthCheck,
    ) -> Result<HealthReport, ProviderError> {
        Ok(self.probe(&target.record.endpoints, check).await)
    }
}

#[async_trait]
impl Prober for SimTargets {
    async fn probe(&self, endpoints: &[Line], _: &HealthCheck) -> HealthReport {
        self.travel().await;
        let target = endpoints.first().and_then(|endpoint| endpoint.as_str().strip_prefix("http://"));
        let Some(target) = target.and_then(|target| TargetId::new(target).ok()) else {
            return unhealthy();
        };
        let mut inner = self.lock();
        let Inner { targets, random, is_closed, .. } = &mut *inner;
        if *is_closed { healthy() } else { targets.health(random, &target) }
    }
}
