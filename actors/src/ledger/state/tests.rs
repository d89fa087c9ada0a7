mod heads;
mod roster;

use std::{collections::VecDeque, sync::Arc};

use althing_contracts::{
    block::{BLOCK_LEN_MAX, Block},
    certificate::{ProposalStatement, VoteKind, VoteStatement},
    ledger::{self, BlockContext},
    quantity::{DurationMs, Round},
    reject::Reject,
    role::Role,
    testing::{GENESIS_TIME, World, consensus_key, deploy, line, node_key, org},
    transaction::{Call, ProposalId, Transaction, UnverifiedTransaction},
};

use super::*;
use crate::{
    disk::sim::SimDisk,
    ledger::{
        consensus::{ConsensusKey, Verdicts, proposer},
        mempool::PooledTransaction,
        message::CertifiedBlock,
        wire::{BlockMessage, SignedVote},
    },
    port::Topic,
    sync::SyncResponse,
};

const NODES: usize = 4;

fn node_id(index: usize) -> NodeId {
    node_key(org(index).as_str()).public()
}

fn key(index: usize) -> ConsensusKey {
    ConsensusKey::from_seed(consensus_key(org(index).as_str()).secret())
}

fn open(node: NodeId, role: LedgerRole) -> LedgerState<SimDisk> {
    open_on(SimDisk::new(), node, role)
}

fn open_on(disk: SimDisk, node: NodeId, role: LedgerRole) -> LedgerState<SimDisk> {
    let settings = LedgerSettings {
        genesis: World::new(NODES).genesis,
        node,
        role,
        timing: LedgerTiming::default(),
        remembered_max: REMEMBERED_MAX,
        verdicts: Verdicts::default(),
    };
    let (log, _) = Log::open(disk, settings.genesis.network()).unwrap();
    LedgerState::open(settings, log, None, at(0), &mut |_| ()).unwrap().ledger
}

fn validator(index: usize) -> LedgerState<SimDisk> {
    open(node_id(index), LedgerRole::Validator(key(index)))
}

fn at(ms: u64) -> Now {
    Now { wall: GENESIS_TIME.after(DurationMs::new(3_600_000 + ms)), monotonic_us: ms * 1_000 }
}

fn pooled(transaction: &Transaction, network: Digest) -> PooledTransaction {
    let bytes = transaction.encode();
    let verified = UnverifiedTransaction::decode(&bytes, network).unwrap().verify().unwrap();
    PooledTransaction { bytes: Bytes::from(bytes), verified }
}

fn submission(world: &World, author: &str) -> PooledTransaction {
    submission_of(world, author, "v2")
}

fn submission_of(world: &World, author: &str, version: &str) -> PooledTransaction {
    let document = deploy(version, &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    pooled(&world.sign(author, Role::Author, Call::Submit { document, plan_hash }), world.network())
}

/// Validators whose messages arrive at once and in order.
struct Mesh {
    nodes: Vec<LedgerState<SimDisk>>,
    committed: Vec<Vec<Arc<CommittedBlock>>>,
    shown: Vec<Certificate>,
    sent: usize,
}

impl Mesh {
    fn new() -> Self {
        Self::of((0..NODES).map(validator).collect())
    }

    fn of(nodes: Vec<LedgerState<SimDisk>>) -> Self {
        let mut mesh = Self { committed: vec![Vec::new(); nodes.len()], nodes, shown: Vec::new(), sent: 0 };
        mesh.all(0, &LedgerInput::Timer);
        mesh
    }

    fn all(&mut self, ms: u64, input: &LedgerInput) {
        for node in 0..self.nodes.len() {
            self.step(ms, node, input.clone());
        }
    }

    /// Gives an input and delivers everything that it leads to.
    fn step(&mut self, ms: u64, node: usize, input: LedgerInput) {
        let mut inputs = VecDeque::from([(node, input)]);
        while let Some((node, input)) = inputs.pop_front() {
            for output in self.nodes[node].step(at(ms), input).unwrap() {
                match output {
                    LedgerOutput::Send { to, message } => {
                        self.sent += 1;
                        if let Some(index) = self.index_of(to) {
                            let from = node_id(node);
                            inputs.push_back((index, LedgerInput::Direct { from, message }));
                        }
                    }
                    LedgerOutput::RequestBlocks { id, to, request } => {
                        let response = self.index_of(to).and_then(|peer| self.nodes[peer].serve(&request));
                        inputs.push_back((node, LedgerInput::Blocks { id, from: to, response }));
                    }
                    LedgerOutput::Committed(block) => self.committed[node].push(block),
                    LedgerOutput::Publish { topic: Topic::Heads, message } => {
                        let Ok(Message::Decided(head)) = LedgerMessage::decode(&message) else {
                            panic!("a head is a certificate");
                        };
                        self.shown.push(head);
                    }
                    LedgerOutput::Misbehaved { peer, how } => panic!("{peer} is blamed for {how:?}"),
                    _ => {}
                }
            }
        }
    }

    fn index_of(&self, node: NodeId) -> Option<usize> {
        (0..self.nodes.len()).find(|index| node_id(*index) == node)
    }

    fn heights(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.height().get()).collect()
    }
}

#[test]
fn a_submitted_transaction_is_final_on_every_node() {
    let mut mesh = Mesh::new();
    assert_eq!(mesh.heights(), [1; NODES]);
    let transaction = submission(&World::new(NODES), "acme/author");
    let id = transaction.verified.id();
    mesh.step(10, 2, LedgerInput::Submit(transaction));
    assert_eq!(mesh.heights(), [2; NODES]);
    for blocks in &mesh.committed {
        let block = blocks.last().unwrap();
        assert_eq!(block.digest, mesh.nodes[0].digest());
        assert_eq!(block.outcomes.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
        assert_eq!(block.events.first().map(|record| record.sequence.get()), Some(1));
    }
}

#[test]
fn an_idle_mesh_makes_a_block_for_a_deadline_and_none_before() {
    let mut mesh = Mesh::new();
    mesh.step(10, 0, LedgerInput::Submit(submission(&World::new(NODES), "acme/author")));
    let due = mesh.nodes[0].state().next_deadline().unwrap();
    let heartbeat = mesh.nodes[0].state().time().after(mesh.nodes[0].state().constitution().heartbeat);
    let due_ms = due.min(heartbeat).since(at(0).wall).get();
    mesh.sent = 0;
    mesh.all(due_ms - 1, &LedgerInput::Timer);
    assert_eq!((mesh.heights(), mesh.sent), (vec![2; NODES], 0));
    mesh.all(due_ms, &LedgerInput::Timer);
    assert_eq!(mesh.heights(), [3; NODES]);
}

#[test]
fn after_a_busy_block_the_next_one_is_gathered_for_a_while() {
    let mut mesh = Mesh::new();
    for node in &mut mesh.nodes {
        (node.head.len, node.head.committed_us) = (1_000, at(10).monotonic_us);
    }
    mesh.step(20, 0, LedgerInput::Submit(submission(&World::new(NODES), "acme/author")));
    mesh.all(109, &LedgerInput::Timer);
    assert_eq!(mesh.heights(), [1; NODES]);
    mesh.all(110, &LedgerInput::Timer);
    assert_eq!(mesh.heights(), [2; NODES]);
    mesh.step(111, 0, LedgerInput::Submit(submission(&World::new(NODES), "birch/author")));
    assert_eq!(mesh.heights(), [3; NODES], "a block of one transaction is not busy");
}

#[test]
fn what_the_rules_refuse_is_answered_without_a_block() {
    let mut mesh = Mesh::new();
    let world = World::new(NODES);
    let call = Call::Cancel { proposal: ProposalId::from_digest(Digest::ZERO), reason: line("no") };
    let transaction = pooled(&world.sign("acme/author", Role::Author, call), world.network());
    let outputs = mesh.nodes[1].step(at(10), LedgerInput::Submit(transaction)).unwrap();
    assert!(outputs.iter().any(|output| matches!(
        output,
        LedgerOutput::Outcome { outcome: TransactionOutcome::Rejected(_), .. }
    )));
    assert!(!outputs.iter().any(|output| matches!(output, LedgerOutput::Send { .. })));
    assert_eq!(mesh.nodes[1].mempool_len(), 0);
}

/// A key that signed again after its node lost what was under way: one of the two is final, the other never will be.
#[test]
fn a_transaction_whose_sequence_was_taken_is_refused_and_one_ahead_of_its_turn_waits() {
    let mut mesh = Mesh::new();
    let mut world = World::new(NODES);
    let lost = submission_of(&world, "acme/author", "v2");
    let again = submission_of(&world, "acme/author", "v3");
    world.submit("acme/author", deploy("v4", &[&["acme-north"]])).unwrap();
    let ahead = submission_of(&world, "acme/author", "v5");
    let id = again.verified.id();
    mesh.step(10, 2, LedgerInput::Submit(lost));
    assert_eq!(mesh.heights(), [2; NODES]);
    let outputs = mesh.nodes[1].step(at(20), LedgerInput::Submit(again)).unwrap();
    let is_refused = |output: &LedgerOutput| {
        let LedgerOutput::Outcome { id: of, outcome } = output else { return false };
        *of == id && matches!(outcome, TransactionOutcome::Rejected(Reject::Sequence { .. }))
    };
    assert!(outputs.iter().any(is_refused), "{outputs:?}");
    assert_eq!(mesh.nodes[1].mempool_len(), 0);
    let mut early = Mesh::new();
    early.nodes[1].step(at(10), LedgerInput::Submit(ahead)).unwrap();
    assert_eq!(early.nodes[1].mempool_len(), 1);
}

fn blamed(outputs: &[LedgerOutput]) -> Vec<Misbehaviour> {
    let how = |output: &LedgerOutput| match output {
        LedgerOutput::Misbehaved { how, .. } => Some(*how),
        _ => None,
    };
    outputs.iter().filter_map(how).collect()
}

fn prevotes(outputs: &[LedgerOutput]) -> Vec<Option<Digest>> {
    let prevote = |output: &LedgerOutput| match output {
        LedgerOutput::Send { message, .. } => match LedgerMessage::decode(message) {
            Ok(Message::Vote(SignedVote { statement, .. })) if statement.kind == VoteKind::Prevote => {
                Some(statement.block)
            }
            _ => None,
        },
        _ => None,
    };
    outputs.iter().filter_map(prevote).collect()
}

fn direct(ledger: &mut LedgerState<SimDisk>, from: usize, bytes: impl Into<Bytes>) -> Vec<LedgerOutput> {
    ledger.step(at(20), LedgerInput::Direct { from: node_id(from), message: bytes.into() }).unwrap()
}

#[test]
fn garbage_and_oversized_messages_are_blamed_and_change_nothing() {
    let mut ledger = validator(0);
    for bytes in [Vec::new(), vec![7; 40], vec![0; BLOCK_LEN_MAX + 64 * 1024]] {
        assert_eq!(blamed(&direct(&mut ledger, 1, bytes)), [Misbehaviour::Malformed]);
    }
    let garbage = BlockMessage { height: Height::new(1), round: Round::ZERO, bytes: vec![9; 100] };
    ledger.step(at(20), LedgerInput::Timer).unwrap();
    let outputs = direct(&mut ledger, 1, LedgerMessage::encode(Message::Block(garbage)));
    assert_eq!(blamed(&outputs), [Misbehaviour::Malformed]);
    assert_eq!(ledger.height(), Height::ZERO);
}

#[test]
fn votes_of_strangers_and_forged_votes_are_blamed() {
    let mut ledger = validator(0);
    let statement =
        VoteStatement { kind: VoteKind::Prevote, height: Height::new(1), round: Round::ZERO, block: None };
    let network = ledger.network();
    let stranger = ConsensusKey::from_seed([77; 32]).sign_vote(statement, network);
    let forged = SignedVote { voter: key(2).public(), ..stranger.clone() };
    let outputs = direct(&mut ledger, 1, LedgerMessage::encode(Message::Vote(stranger.clone())));
    assert_eq!(blamed(&outputs), [Misbehaviour::Stranger]);
    let outputs = direct(&mut ledger, 1, LedgerMessage::encode(Message::Vote(forged)));
    assert_eq!(blamed(&outputs), [Misbehaviour::Signature]);
    let message = LedgerMessage::encode(Message::Vote(key(2).sign_vote(statement, network)));
    let from = NodeId::Ed25519([9; 32]);
    let outputs = ledger.step(at(20), LedgerInput::Direct { from, message }).unwrap();
    assert_eq!(blamed(&outputs), [Misbehaviour::Stranger]);
}

#[test]
fn a_vote_for_another_network_is_a_forged_one() {
    let mut ledger = validator(0);
    let statement =
        VoteStatement { kind: VoteKind::Prevote, height: Height::new(1), round: Round::ZERO, block: None };
    let vote = key(2).sign_vote(statement, Digest::ZERO);
    let outputs = direct(&mut ledger, 2, LedgerMessage::encode(Message::Vote(vote)));
    assert_eq!(blamed(&outputs), [Misbehaviour::Signature]);
}

/// A first block by the validator with the turn, changed by `change`, and its proposal.
fn proposal(ledger: &LedgerState<SimDisk>, ahead: DurationMs, spoil: bool) -> (usize, Message, Message) {
    let (height, round) = (Height::new(1), Round::ZERO);
    let with_turn = proposer(ledger.state().roster(), height, round).unwrap();
    let index = (0..NODES).find(|index| key(*index).public() == with_turn).unwrap();
    let time = at(20).wall.after(ahead);
    let context = BlockContext { height, round, time, parent: Digest::ZERO, proposer: with_turn };
    let mut header = ledger::build(ledger.state(), context, &[]).header;
    if spoil {
        header.state_root = Digest::from_bytes([1; 32]);
    }
    let block = Block::V1 { header, transactions: Vec::new() };
    let statement = ProposalStatement { height, round, block: block.digest(), polka_round: None };
    let signed = key(index).sign_proposal(statement, ledger.network());
    let bytes = block.encode();
    (index, Message::Proposal(signed), Message::Block(BlockMessage { height, round, bytes }))
}

/// A validator that does not have the first turn, and what it does with a proposal.
fn judged(ahead: DurationMs, spoil: bool) -> Vec<LedgerOutput> {
    let probe = validator(0);
    let (index, ..) = proposal(&probe, ahead, spoil);
    let mut ledger = validator((index + 1) % NODES);
    let (index, proposal, block) = proposal(&ledger, ahead, spoil);
    let mut outputs = direct(&mut ledger, index, LedgerMessage::encode(proposal));
    outputs.extend(direct(&mut ledger, index, LedgerMessage::encode(block)));
    outputs
}

#[test]
fn a_sound_block_gets_a_prevote() {
    let outputs = judged(DurationMs::new(0), false);
    assert!(blamed(&outputs).is_empty());
    assert!(prevotes(&outputs).iter().all(Option::is_some) && prevotes(&outputs).len() == NODES - 1);
}

#[test]
fn a_block_with_a_wrong_root_gets_a_nil_prevote_and_blame() {
    let outputs = judged(DurationMs::new(0), true);
    assert_eq!(blamed(&outputs), [Misbehaviour::InvalidBlock]);
    assert!(prevotes(&outputs).iter().all(Option::is_none) && prevotes(&outputs).len() == NODES - 1);
}

#[test]
fn a_block_too_far_ahead_of_the_own_clock_gets_a_nil_prevote() {
    let bound = World::new(NODES).state.constitution().clock_ahead_max;
    let outputs = judged(bound.next(), false);
    assert!(prevotes(&outputs).iter().all(Option::is_none) && prevotes(&outputs).len() == NODES - 1);
    assert!(prevotes(&judged(bound, false)).iter().all(Option::is_some));
}

/// A vote of the last validator at height 1.
fn vote(ledger: &LedgerState<SimDisk>, kind: VoteKind, block: Option<u8>) -> Bytes {
    let block = block.map(|byte| Digest::from_bytes([byte; 32]));
    let statement = VoteStatement { kind, height: Height::new(1), round: Round::ZERO, block };
    LedgerMessage::encode(Message::Vote(key(NODES - 1).sign_vote(statement, ledger.network())))
}

fn has_evidence(outputs: &[LedgerOutput]) -> bool {
    let is_of_last = |output: &LedgerOutput| matches!(output, LedgerOutput::Evidence(evidence) if evidence.validator == key(NODES - 1).public());
    outputs.iter().any(is_of_last)
}

#[test]
fn two_votes_of_one_validator_are_evidence_in_the_log() {
    let mut ledger = validator(0);
    let (nil, block) =
        (vote(&ledger, VoteKind::Precommit, None), vote(&ledger, VoteKind::Precommit, Some(1)));
    direct(&mut ledger, 3, nil);
    assert!(has_evidence(&direct(&mut ledger, 1, block)));
}

#[test]
fn a_vote_before_a_restart_and_its_contrary_after_it_are_evidence() {
    let disk = SimDisk::new();
    let mut ledger = open_on(disk.clone(), node_id(0), LedgerRole::Validator(key(0)));
    ledger.step(at(0), LedgerInput::Timer).unwrap();
    let first = vote(&ledger, VoteKind::Prevote, Some(1));
    direct(&mut ledger, 3, first);
    let contrary = vote(&ledger, VoteKind::Prevote, None);
    // The own vote, when no proposal came, makes the log durable.
    let waited = ledger.timing.consensus.propose_ms + 1;
    assert!(!prevotes(&ledger.step(at(waited), LedgerInput::Timer).unwrap()).is_empty());
    drop(ledger);
    let mut ledger = open_on(disk.kill(), node_id(0), LedgerRole::Validator(key(0)));
    assert!(has_evidence(&direct(&mut ledger, 3, contrary)));
}

#[test]
fn a_certificate_and_a_contrary_vote_before_it_are_evidence() {
    let mut ledger = validator(0);
    let nil = vote(&ledger, VoteKind::Precommit, None);
    direct(&mut ledger, 3, nil);
    assert!(has_evidence(&follow(&mut ledger, &history(2))));
}

#[test]
fn evidence_that_nobody_was_told_of_before_the_end_is_told_after_the_next_block() {
    let disk = SimDisk::new();
    let mut ledger = open_on(disk.clone(), node_id(0), LedgerRole::Validator(key(0)));
    let (nil, block) =
        (vote(&ledger, VoteKind::Precommit, None), vote(&ledger, VoteKind::Precommit, Some(1)));
    direct(&mut ledger, 3, nil);
    let _lost = direct(&mut ledger, 3, block);
    drop(ledger);
    let mut ledger = open_on(disk.kill(), node_id(0), LedgerRole::Validator(key(0)));
    assert!(has_evidence(&follow(&mut ledger, &history(2))));
}

/// Final blocks as honest validators would have made them, one a second.
fn history(blocks: u64) -> Vec<CertifiedBlock> {
    let world = World::new(NODES);
    let (mut state, mut parent) = (world.state.clone(), Digest::ZERO);
    let make = |height| {
        let height = Height::new(height);
        let context = BlockContext {
            height,
            round: Round::ZERO,
            time: state.time().after(DurationMs::new(1_000)),
            parent,
            proposer: proposer(state.roster(), height, Round::ZERO).unwrap(),
        };
        let executed = ledger::build(&state, context, &[]);
        state = executed.state;
        parent = executed.header.digest();
        let certificate = world.certify(&executed.header);
        let block = Block::V1 { header: executed.header, transactions: Vec::new() }.encode();
        CertifiedBlock { block, certificate }
    };
    (1..=blocks).map(make).collect()
}

fn requested(outputs: &[LedgerOutput]) -> Option<u64> {
    outputs.iter().find_map(|output| match output {
        LedgerOutput::RequestBlocks { id, .. } => Some(*id),
        _ => None,
    })
}

/// Lets a node hear of `height` and answers its requests from `blocks`.
fn follow(ledger: &mut LedgerState<SimDisk>, blocks: &[CertifiedBlock]) -> Vec<LedgerOutput> {
    let from = node_id(1);
    ledger.step(at(0), LedgerInput::Connected(from)).unwrap();
    let status = Status { height: Height::new(blocks.len() as u64), block: Digest::ZERO };
    let message = LedgerMessage::encode(Message::Status(status));
    let mut outputs = ledger.step(at(200), LedgerInput::Direct { from, message }).unwrap();
    let mut all = Vec::new();
    while let Some(id) = requested(&outputs) {
        all.append(&mut outputs);
        let next = usize::try_from(ledger.height().get()).unwrap();
        let response = Some(SyncResponse::fill(blocks[next..].iter().cloned()).encode());
        outputs = ledger.step(at(200), LedgerInput::Blocks { id, from, response }).unwrap();
    }
    all.append(&mut outputs);
    all
}

#[test]
fn an_observer_follows_and_never_votes() {
    let blocks = history(300);
    let mut observer = open(NodeId::Ed25519([8; 32]), LedgerRole::Observer);
    let outputs = follow(&mut observer, &blocks);
    assert_eq!(observer.height(), Height::new(300));
    assert!(prevotes(&outputs).is_empty() && blamed(&outputs).is_empty());
    let served: Vec<_> = observer.certified_blocks(Height::new(299)).collect();
    assert_eq!(served, blocks[298..]);
}

#[test]
fn a_validator_that_was_away_catches_up_and_then_votes_at_the_next_height() {
    let blocks = history(40);
    let mut ledger = validator(0);
    let outputs = follow(&mut ledger, &blocks);
    assert!(blamed(&outputs).is_empty());
    assert_eq!(ledger.height(), Height::new(40));
}

#[test]
fn forged_history_is_refused_at_the_first_block_that_proves_nothing() {
    let mut blocks = history(10);
    blocks[6].certificate.precommits.pop_first();
    blocks[6].certificate.precommits.pop_first();
    let mut observer = open(NodeId::Ed25519([8; 32]), LedgerRole::Observer);
    let outputs = follow(&mut observer, &blocks);
    assert_eq!(observer.height(), Height::new(6));
    assert_eq!(blamed(&outputs), [Misbehaviour::InvalidHistory]);
    let mut blocks = history(10);
    blocks[3].block = blocks[4].block.clone();
    let mut observer = open(NodeId::Ed25519([8; 32]), LedgerRole::Observer);
    follow(&mut observer, &blocks);
    assert_eq!(observer.height(), Height::new(3));
}

#[test]
fn a_key_that_the_roster_does_not_name_follows_and_decides_nothing() {
    let mut ledger = open(node_id(0), LedgerRole::Validator(key(1)));
    assert!(!ledger.is_seated(), "the key is another organisation's");
    let outputs = ledger.step(at(1_000_000), LedgerInput::Timer).unwrap();
    let sends = outputs.iter().filter(|output| matches!(output, LedgerOutput::Send { .. }));
    assert_eq!((sends.count(), ledger.round(), ledger.height()), (0, 0, Height::ZERO));
}
