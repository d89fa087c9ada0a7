//! How heads are shown, judged and passed on.

use super::{super::heads::SHOW_INTERVAL_US, *};
use crate::{ledger::message::ShownHead, port::Verdict};

const PAUSE_MS: u64 = SHOW_INTERVAL_US / 1_000;

impl Mesh {
    /// The heights of the heads that were shown since the last call.
    fn take_shown(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.shown).iter().map(|certificate| certificate.height.get()).collect()
    }
}

#[test]
fn every_validator_shows_its_head_once_a_second_and_the_last_one_without_another_block() {
    let mut mesh = Mesh::new();
    let world = World::new(NODES);
    mesh.step(10, 2, LedgerInput::Submit(submission(&world, "acme/author")));
    mesh.all(PAUSE_MS - 1, &LedgerInput::Timer);
    assert_eq!(mesh.take_shown(), [] as [u64; 0], "the mesh connects first");
    assert_eq!(mesh.nodes[0].wake_us, Some(SHOW_INTERVAL_US), "the timer comes back for it");
    mesh.all(PAUSE_MS, &LedgerInput::Timer);
    assert_eq!(mesh.take_shown(), [2; NODES]);
    mesh.all(PAUSE_MS + 1, &LedgerInput::Timer);
    mesh.step(PAUSE_MS + 10, 1, LedgerInput::Submit(submission(&world, "birch/author")));
    mesh.step(PAUSE_MS + 20, 1, LedgerInput::Submit(submission(&world, "cedar/author")));
    assert_eq!((mesh.heights(), mesh.take_shown()), (vec![4; NODES], vec![]));
    mesh.all(2 * PAUSE_MS, &LedgerInput::Timer);
    assert_eq!(mesh.take_shown(), [4; NODES]);
    mesh.all(9 * PAUSE_MS, &LedgerInput::Timer);
    assert_eq!(mesh.take_shown(), [] as [u64; 0], "no head is shown twice");
    mesh.step(9 * PAUSE_MS, 1, LedgerInput::Submit(submission(&world, "delta/author")));
    assert_eq!(mesh.take_shown(), [5; NODES], "after a pause the next block is shown at once");
}

/// What an observer makes of a gossiped message: its verdict, whom it hears of, and what it asks for and blames.
fn gossip(
    ledger: &mut LedgerState<SimDisk>,
    message: Message,
) -> (Verdict, Vec<ShownHead>, Vec<LedgerOutput>) {
    let message = LedgerMessage::encode(message);
    let input = LedgerInput::Gossip { from: node_id(1), token: 7, message };
    let outputs = ledger.step(at(30), input).unwrap();
    let verdict = outputs.iter().find_map(|output| match output {
        LedgerOutput::Judged { token: 7, verdict } => Some(*verdict),
        _ => None,
    });
    let heads = outputs.iter().filter_map(|output| match output {
        LedgerOutput::Head(head) => Some(ShownHead::clone(head)),
        _ => None,
    });
    let heads = heads.collect();
    (verdict.unwrap(), heads, outputs)
}

fn observer() -> LedgerState<SimDisk> {
    let mut observer = open(NodeId::Ed25519([8; 32]), LedgerRole::Observer);
    observer.step(at(0), LedgerInput::Connected(node_id(1))).unwrap();
    observer
}

/// The certificate of another block at the same height, by the same validators.
fn forked(block: &CertifiedBlock) -> Certificate {
    let Block::V1 { mut header, .. } = Block::decode(&block.block).unwrap();
    header.time = header.time.next();
    World::new(NODES).certify(&header)
}

#[test]
fn a_certified_head_is_passed_on_handed_out_and_asked_for_once() {
    let certificate = history(3).remove(2).certificate;
    let mut observer = observer();
    let (verdict, heads, outputs) = gossip(&mut observer, Message::Decided(certificate.clone()));
    assert_eq!(verdict, Verdict::Accept);
    assert_eq!(heads, [ShownHead { from: node_id(1), certificate: certificate.clone() }]);
    assert_eq!(observer.highest_seen(), Height::new(3));
    assert!(requested(&outputs).is_some());
    let mut fewer = certificate;
    fewer.precommits.pop_first();
    let (verdict, heads, outputs) = gossip(&mut observer, Message::Decided(fewer));
    assert_eq!((verdict, heads, blamed(&outputs)), (Verdict::Ignore, vec![], vec![]));
}

#[test]
fn a_head_that_proves_nothing_is_rejected_and_its_neighbour_blamed() {
    let mut forged = history(3).remove(2).certificate;
    forged.block = Digest::ZERO;
    let mut observer = observer();
    let (verdict, heads, outputs) = gossip(&mut observer, Message::Decided(forged));
    assert_eq!((verdict, heads), (Verdict::Reject, vec![]));
    assert_eq!(blamed(&outputs), [Misbehaviour::InvalidHistory]);
    assert_eq!(observer.highest_seen(), Height::ZERO, "it claims nothing");
}

#[test]
fn a_height_without_proof_is_no_head() {
    let status = Status { height: Height::new(9), block: Digest::ZERO };
    let mut observer = observer();
    assert_eq!(gossip(&mut observer, Message::Status(status)).0, Verdict::Reject);
    assert_eq!(observer.highest_seen(), Height::ZERO);
}

#[test]
fn another_certified_block_at_a_height_of_the_own_history_is_handed_out() {
    let blocks = history(3);
    let mut observer = observer();
    follow(&mut observer, &blocks);
    for certificate in [blocks[1].certificate.clone(), forked(&blocks[1])] {
        let (verdict, heads, _) = gossip(&mut observer, Message::Decided(certificate.clone()));
        assert_eq!((verdict, heads[0].certificate.block), (Verdict::Accept, certificate.block));
    }
}
