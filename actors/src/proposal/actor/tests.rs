use std::{collections::BTreeSet, time::Duration};

use actix::Arbiter;
use althing_contracts::{
    quantity::DurationMs,
    reject::Reject,
    stage::Stage,
    testing::{World, deploy, line, member},
    transaction::{Choice, ReviewVerdict},
};

use super::*;
use crate::{
    executor::local::tests::service::Site,
    journal::Shelf,
    signer::{
        actor::{SignerOptions, start as start_signer},
        submitter::{ActError, SubmitterOptions},
    },
    test_ledger::{TestLedger, keys},
    watcher::RestartLimits,
};

struct Bench {
    ledger: Arc<TestLedger>,
    desk: Watched<ProposalDesk>,
    arbiter: Arbiter,
    _dir: tempfile::TempDir,
}

fn bench(providers: Vec<Arc<dyn Provider>>) -> Bench {
    bench_with(providers, false)
}

fn bench_with(providers: Vec<Arc<dyn Provider>>, panics: bool) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let ledger = TestLedger::new(World::new(4));
    ledger.pass(DurationMs::new(1));
    let limits = RestartLimits { backoff_first: Duration::from_millis(1), ..RestartLimits::default() };
    let (watcher, arbiter) = (Watcher::new(limits), Arbiter::new());
    let keys = Arc::new(keys(&[
        ("acme/author", Role::Author),
        ("birch/author", Role::Reviewer),
        ("acme/author", Role::Voter),
        ("birch/author", Role::Voter),
    ]));
    let signer = SignerOptions {
        keys: Arc::new(keys.clone()),
        shelf: Shelf::directory(dir.path().to_owned()),
        feed: ledger.feed(),
        clock: ledger.clone(),
        home: Arc::new(arbiter.handle()),
    };
    let signer = start_signer(&watcher, signer).unwrap();
    let read_only = watcher.read_only();
    let (clock, lanes) = (ledger.clone(), Arc::new(arbiter.handle()));
    let options = SubmitterOptions { signer, ledger: ledger.clone(), clock, read_only, home: lanes };
    let submitter = Submitter::start(keys.holders(), &options);
    let org = OrgId::new("acme").unwrap();
    let seen = Arc::new(Panicking(ledger.clone(), panics.into()));
    let options = DeskOptions { org, providers, submitter, ledger: seen, home: Arc::new(arbiter.handle()) };
    let desk = start(&watcher, options).unwrap();
    Bench { ledger, desk, arbiter, _dir: dir }
}

impl Bench {
    async fn submit(&self) -> Submitted {
        let document = deploy("v2", &[&["acme-north"]]);
        let dry_run = self.desk.send(PlanDocument { document: document.clone() }).await.unwrap().unwrap();
        let author = member("acme/author");
        let request = SubmitProposal { author, document, plan_hash: dry_run.plan_hash };
        self.desk.send(request).await.unwrap().unwrap()
    }
}

fn wait_for(proposal: ProposalId, until: Stage, deadline: Duration) -> Wait {
    Wait { proposal, until: BTreeSet::from([until]), deadline }
}

#[actix_rt::test]
async fn a_document_becomes_a_proposal_that_is_reviewed_and_voted_on() {
    let bench = bench(Vec::new());
    let Submitted { proposal, .. } = bench.submit().await;
    let plan_hash = bench.ledger.proposal(proposal).plan_hash;
    let review = ReviewProposal {
        reviewer: member("birch/author"),
        proposal,
        plan_hash,
        verdict: ReviewVerdict::Approve,
        reason: line("fine"),
    };
    bench.desk.send(review).await.unwrap().unwrap();
    let wait = bench.desk.send(wait_for(proposal, Stage::Voting, Duration::from_secs(5))).await;
    assert_eq!(wait.unwrap().unwrap(), Waited::Reached(Stage::Voting));
    let ballot = CastBallot { voter: member("birch/author"), proposal, plan_hash, choice: Choice::For };
    bench.desk.send(ballot).await.unwrap().unwrap();
    assert_eq!(bench.ledger.proposal(proposal).vote.ballots.len(), 1);
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_ballot_on_a_plan_that_has_moved_is_refused_before_it_is_signed() {
    let bench = bench(Vec::new());
    let Submitted { proposal, .. } = bench.submit().await;
    let shown = Digest::ZERO;
    let ballot = CastBallot { voter: member("acme/author"), proposal, plan_hash: shown, choice: Choice::For };
    let refused = bench.desk.send(ballot).await.unwrap().unwrap_err();
    let current = bench.ledger.proposal(proposal).plan_hash;
    assert_eq!(
        refused.to_string(),
        format!("the plan hash of {proposal} is {current}, not {shown}; look at the plan again")
    );
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_wait_ends_with_the_event_that_it_waits_for() {
    let bench = bench(Vec::new());
    let Submitted { proposal, .. } = bench.submit().await;
    let wait = bench.desk.send(wait_for(proposal, Stage::Cancelled, Duration::from_secs(20)));
    let cancel = CancelProposal { author: member("acme/author"), proposal, reason: line("no need") };
    let (waited, cancelled) = futures::join!(wait, bench.desk.send(cancel));
    cancelled.unwrap().unwrap();
    assert_eq!(waited.unwrap().unwrap(), Waited::Reached(Stage::Cancelled));
    let wait = bench.desk.send(wait_for(proposal, Stage::Executed, Duration::from_secs(20))).await;
    assert_eq!(wait.unwrap().unwrap(), Waited::Ended(Stage::Cancelled));
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_wait_that_times_out_says_what_is_missing() {
    let bench = bench(Vec::new());
    let Submitted { proposal, .. } = bench.submit().await;
    let wait = bench.desk.send(wait_for(proposal, Stage::Queued, Duration::from_millis(5))).await;
    let Waited::TimedOut { stage, unmet } = wait.unwrap().unwrap() else { panic!("it cannot be queued") };
    assert_eq!(stage, Stage::Review);
    assert!(unmet[0].contains("have signed it off (0 of 1)"), "{unmet:?}");
    let unknown = wait_for(ProposalId::from_digest(Digest::ZERO), Stage::Queued, Duration::ZERO);
    assert!(matches!(bench.desk.send(unknown).await.unwrap(), Err(DeskError::UnknownProposal { .. })));
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_dry_run_asks_the_providers_of_the_own_targets() {
    let site = Site::new(2);
    let bench = bench(vec![Arc::new(site.open())]);
    let mut document = deploy("v2", &[&["acme-north"], &["birch-north"]]);
    document.stages[0].steps[0].action = site.release("v2", "serve two");
    let dry_run = bench.desk.send(PlanDocument { document: document.clone() }).await.unwrap().unwrap();
    assert_eq!(dry_run.plan_hash, dry_run.plan.hash());
    let [preview] = &dry_run.targets[..] else { panic!("{:?}", dry_run.targets) };
    assert_eq!(preview.says.as_ref().unwrap().len(), 3);
    document.stages[0].steps[0].target = althing_contracts::testing::target("nowhere");
    let refused = bench.desk.send(PlanDocument { document }).await.unwrap();
    assert!(matches!(refused, Err(DeskError::Rejected(Reject::UnknownTarget { .. }))));
    bench.arbiter.stop();
}

#[actix_rt::test]
async fn a_submission_that_the_rules_refuse_tells_the_rule() {
    let bench = bench(Vec::new());
    let document = deploy("v2", &[&["acme-north"]]);
    let request = SubmitProposal { author: member("acme/author"), document, plan_hash: Digest::ZERO };
    let refused = bench.desk.send(request).await.unwrap();
    assert!(matches!(refused, Err(DeskError::Act(ActError::Refused(_)))), "{refused:?}");
    bench.arbiter.stop();
}

struct Panicking(Arc<TestLedger>, std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl LedgerPort for Panicking {
    async fn submit(&self, transaction: Vec<u8>) -> Result<Final, crate::ledger::message::SubmitError> {
        self.0.submit(transaction).await
    }

    fn feed(&self) -> crate::ledger::message::LedgerFeed {
        assert!(!self.1.swap(false, std::sync::atomic::Ordering::SeqCst), "injected");
        self.0.feed()
    }
}

#[actix_rt::test]
async fn a_desk_that_panicked_answers_again() {
    let bench = bench_with(Vec::new(), true);
    let document = deploy("v2", &[&["acme-north"]]);
    assert!(bench.desk.send(PlanDocument { document: document.clone() }).await.is_err());
    bench.desk.send(PlanDocument { document }).await.unwrap().unwrap();
    bench.arbiter.stop();
}
