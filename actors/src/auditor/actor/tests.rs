use std::{sync::Mutex, time::Duration};

use actix::{Handler, Message};
use althing_contracts::{
    quantity::DurationMs,
    role::Role,
    stage::Stage,
    testing::{deploy, member},
    transaction::AuditVerdict,
};
use async_trait::async_trait;
use tokio::sync::broadcast;

use super::*;
use crate::{auditor::story::Story, journal::Shelf, watcher::RestartLimits};

/// A node with a ledger of its own: serves its blocks, and puts attestations into the next one.
struct Node {
    story: Mutex<Story>,
    view: watch::Sender<Arc<LedgerView>>,
    attested: watch::Sender<Vec<Call>>,
    /// Attestations that are lost on the way before one arrives.
    lost: Mutex<usize>,
}

impl Node {
    fn new(story: Story) -> Arc<Self> {
        let view = watch::Sender::new(Arc::new(story.view()));
        let attested = watch::Sender::new(Vec::new());
        Arc::new(Self { story: Mutex::new(story), view, attested, lost: Mutex::new(0) })
    }

    fn options(self: &Arc<Self>, directory: &std::path::Path) -> AuditorOptions {
        AuditorOptions {
            config: AuditorConfig {
                member: Some(member("acme/auditor")),
                shelf: Shelf::directory(directory.to_owned()),
            },
            genesis: Arc::new(self.story.lock().unwrap().world.genesis.clone()),
            feed: LedgerFeed { view: self.view.subscribe(), events: broadcast::Sender::new(1) },
            history: Arc::clone(self) as Arc<dyn History>,
            attester: Some(Arc::clone(self) as Arc<dyn Attester>),
            home: Arc::new(actix::Arbiter::current()),
        }
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Story) -> T) -> T {
        let mut story = self.story.lock().unwrap();
        let told = change(&mut story);
        self.view.send_replace(Arc::new(story.view()));
        told
    }
}

#[async_trait]
impl History for Node {
    async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError> {
        let first = usize::try_from(from.get() - 1).unwrap();
        // A node that reads from its files gives fewer than asked for.
        let limit = limit.min(3);
        Ok(self.story.lock().unwrap().blocks.iter().skip(first).take(limit).cloned().collect())
    }
}

#[async_trait]
impl Attester for Node {
    async fn attest(&self, call: Call) -> Result<Height, AttestError> {
        self.attested.send_modify(|attested| attested.push(call.clone()));
        {
            let mut lost = self.lost.lock().unwrap();
            if *lost > 0 {
                *lost -= 1;
                return Err(AttestError::Unknown);
            }
        }
        Ok(self.tell(|story| {
            story.block(DurationMs::new(5), &[("acme/auditor", Role::Auditor, call)]);
            story.world.state.height()
        }))
    }
}

/// Breaks the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct Break;

impl Handler<Break> for AuditorActor {
    type Result = ();

    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("injected");
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens in time")
}

async fn status_when(
    auditor: &Watched<AuditorActor>,
    holds: impl Fn(&AuditorStatus) -> bool,
) -> AuditorStatus {
    within(async {
        loop {
            // An auditor that is being started again answers later.
            if let Ok(status) = auditor.send(ReadStatus).await
                && holds(&status)
            {
                return status;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn reaches(auditor: &Watched<AuditorActor>, node: &Node) -> AuditorStatus {
    let height = node.story.lock().unwrap().world.state.height();
    status_when(auditor, |status| status.height >= height).await
}

#[actix_rt::test]
async fn a_finished_proposal_is_attested_once_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::new(Story::new());
    let auditor = start(&Watcher::new(RestartLimits::default()), node.options(directory.path())).unwrap();
    let id = node.tell(|story| {
        let id = story.executed("v2");
        story.block(DurationMs::new(5), &[]);
        id
    });
    within(node.attested.subscribe().wait_for(|attested| !attested.is_empty())).await.unwrap();
    let status = reaches(&auditor, &node).await;
    assert!(status.sound);
    node.tell(|story| story.block(DurationMs::new(5), &[]));
    reaches(&auditor, &node).await;
    assert_eq!(node.story.lock().unwrap().stage(id), Stage::Closed);
    assert_eq!(node.attested.borrow().len(), 1);
}

#[actix_rt::test]
async fn an_attestation_whose_outcome_is_unknown_is_judged_again_at_the_next_block() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    let id = story.executed("v2");
    story.block(DurationMs::new(5), &[]);
    let node = Node::new(story);
    *node.lost.lock().unwrap() = 1;
    let auditor = start(&Watcher::new(RestartLimits::default()), node.options(directory.path())).unwrap();
    let mut attested = node.attested.subscribe();
    within(attested.wait_for(|attested| attested.len() == 1)).await.unwrap();
    reaches(&auditor, &node).await;
    node.tell(|story| story.block(DurationMs::new(5), &[]));
    within(attested.wait_for(|attested| attested.len() == 2)).await.unwrap();
    reaches(&auditor, &node).await;
    assert_eq!(node.story.lock().unwrap().stage(id), Stage::Closed);
}

#[actix_rt::test]
async fn an_auditor_that_begins_late_attests_nothing_that_was_attested() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    let id = story.executed("v2");
    story.audit(id, AuditVerdict::Sound);
    let node = Node::new(story);
    let auditor = start(&Watcher::new(RestartLimits::default()), node.options(directory.path())).unwrap();
    let status = reaches(&auditor, &node).await;
    assert_eq!(status.witnessed, status.height);
    assert!(node.attested.borrow().is_empty());
}

#[actix_rt::test]
async fn two_histories_shown_to_an_auditor_end_in_an_alarm_and_a_forged_one_in_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = Story::new();
    story.submitted(deploy("v2", &[&["acme-north"]]));
    let mut other = story.clone();
    story.block(DurationMs::new(5), &[]);
    other.block(DurationMs::new(6), &[]);
    let node = Node::new(story);
    let auditor = start(&Watcher::new(RestartLimits::default()), node.options(directory.path())).unwrap();
    reaches(&auditor, &node).await;
    let from = node.story.lock().unwrap().world.state.roster().validators()[0].node;
    let certificate = other.blocks[1].certificate.clone();
    let mut forged = certificate.clone();
    forged.precommits.pop_first();
    forged.precommits.pop_first();
    auditor.send(ObserveHead { from, certificate: forged }).await.unwrap();
    node.tell(|story| story.block(DurationMs::new(5), &[]));
    assert!(reaches(&auditor, &node).await.sound, "a forged head says nothing of the ledger");
    auditor.send(ObserveHead { from, certificate }).await.unwrap();
    status_when(&auditor, |status| !status.sound).await;
    let alarms = auditor.send(ReadAlarms).await.unwrap();
    assert_eq!(alarms.iter().map(Alarm::name).collect::<Vec<_>>(), ["split_view"]);
}

#[actix_rt::test]
async fn a_panicked_auditor_begins_again_from_its_files_and_attests_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::new(Story::new());
    let auditor = start(&Watcher::new(RestartLimits::default()), node.options(directory.path())).unwrap();
    let first = node.tell(|story| {
        let id = story.executed("v2");
        story.block(DurationMs::new(5), &[]);
        id
    });
    let mut attested = node.attested.subscribe();
    within(attested.wait_for(|attested| attested.len() == 1)).await.unwrap();
    reaches(&auditor, &node).await;

    within(auditor.send(Break)).await.unwrap_err();
    let second = node.tell(|story| {
        let id = story.executed("v3");
        story.block(DurationMs::new(5), &[]);
        id
    });
    within(attested.wait_for(|attested| attested.len() == 2)).await.unwrap();
    let status = reaches(&auditor, &node).await;
    assert!(status.sound);
    for id in [first, second] {
        assert_eq!(node.story.lock().unwrap().stage(id), Stage::Closed);
    }
    assert_eq!(node.attested.borrow().len(), 2);
}
