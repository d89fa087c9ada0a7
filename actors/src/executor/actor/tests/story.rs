//! A mesh of executor nodes over one ledger in memory and one world of targets that keeps its own log of effects.

use super::*;

/// The ledger and the world; both outlive every node.
pub(super) struct Mesh {
    pub(super) ledger: Arc<TestLedger>,
    pub(super) world: Arc<FakeWorld>,
    dir: tempfile::TempDir,
}

/// One life of a node.
pub(super) struct Node {
    pub(super) watcher: Watcher,
    executor: Watched<ExecutorActor>,
    arbiter: Arbiter,
}

/// Counts the boundaries that a node crosses, and stops it at one of them for ever.
pub(super) struct Life {
    crossed: AtomicUsize,
    crash_at: usize,
    crashed: watch::Sender<bool>,
}

/// The targets: what is applied, and every effect in order. It forgets idempotency keys, so that only the executor's
/// own care keeps an effect from happening twice.
#[derive(Default)]
pub(super) struct FakeWorld(Mutex<Targets>);

#[derive(Default)]
struct Targets {
    applied: BTreeMap<TargetId, Action>,
    effects: Vec<String>,
    panics: bool,
}

/// A provider or a ledger that belongs to one life.
pub(super) struct Mortal<T: ?Sized> {
    pub(super) life: Arc<Life>,
    pub(super) inner: Arc<T>,
}

impl Mesh {
    pub(super) async fn new(answers: &'static [&'static str]) -> Self {
        let endpoint = server(answers).await;
        let mut genesis = genesis(4);
        for target in genesis.targets.values_mut() {
            target.endpoints = vec![endpoint.clone(), endpoint.clone()];
        }
        Self::with(genesis)
    }

    pub(super) fn with(genesis: Genesis) -> Self {
        let ledger = TestLedger::new(World::with(genesis));
        Self { ledger, world: Arc::default(), dir: tempfile::tempdir().unwrap() }
    }

    /// Submits a document and brings it to the end of its timelock.
    pub(super) fn decide(&self, document: ProposalDocument) -> ProposalId {
        let mut decided = None;
        self.ledger.change(|world| {
            world.pass(DurationMs::new(1));
            let id = world.submit("acme/author", document).unwrap();
            decide(world, id);
            decided = Some(id);
        });
        decided.unwrap()
    }

    pub(super) fn node(&self, org: &str, life: Arc<Life>) -> Node {
        let world = Arc::clone(&self.world);
        self.node_with(org, life, world)
    }

    /// Starts a node of an organisation from what its earlier lives left on the disk.
    pub(super) fn node_with(&self, org: &str, life: Arc<Life>, provider: Arc<dyn Provider>) -> Node {
        let limits = RestartLimits { backoff_first: Duration::from_millis(1), ..RestartLimits::default() };
        let (watcher, arbiter) = (Watcher::new(limits), Arbiter::new());
        let executor = format!("{org}/executor");
        let keys = Arc::new(keys(&[(&executor, Role::Executor)]));
        let journals = Shelf::directory(self.dir.path().join(org));
        let ledger = Arc::new(Mortal { life: Arc::clone(&life), inner: Arc::clone(&self.ledger) });
        let signer = SignerOptions {
            keys: Arc::new(Arc::clone(&keys)),
            shelf: journals.clone(),
            feed: self.ledger.feed(),
            clock: self.ledger.clone(),
            home: Arc::new(arbiter.handle()),
        };
        let signer = crate::signer::actor::start(&watcher, signer).unwrap();
        let read_only = watcher.read_only();
        let clock = self.ledger.clone();
        let options = SubmitterOptions {
            signer,
            ledger: ledger.clone(),
            clock,
            read_only,
            home: Arc::new(arbiter.handle()),
        };
        let options = ExecutorOptions {
            org: OrgId::new(org).unwrap(),
            shelf: journals,
            parallel_max: 4,
            providers: vec![Arc::new(Mortal { life, inner: provider })],
            prober: Arc::new(HttpProber::new().unwrap()),
            submitter: Submitter::start(keys.holders(), &options),
            ledger,
            clock: self.ledger.clone(),
            home: Arc::new(arbiter.handle()),
        };
        let executor = start(&watcher, options).unwrap();
        Node { watcher, executor, arbiter }
    }
}

impl Node {
    /// Ends the node at once; what it had not written is lost.
    pub(super) fn kill(self) {
        drop(self.executor);
        self.arbiter.stop();
        self.arbiter.join().unwrap();
    }
}

impl Life {
    pub(super) fn endless() -> Arc<Self> {
        Self::until(usize::MAX)
    }

    pub(super) fn until(crash_at: usize) -> Arc<Self> {
        let crossed = AtomicUsize::new(0);
        Arc::new(Self { crossed, crash_at, crashed: watch::Sender::new(false) })
    }

    /// Waits until the life is over.
    pub(super) async fn crashed(&self) {
        self.crashed.subscribe().wait_for(|crashed| *crashed).await.unwrap();
    }

    async fn cross(&self) {
        let here = self.crossed.fetch_add(1, Ordering::SeqCst);
        if here == self.crash_at {
            self.crashed.send_replace(true);
        }
        if *self.crashed.borrow() {
            std::future::pending::<()>().await;
        }
    }
}

impl FakeWorld {
    pub(super) fn effects(&self) -> Vec<String> {
        let mut effects = self.0.lock().unwrap().effects.clone();
        effects.sort_by_key(|effect| (effect.starts_with("undo"), effect.clone()));
        effects
    }

    pub(super) fn applied(&self, at: &str) -> Option<Action> {
        self.0.lock().unwrap().applied.get(&target(at)).cloned()
    }

    pub(super) fn put(&self, at: &str, action: Action) {
        self.0.lock().unwrap().applied.insert(target(at), action);
    }

    pub(super) fn panic_at_next_read(&self) {
        self.0.lock().unwrap().panics = true;
    }

    fn change(&self, order: &ProviderOrder, undo: &str) -> Effect {
        let mut targets = self.0.lock().unwrap();
        match &order.action {
            Action::Remove { .. } => drop(targets.applied.remove(&order.target.id)),
            action => drop(targets.applied.insert(order.target.id.clone(), action.clone())),
        }
        targets.effects.push(format!("{undo}{}", order.target.id));
        Effect::New(Evidence { facts: BTreeMap::from([("key".to_owned(), order.idempotency_key.clone())]) })
    }
}

#[async_trait]
impl Provider for FakeWorld {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn plan(&self, _: &TargetContext, _: &Action) -> Result<ProviderPlan, ProviderError> {
        Ok(ProviderPlan { before: None, changes: Vec::new() })
    }

    async fn read(
        &self,
        target: &TargetContext,
        _: &Name,
        _: Fence,
    ) -> Result<Option<Action>, ProviderError> {
        let panics = std::mem::take(&mut self.0.lock().unwrap().panics);
        assert!(!panics, "injected");
        Ok(self.0.lock().unwrap().applied.get(&target.id).cloned())
    }

    async fn apply(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        Ok(self.change(order, ""))
    }

    async fn undo(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        Ok(self.change(order, "undo "))
    }

    async fn health(
        &self,
        _: &TargetContext,
        _: &althing_contracts::document::HealthCheck,
    ) -> Result<HealthReport, ProviderError> {
        Err(ProviderError::Refused("probed over HTTP".to_owned()))
    }
}

#[async_trait]
impl Provider for Mortal<dyn Provider> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn plan(&self, target: &TargetContext, action: &Action) -> Result<ProviderPlan, ProviderError> {
        self.inner.plan(target, action).await
    }

    async fn read(
        &self,
        target: &TargetContext,
        resource: &Name,
        fence: Fence,
    ) -> Result<Option<Action>, ProviderError> {
        self.life.cross().await;
        self.inner.read(target, resource, fence).await
    }

    async fn apply(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        self.life.cross().await;
        let effect = self.inner.apply(order).await;
        self.life.cross().await;
        effect
    }

    async fn undo(&self, order: &ProviderOrder) -> Result<Effect, ProviderError> {
        self.life.cross().await;
        let effect = self.inner.undo(order).await;
        self.life.cross().await;
        effect
    }

    async fn health(
        &self,
        target: &TargetContext,
        check: &althing_contracts::document::HealthCheck,
    ) -> Result<HealthReport, ProviderError> {
        self.inner.health(target, check).await
    }
}

#[async_trait]
impl LedgerPort for Mortal<TestLedger> {
    async fn submit(&self, transaction: Vec<u8>) -> Result<Final, crate::ledger::message::SubmitError> {
        self.life.cross().await;
        let answer = self.inner.submit(transaction).await;
        self.life.cross().await;
        answer
    }

    fn feed(&self) -> crate::ledger::message::LedgerFeed {
        self.inner.feed()
    }
}

/// The action of a document's first step.
pub(super) fn action(document: &ProposalDocument) -> Action {
    document.stages[0].steps[0].action.clone()
}

/// A line that names an endpoint.
pub(super) fn endpoint(address: &str) -> Line {
    Line::new(&format!("http://{address}")).unwrap()
}
