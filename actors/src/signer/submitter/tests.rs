use std::sync::Mutex;

use actix::Arbiter;
use althing_contracts::{
    event::Event,
    testing::{World, deploy, member},
};
use async_trait::async_trait;

use super::*;
use crate::{
    journal::Shelf,
    ledger::message::LedgerFeed,
    signer::actor::{SignerOptions, start},
    test_ledger::{TestLedger, keys},
    watcher::{RestartLimits, Watcher},
};

/// Answers the first submissions as told, then as the ledger does. `true` passes the transaction on unheard.
struct Flaky {
    ledger: Arc<TestLedger>,
    faults: Mutex<Vec<(bool, SubmitError)>>,
    seen: Mutex<Vec<Vec<u8>>>,
}

#[async_trait]
impl LedgerPort for Flaky {
    async fn submit(&self, transaction: Vec<u8>) -> Result<Final, SubmitError> {
        self.seen.lock().unwrap().push(transaction.clone());
        let fault = self.faults.lock().unwrap().pop();
        match fault {
            Some((true, error)) => {
                self.ledger.submit(transaction).await?;
                Err(error)
            }
            Some((false, error)) => Err(error),
            None => self.ledger.submit(transaction).await,
        }
    }

    fn feed(&self) -> LedgerFeed {
        self.ledger.feed()
    }
}

struct PanicOnce(Mutex<bool>);

impl Clock for PanicOnce {
    fn now(&self) -> TimeMs {
        assert!(
            !std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
            "injected"
        );
        TimeMs::ZERO
    }
}

struct Bench {
    ledger: Arc<Flaky>,
    submitter: Submitter,
    watcher: Watcher,
    arbiter: Arbiter,
    _dir: tempfile::TempDir,
}

const AUTHOR: (&str, Role) = ("acme/author", Role::Author);

fn bench_with(faults: Vec<(bool, SubmitError)>, clock: Option<Arc<dyn Clock>>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let ledger = TestLedger::new(World::new(4));
    ledger.pass(DurationMs::new(1));
    let flaky =
        Arc::new(Flaky { ledger: ledger.clone(), faults: Mutex::new(faults), seen: Mutex::new(Vec::new()) });
    let limits = RestartLimits { backoff_first: Duration::from_millis(1), ..RestartLimits::default() };
    let watcher = Watcher::new(limits);
    let arbiter = Arbiter::new();
    let keys = Arc::new(keys(&[AUTHOR]));
    let options = SignerOptions {
        keys: Arc::new(keys.clone()),
        shelf: Shelf::directory(dir.path().to_owned()),
        feed: ledger.feed(),
        clock: clock.unwrap_or(ledger.clone()),
        home: Arc::new(arbiter.handle()),
    };
    let signer = start(&watcher, options).unwrap();
    let read_only = watcher.read_only();
    let lanes = Arc::new(arbiter.handle());
    let options = SubmitterOptions { signer, ledger: flaky.clone(), clock: ledger, read_only, home: lanes };
    let submitter = Submitter::start(keys.holders(), &options);
    Bench { ledger: flaky, submitter, watcher, arbiter, _dir: dir }
}

impl Bench {
    fn submission(&self, version: &str) -> Call {
        let document = deploy(version, &[&["acme-north"]]);
        let plan_hash = self.ledger.ledger.world().state.plan(&document).unwrap().hash();
        Call::Submit { document, plan_hash }
    }

    async fn submit(&self, version: &str) -> Result<Final, ActError> {
        self.submitter.act(&member(AUTHOR.0), AUTHOR.1, self.submission(version)).await
    }

    fn opened(&self) -> usize {
        self.ledger.ledger.world().state.proposals().count()
    }
}

fn opens(answer: &Final) -> bool {
    answer.events.iter().any(|event| matches!(event, Event::Submitted { .. }))
}

#[actix_rt::test]
async fn concurrent_calls_of_one_key_each_get_their_own_sequence() {
    let bench = bench_with(Vec::new(), None);
    let versions = ["v1", "v2", "v3", "v4"];
    let answers = futures::future::join_all(versions.map(|version| bench.submit(version))).await;
    assert!(answers.iter().all(|answer| opens(answer.as_ref().unwrap())));
    assert_eq!(bench.opened(), 4);
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn an_unknown_outcome_is_asked_again_with_the_same_bytes_and_takes_effect_once() {
    let bench = bench_with(vec![(true, SubmitError::Unknown), (false, SubmitError::Busy { len: 1 })], None);
    bench.submit("v1").await.unwrap();
    assert_eq!(bench.opened(), 1);
    {
        let seen = bench.ledger.seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|bytes| *bytes == seen[0]));
    }
    assert!(opens(&bench.submit("v2").await.unwrap()), "the next call has a fresh sequence");
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_sequence_that_another_node_used_is_signed_anew() {
    let bench = bench_with(Vec::new(), None);
    // The feed shows the ledger before a transaction of the same key that came from elsewhere.
    let call = bench.submission("v1");
    {
        let mut world = bench.ledger.ledger.world();
        let transaction = world.sign(AUTHOR.0, AUTHOR.1, call);
        world.block(DurationMs::new(1), &[transaction]);
    }
    assert!(opens(&bench.submit("v2").await.unwrap()));
    assert_eq!(bench.opened(), 2);
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_refusal_is_told_and_uses_no_sequence_up() {
    let bench = bench_with(Vec::new(), None);
    let call = Call::Submit {
        document: deploy("v1", &[&["nowhere"]]),
        plan_hash: althing_contracts::digest::Digest::ZERO,
    };
    let error = bench.submitter.act(&member(AUTHOR.0), AUTHOR.1, call).await.unwrap_err();
    assert!(matches!(error.reject(), Some(Reject::UnknownTarget { .. })), "{error}");
    assert!(opens(&bench.submit("v1").await.unwrap()));
    let error = bench.submitter.act(&member("acme/author"), Role::Voter, bench.submission("v1")).await;
    assert!(matches!(error, Err(ActError::Refused(SignError::NoKey { .. }))));
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_signer_that_panicked_is_back_for_the_same_call() {
    let bench = bench_with(Vec::new(), Some(Arc::new(PanicOnce(Mutex::new(true)))));
    assert!(opens(&bench.submit("v1").await.unwrap()));
    assert_eq!(*bench.watcher.read_only().borrow(), None);
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_call_that_is_not_settled_in_time_is_unknown_not_failed() {
    let faults = (0..100).map(|_| (false, SubmitError::Unknown)).collect();
    let bench = bench_with(faults, None);
    let call = bench.submission("v1");
    let answer =
        bench.submitter.act_within(&member(AUTHOR.0), AUTHOR.1, call, Duration::from_millis(20)).await;
    assert!(matches!(answer, Err(ActError::Unknown { .. })));
    bench.arbiter.stop();
}
