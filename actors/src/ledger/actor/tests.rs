mod mesh;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use actix::{Context, Handler, Message};
use althing_contracts::{
    digest::Digest,
    event::EventRecord,
    quantity::{EventSequence, Height, TimeMs},
    testing::World,
};
use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Resource, Rlimit, setrlimit};

use self::mesh::{OBSERVER, PATIENCE, TestMesh, VALIDATORS, within};
use super::LedgerActor;
use crate::disk::FileDisk;
use crate::ledger::{
    LedgerHandle,
    message::{Final, READ_BLOCKS_MAX, READ_EVENTS_MAX, SubmitError},
    snapshot::{Snapshot, SnapshotStore},
    state::Now,
    storage::FileStorage,
    store,
};

/// The validator that is away; the others are just enough.
const AWAY: usize = VALIDATORS - 1;
/// How long the others wait for its proposals.
const ABSENT_MS: u64 = 20;
/// Blocks that it misses in the short form of the catch-up.
const MISSED_BLOCKS: u64 = 300;
/// Blocks that it misses in the long form.
const MISSED_BLOCKS_LONG: u64 = 10_000;

/// Breaks the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct Break;

impl Handler<Break> for LedgerActor {
    type Result = ();

    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("injected");
    }
}

/// Asks again as long as the outcome is unknown.
async fn final_in_the_end(mesh: &TestMesh, node: usize, bytes: &[u8]) -> Final {
    loop {
        match mesh.submit(node, bytes).await {
            Err(SubmitError::Unknown) => {}
            outcome => return outcome.unwrap(),
        }
    }
}

async fn events_of(ledger: &LedgerHandle) -> Vec<EventRecord> {
    ledger.read_events(EventSequence::ZERO, READ_EVENTS_MAX).await.unwrap()
}

#[actix_rt::test]
async fn a_transaction_submitted_at_one_ledger_is_final_at_all() {
    let mut mesh = TestMesh::of(0..=OBSERVER);
    let bytes = mesh.transaction();
    let done = mesh.submit(2, &bytes).await.unwrap();
    assert!(!done.events.is_empty());
    let mut roots = Vec::new();
    for node in 0..=OBSERVER {
        mesh.reaches(node, done.height, PATIENCE).await;
        let view = mesh.ledger(node).feed().view.borrow().clone();
        roots.push(view.header.as_ref().unwrap().state_root);
        assert_eq!(events_of(mesh.ledger(node)).await, events_of(mesh.ledger(2)).await);
    }
    assert_eq!(roots, [roots[0]; VALIDATORS + 1]);
    assert_eq!(mesh.blamed(), []);
}

#[actix_rt::test]
async fn repeated_bytes_are_final_again_and_take_effect_once() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    let bytes = mesh.transaction();
    let (first, beside) = futures::join!(mesh.submit(1, &bytes), mesh.submit(1, &bytes));
    let first = first.unwrap();
    assert_eq!(beside.unwrap(), first, "those who ask side by side are told the same");
    let events = events_of(mesh.ledger(1)).await;
    for node in 0..VALIDATORS {
        mesh.reaches(node, first.height, PATIENCE).await;
        let again = mesh.submit(node, &bytes).await.unwrap();
        assert_eq!((again.id, again.events.len()), (first.id, 0));
    }
    let last = mesh.make_blocks(1).await;
    mesh.reaches(1, last, PATIENCE).await;
    let heard = events_of(mesh.ledger(1)).await;
    assert_eq!(heard[..events.len()], events);
    let of_first = heard.iter().filter(|event| event.height == first.height).count();
    assert_eq!(of_first, events.iter().filter(|event| event.height == first.height).count());
}

#[actix_rt::test]
async fn a_panicked_ledger_comes_back_from_its_store_and_takes_part_again() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    let before = mesh.make_blocks(3).await;
    let actor = mesh.ledger(0).actor();
    within(PATIENCE, actor.send(Break)).await.unwrap_err();
    // Without another one, the rest is enough only with the node that broke.
    mesh.cut(3, true);
    let bytes = mesh.transaction();
    let done = mesh.submit(1, &bytes).await.unwrap();
    assert!(done.height > before);
    mesh.reaches(0, done.height, PATIENCE).await;
    assert_eq!(within(PATIENCE, final_in_the_end(&mesh, 0, &bytes)).await.id, done.id);
    assert_eq!(*mesh.ledger(0).failure().borrow(), None);
    assert_eq!(mesh.blamed(), []);
}

#[actix_rt::test]
async fn who_waits_at_a_panicked_ledger_is_told_unknown_and_asks_again_with_the_same_bytes() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    mesh.make_blocks(1).await;
    mesh.cut(0, true);
    let bytes = mesh.transaction();
    let waiting = mesh.submit(0, &bytes);
    let broken = async {
        // Submissions are taken in order and garbage is answered at once: after two of it the ledger has the first.
        for _ in 0..2 {
            mesh.ledger(0).submit(vec![0]).await.unwrap_err();
        }
        within(PATIENCE, mesh.ledger(0).actor().send(Break)).await
    };
    let (waiting, broken) = futures::join!(waiting, broken);
    assert!(matches!(waiting, Err(SubmitError::Unknown)), "{waiting:?}");
    broken.unwrap_err();
    mesh.cut(0, false);
    let done = within(PATIENCE, final_in_the_end(&mesh, 0, &bytes)).await;
    mesh.reaches(1, done.height, PATIENCE).await;
}

#[test]
fn a_disk_that_takes_no_more_stops_the_ledger() {
    // A limit on the length of files holds for a whole process.
    let module = module_path!().split_once("::").unwrap().1;
    let alone = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::a_full_disk_is_told_as_a_failure"), "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(
        alone.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&alone.stderr)
    );
}

#[actix_rt::test]
#[ignore = "limits the files of its whole process; the test above gives it one"]
async fn a_full_disk_is_told_as_a_failure() {
    let mut too_long = SigSet::empty();
    too_long.add(Signal::SIGXFSZ);
    too_long.thread_block().unwrap();
    let mut mesh = TestMesh::of([0]);
    let mut failure = mesh.ledger(0).failure();
    let log = mesh.data_dir(0).join("log");
    let lengths = std::fs::read_dir(log).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    let limit = Rlimit { current: lengths.max(), maximum: None };
    setrlimit(Resource::Fsize, limit).unwrap();
    let bytes = mesh.transaction();
    let submitted = mesh.submit(0, &bytes);
    let (submitted, why) = futures::join!(submitted, within(PATIENCE, failure.wait_for(Option::is_some)));
    let why = why.unwrap().clone().unwrap();
    assert!(why.contains("cannot append to the log's file"), "{why}");
    assert!(matches!(submitted, Err(SubmitError::Unknown)), "{submitted:?}");
    mesh.ledger(0).read_events(EventSequence::ZERO, 1).await.unwrap_err();
}

#[actix_rt::test]
async fn a_ledger_that_was_shut_down_has_kept_every_block_and_event() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    let height = mesh.make_blocks(20).await;
    let (events, blocks) = (events_of(mesh.ledger(0)).await, blocks_of(mesh.ledger(0)).await);
    let root = mesh.ledger(0).feed().view.borrow().header.as_ref().unwrap().state_root;
    mesh.stop(0).await;
    for node in 1..VALIDATORS {
        mesh.stop(node).await;
    }
    mesh.start(0);
    let view = mesh.ledger(0).feed().view.borrow().clone();
    assert_eq!((view.state.height(), view.header.as_ref().unwrap().state_root), (height, root));
    assert_eq!(events_of(mesh.ledger(0)).await, events);
    assert_eq!(blocks_of(mesh.ledger(0)).await, blocks);
}

async fn blocks_of(ledger: &LedgerHandle) -> Vec<super::CertifiedBlock> {
    ledger.read_blocks(Height::ZERO, READ_BLOCKS_MAX).await.unwrap()
}

#[actix_rt::test]
async fn a_snapshot_and_the_tail_of_the_log_give_the_state_of_the_whole_log() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    mesh.make_blocks(5).await;
    let middle = mesh.ledger(0).feed().view.borrow().clone();
    mesh.make_blocks(5).await;
    let last = mesh.ledger(0).feed().view.borrow().header.clone().unwrap();
    mesh.stop(0).await;

    assert_eq!(reopened(&mesh).unwrap(), last.state_root);
    let header = middle.header.as_ref().unwrap();
    let write = |height: Height, payload: Vec<u8>| {
        let disk = FileDisk::open(&mesh.data_dir(0).join("snapshot")).unwrap();
        let (state_root, block) = (header.state_root, header.digest());
        let snapshot = Snapshot { height, state_root, block, payload };
        SnapshotStore::new(disk, mesh.world.network()).write(&snapshot).unwrap();
    };
    write(header.height, middle.state.encode_snapshot());
    assert_eq!(reopened(&mesh).unwrap(), last.state_root);
    // A snapshot of something else shows that snapshots are what the store begins with.
    write(header.height.next(), World::new(3).state.encode_snapshot());
    assert!(reopened(&mesh).is_err());
}

/// The state's root of node 0's store.
fn reopened(mesh: &TestMesh) -> Result<Digest, store::StoreError> {
    let now = Now { wall: TimeMs::new(0), monotonic_us: 0 };
    let store = store::open(&FileStorage(mesh.data_dir(0)), mesh.settings(0), now)?;
    Ok(store.ledger.state().clone().root())
}

#[actix_rt::test]
async fn blocks_that_are_too_old_for_the_memory_are_served_and_read_through_the_index() {
    let mut mesh = TestMesh::of(0..VALIDATORS);
    let last = mesh.make_blocks(150).await;
    let page = mesh.ledger(0).read_blocks(Height::new(2), 10).await.unwrap();
    let heights: Vec<u64> = page.iter().map(|block| block.certificate.height.get()).collect();
    assert_eq!(heights, (2..12).collect::<Vec<_>>());
    mesh.start(OBSERVER);
    mesh.reaches(OBSERVER, last, PATIENCE).await;
    assert_eq!(mesh.blamed(), []);
}

#[actix_rt::test]
async fn a_validator_that_was_away_catches_up_while_the_mesh_works() {
    catch_up(MISSED_BLOCKS, PATIENCE).await;
}

#[actix_rt::test]
#[ignore = "makes 10,000 blocks first; `make long-tests` runs it"]
async fn a_validator_that_was_away_for_ten_thousand_blocks_catches_up_while_the_mesh_works() {
    catch_up(MISSED_BLOCKS_LONG, Duration::from_mins(1)).await;
}

/// Has a validator reach the head, which goes on meanwhile, and prints how long that takes.
async fn catch_up(missed: u64, patience: Duration) {
    let mut mesh = TestMesh::new();
    // One proposer in four is away, and nobody waits long for it.
    mesh.timing.consensus.propose_ms = ABSENT_MS;
    mesh.timing.consensus.precommit_ms = ABSENT_MS;
    mesh.keep_in_memory();
    (0..AWAY).for_each(|node| mesh.start(node));
    let began = Instant::now();
    mesh.make_blocks(missed).await;
    let made = began.elapsed();
    let began = Instant::now();
    mesh.start(AWAY);
    let view = mesh.ledger(AWAY).feed().view;
    let mut meanwhile = 0;
    loop {
        let head = mesh.make_blocks(1).await;
        meanwhile += 1;
        let height = view.borrow().state.height();
        assert!(began.elapsed() < patience, "height {height} of {head}");
        if head.get() <= height.get() + 1 {
            break;
        }
    }
    let (made, took) = (made.as_secs_f64(), began.elapsed().as_secs_f64());
    println!(
        "{missed} blocks were made in {made:.1} s; caught up in {took:.1} s, in which {meanwhile} more were made"
    );
}
